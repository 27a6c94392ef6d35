"""The tables of standing agents; what they did are ordinary tasks that name them."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from app.db.tables import metadata
from app.db.types import UtcDateTime

agents = Table(
    "agents",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("instruction", Text, nullable=False),
    Column("task", JSON, nullable=False),
    Column("timing", JSON),
    Column("usd_per_day", Float),
    Column("tokens_per_day", Integer),
    Column("wakes_per_day", Integer),
    Column("wake_on_message", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("next_at", UtcDateTime),
    Column("rest_until", UtcDateTime),
    Column("last_at", UtcDateTime),
    Column("last_task_id", String(64)),
    Column("error_count", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("created_by", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_agents_due", "paused", "next_at"),
    Index("ix_agents_page", "namespace", "created_at", "id"),
)

agent_messages = Table(
    "agent_messages",
    metadata,
    Column("agent_id", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("created_by", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_id", String(64)),
    Index("ix_agent_messages_waiting", "agent_id", "task_id"),
)
"""What agents are told; `task_id` is the wake-up that took it in."""
