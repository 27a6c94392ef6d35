"""The tables of what happens without a person."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from app.db.tables import metadata
from app.db.types import UtcDateTime

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("timing", JSON, nullable=False),
    Column("task", JSON, nullable=False),
    Column("missed", String(16), nullable=False),
    Column("overlap", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_by", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime),
    Column("last_at", UtcDateTime),
    Column("last_task_id", String(64)),
    Column("error_count", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Index("ix_schedules_due", "enabled", "next_at"),
    Index("ix_schedules_page", "namespace", "created_at", "id"),
)

# No foreign keys to tasks: what came of a schedule outlives the remains of old tasks.
occurrences = Table(
    "occurrences",
    metadata,
    Column("schedule_id", String(64), primary_key=True),
    Column("due_at", UtcDateTime, primary_key=True),
    Column("task_id", String(64)),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("statuses", JSON, nullable=False),
    Column("secret", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_because", Text),
    Column("created_by", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_webhooks_page", "namespace", "created_at", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("webhook_id", String(64), nullable=False),
    Column("task_id", String(64)),
    Column("body", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime),
    Column("response_status", Integer),
    Column("last_error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Index("ix_deliveries_due", "state", "next_at"),
    Index("ix_deliveries_page", "webhook_id", "created_at", "id"),
)
