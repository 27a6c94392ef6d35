"""The tables of memory, in SQL that SQLite and Postgres share.

Rows of `versions`, `evidence`, `uses`, `outcomes`, `outbox` and `audit` are only ever added.
What may change is the head of an entry: which version speaks for it, and its status.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Connection

from memory.lexical import create_lexical

metadata = MetaData()

_ID = String(26)
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only a column of type INTEGER."""


def _when() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False)


entries = Table(
    "memory_entries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("namespace", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("head_version", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("status_reason", Text, nullable=False, default=""),
    Column("content_hash", String(64), nullable=False),
    # Name of a Shortcut, one of its kind in a namespace; a Tip has none.
    Column("name", String(60)),
    Column("scope_level", String(20), nullable=False, default="global"),
    Column("scope_key", String(200), nullable=False, default=""),
    # Only entries with the same key may be merged as near duplicates.
    Column("merge_key", String(64), nullable=False),
    # Counts changes of the row; writers compare and set it.
    Column("row_version", Integer, nullable=False, default=1),
    _when(),
    UniqueConstraint("namespace", "kind", "content_hash"),
    UniqueConstraint("namespace", "name"),
    Index("memory_entries_merge", "namespace", "merge_key"),
    Index("memory_entries_scope", "namespace", "scope_level", "scope_key"),
)

versions = Table(
    "memory_versions",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("entry_id", _ID, ForeignKey("memory_entries.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("parent_version", Integer),
    Column("body", JSON, nullable=False),
    # What is searched by words: the text with names taken apart.
    Column("text", Text, nullable=False),
    Column("provenance", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    _when(),
    UniqueConstraint("entry_id", "version"),
)

evidence = Table(
    "memory_evidence",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("entry_id", _ID, ForeignKey("memory_entries.id"), nullable=False),
    Column("run_id", String(200), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    _when(),
    # A recovered run that proposes the same again is no second witness.
    UniqueConstraint("entry_id", "run_id", "content_hash"),
)

embeddings = Table(
    "memory_embeddings",
    metadata,
    Column("entry_id", _ID, ForeignKey("memory_entries.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("space", String(200), primary_key=True),
    # Little-endian float16; NULL while the embedder owes it.
    Column("vector", LargeBinary),
)

uses = Table(
    "memory_uses",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("entry_id", _ID, ForeignKey("memory_entries.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("withheld", Boolean, nullable=False),
    # The chance with which it could have been withheld; 1 in a run held out from memory.
    Column("probability", Float, nullable=False),
    # {"why": why it was picked, "arm": "memory" or "holdout", "holdout": the chance of that};
    # the first homes have the list of `why` alone.
    Column("reasons", JSON, nullable=False),
    Column("namespace", String(200), nullable=False),
    Column("family", String(200), nullable=False),
    _when(),
    Index("memory_uses_entry", "entry_id"),
)

outcomes = Table(
    "memory_outcomes",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("task_id", String(200), nullable=False),
    Column("namespace", String(200), nullable=False),
    Column("family", String(200), nullable=False),
    Column("success", Boolean, nullable=False),
    Column("end_reason", String(60), nullable=False),
    Column("steps", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("usd", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    _when(),
    Index("memory_outcomes_family", "namespace", "family"),
)

outbox = Table(
    "memory_outbox",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("entry_id", _ID, ForeignKey("memory_entries.id"), nullable=False),
    _when(),
)
"""What the vector indexes have to look at again; each index keeps its own place in it."""

audit = Table(
    "memory_audit",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("actor", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("namespace", String(200), nullable=False),
    # NULL when a proposal was refused: there is no entry then.
    Column("entry_id", _ID),
    Column("before", String(80), nullable=False),
    Column("after", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    _when(),
    Index("memory_audit_entry", "entry_id"),
)


def create_tables(connection: Connection) -> None:
    """Create everything that is missing, the full-text table too; migrations do the same."""
    metadata.create_all(connection)
    create_lexical(connection)
