"""The tables of what a person says to a running task and decides about its calls."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from app.db.tables import metadata
from app.db.types import UtcDateTime

messages = Table(
    "messages",
    metadata,
    Column("task_id", String(64), ForeignKey("tasks.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("task_id", String(64), ForeignKey("tasks.id"), nullable=False, index=True),
    Column("run_id", String(80), nullable=False),
    Column("key", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("tool", String(200), nullable=False),
    Column("risk", String(16), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("note", Text),
    Column("edited", JSON),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(64)),
    Index("ix_approvals_call", "run_id", "key", "kind", unique=True),
    Index("ix_approvals_page", "namespace", "status", "created_at", "id"),
)
