"""The tables of the service."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from app.db.types import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ZERO = text("0")

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("instruction", Text, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("acceptance", JSON, nullable=False),
    Column("files", JSON, nullable=False),
    Column("task_metadata", JSON, nullable=False),
    Column("model", String(200), nullable=False),
    Column("budget", JSON, nullable=False),
    Column("family", String(200), nullable=False),
    Column("status", String(32), nullable=False),
    Column("end_reason", String(32)),
    Column("answer", Text),
    Column("artifacts", JSON, nullable=False),
    Column("error", Text),
    Column("question", Text),
    Column("reply", Text),
    Column("plan", JSON, nullable=False),
    Column("recalled", JSON, nullable=False),
    Column("learned", JSON, nullable=False),
    Column("learning", String(16), nullable=False),
    Column("run_id", String(80), nullable=False),
    Column("owner", String(64)),
    Column("epoch", Integer, nullable=False, server_default=_ZERO),
    Column("turn", Integer, nullable=False, server_default=text("1")),
    Column("priority", Integer, nullable=False, server_default=_ZERO),
    Column("agent_id", String(64), index=True),
    Column("created_by", String(64)),
    Column("approval", JSON),
    Column("not_before", UtcDateTime),
    Column("paused_from", String(32)),
    Column("graph_version", Integer, nullable=False, server_default=text("1")),
    Column("last_seq", Integer, nullable=False, server_default=_ZERO),
    Column("version", Integer, nullable=False, server_default=_ZERO),
    Column("steps", Integer, nullable=False, server_default=_ZERO),
    Column("prompt_tokens", Integer, nullable=False, server_default=_ZERO),
    Column("completion_tokens", Integer, nullable=False, server_default=_ZERO),
    Column("usd", Float, nullable=False, server_default=_ZERO),
    Column("model_seconds", Float, nullable=False, server_default=_ZERO),
    Column("model_calls", Integer, nullable=False, server_default=_ZERO),
    Column("worked_seconds", Float, nullable=False, server_default=_ZERO),
    Column("deaths", Integer, nullable=False, server_default=_ZERO),
    Column("death_steps", Integer, nullable=False, server_default=_ZERO),
    Column("created_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Index("ix_tasks_work", "status", "owner", "created_at"),
    Index("ix_tasks_learning", "learning", "owner"),
    Index("ix_tasks_page", "namespace", "created_at", "id"),
    Index("ix_tasks_owner", "owner"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(64), nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("task_id", String(64), ForeignKey("tasks.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("status", String(32), nullable=False),
    Column("end_reason", String(32)),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
)

events = Table(
    "events",
    metadata,
    Column("task_id", String(64), ForeignKey("tasks.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("data", JSON, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", String(80), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("task_id", String(64), ForeignKey("tasks.id"), nullable=False, index=True),
    Column("data", JSON, nullable=False),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("run_id", String(80), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("task_id", String(64), ForeignKey("tasks.id"), nullable=False, index=True),
    Column("tool", String(200), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("record", JSON),
    Column("began_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
)

model_calls = Table(
    "model_calls",
    metadata,
    Column("task_id", String(64), ForeignKey("tasks.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("run_id", String(80), nullable=False, index=True),
    Column("purpose", String(80), nullable=False),
    Column("model", String(200), nullable=False, index=True),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("usd", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("namespace", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("task_id", String(64), ForeignKey("tasks.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
