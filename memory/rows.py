"""Turn rows into entries and back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from memory.base import EntryNotFoundError
from memory.lexical import add_lexical, searchable
from memory.records import Body, Entry, Provenance, Shortcut, Tip
from memory.tables import audit, embeddings, entries, outbox, uses, versions

_BODY: TypeAdapter[Tip | Shortcut] = TypeAdapter(Body)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert those rows whose unique keys are free; return how many that were."""
    if not rows:
        return 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing()
    statement = statement.execution_options(preserve_rowcount=True)
    return sum(connection.execute(statement, dict(row)).rowcount for row in rows)


def index_text(body: Tip | Shortcut) -> str:
    """Return what the lexical search reads of a body."""
    if isinstance(body, Tip):
        return searchable(body.text, body.scope.key)
    tools = " ".join(dict.fromkeys(step.tool for step in body.steps))
    return searchable(body.name, body.description, body.precondition, tools)


def vector_text(body: Tip | Shortcut) -> str:
    """Return what is embedded: the text, before it has an entry."""
    if isinstance(body, Tip):
        return body.text
    return f"{body.name}: {body.description} {body.precondition}".strip()


def to_body(value: Any) -> Tip | Shortcut:  # noqa: ANN401 - JSON as the driver gives it
    """Return the body that a JSON column holds."""
    return _BODY.validate_python(value)


def select_entries() -> Select[*tuple[Any, ...]]:
    """Select heads with what `to_entry` needs."""
    shown = (
        select(func.count())
        .select_from(uses)
        .where(uses.c.entry_id == entries.c.id, uses.c.withheld.is_(False))
        .scalar_subquery()
    )
    return select(
        entries.c.id,
        entries.c.namespace,
        entries.c.kind,
        entries.c.status,
        entries.c.status_reason,
        versions.c.version,
        versions.c.parent_version,
        versions.c.body,
        versions.c.content_hash,
        versions.c.provenance,
        versions.c.created_at,
        shown.label("uses"),
    ).join(
        versions,
        (versions.c.entry_id == entries.c.id) & (versions.c.version == entries.c.head_version),
    )


def to_entry(row: RowMapping) -> Entry:
    """Return the entry of a row of `select_entries`."""
    values = dict(row)
    values["body"] = to_body(values["body"])
    values["provenance"] = Provenance.model_validate(values["provenance"])
    values["created_at"] = utc(values["created_at"])
    return Entry(**values)


def utc(when: datetime) -> datetime:
    """Return the time with its zone."""
    # SQLite forgets the zone; everything is written in UTC.
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def as_version(head: Entry, row: Mapping[str, Any]) -> Entry:
    """Return the entry as a row of `versions` had it, with the head's status and uses."""
    return Entry(
        id=head.id,
        namespace=head.namespace,
        kind=head.kind,
        status=head.status,
        status_reason=head.status_reason,
        version=row["version"],
        parent_version=row["parent_version"],
        body=to_body(row["body"]),
        content_hash=row["content_hash"],
        provenance=Provenance.model_validate(row["provenance"]),
        created_at=utc(row["created_at"]),
        uses=head.uses,
    )


def load(connection: Connection, entry_id: str) -> Entry:
    """Return the head of an entry.

    Raises:
        EntryNotFoundError: there is none of that id.
    """
    entry = load_entries(connection, [entry_id]).get(entry_id)
    if entry is None:
        msg = f"there is no entry {entry_id!r}"
        raise EntryNotFoundError(msg)
    return entry


def load_entries(connection: Connection, ids: Sequence[str]) -> dict[str, Entry]:
    """Return the heads of these entries by id; unknown ids are left out."""
    found = connection.execute(select_entries().where(entries.c.id.in_(ids))).mappings()
    return {row["id"]: to_entry(row) for row in found}


def add_version(
    connection: Connection, entry: Entry, *, vector: bytes | None, space: str | None
) -> None:
    """Write a version with its words, its vector or the debt of one, and its index work."""
    content = index_text(entry.body)
    inserted = connection.execute(
        versions.insert()
        .values(
            entry_id=entry.id,
            version=entry.version,
            parent_version=entry.parent_version,
            body=entry.body.model_dump(mode="json"),
            text=content,
            provenance=entry.provenance.model_dump(mode="json"),
            content_hash=entry.content_hash,
            created_at=entry.created_at,
        )
        .returning(versions.c.seq)
    )
    add_lexical(connection, inserted.scalar_one(), content)
    if space is not None:
        connection.execute(
            embeddings.insert().values(
                entry_id=entry.id, version=entry.version, space=space, vector=vector
            )
        )
    touch(connection, entry.id)


def touch(connection: Connection, entry_id: str) -> None:
    """Ask the indexes to look at an entry again."""
    connection.execute(outbox.insert().values(entry_id=entry_id, created_at=now()))


def note(
    connection: Connection,
    entry: Entry,
    action: str,
    *,
    actor: str,
    reason: str,
    before: str = "",
    after: str = "",
) -> None:
    """Write a line of the audit log."""
    connection.execute(
        audit.insert().values(
            actor=actor,
            action=action,
            namespace=entry.namespace,
            entry_id=entry.id,
            before=before,
            after=after,
            reason=reason,
            created_at=now(),
        )
    )
