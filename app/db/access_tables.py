"""The tables of who may do what: keys, namespaces and the audit log."""

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, String, Table

from app.db.tables import metadata
from app.db.types import UtcDateTime

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("namespace", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(200), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(64)),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("tasks_per_day", Integer),
    Column("tasks_at_once", Integer),
    Column("usd_per_day", Float),
    Column("stored_bytes", BigInteger),
    Column("retention_days", Integer),
    Column("approval", JSON),
    Column("created_at", UtcDateTime, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("key_id", String(64)),
    Column("namespace", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(200), nullable=False),
    Column("result", String(32), nullable=False),
    Column("address", String(64)),
    Index("ix_audit_log_namespace", "namespace", "id"),
)
