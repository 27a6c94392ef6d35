"""The changes of the store, each a part of one transaction."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from memory.base import MemoryStoreError, StaleVersionError
from memory.identity import content_hash, merge_key
from memory.records import Entry, Provenance, Remembered, Scope, Shortcut, Status, Tip
from memory.rows import add_version, insert_new, load, note, now
from memory.tables import entries, evidence, versions


@dataclass(frozen=True)
class Draft:
    """A body on its way in, with what was computed before the transaction."""

    body: Tip | Shortcut
    namespace: str
    provenance: Provenance
    vector: bytes | None


def insert(
    connection: Connection, draft: Draft, status: Status, *, space: str | None, entry_id: str
) -> Entry:
    """Write an entry with its first version and its first witness."""
    body = draft.body
    entry = Entry(
        id=entry_id,
        namespace=draft.namespace,
        kind=body.kind,
        status=status,
        version=1,
        body=body,
        content_hash=content_hash(body),
        provenance=draft.provenance,
        created_at=now(),
    )
    connection.execute(
        entries.insert().values(
            id=entry.id,
            namespace=entry.namespace,
            kind=entry.kind,
            status=status,
            status_reason="",
            row_version=1,
            created_at=entry.created_at,
            **_head_columns(entry),
        )
    )
    add_version(connection, entry, vector=draft.vector, space=space)
    _add_evidence(connection, entry.id, draft)
    note(
        connection,
        entry,
        "remember",
        actor=draft.provenance.author,
        reason=draft.provenance.reason,
        after=status,
    )
    return entry


def merge(connection: Connection, draft: Draft, entry_id: str) -> Remembered:
    """Add a proposal to the evidence of the entry that says the same already."""
    entry = load(connection, entry_id)
    reason = f"the same as {entry_id}, which is {entry.status}"
    if _add_evidence(connection, entry_id, draft):
        note(connection, entry, "merge", actor=draft.provenance.author, reason=reason)
    return Remembered(outcome="merged", entry=entry, reason=reason)


def move_head(connection: Connection, target: Entry, expected_version: int) -> None:
    """Let `target` speak for its entry if `expected_version` still does.

    Raises:
        StaleVersionError: it does not.
    """
    changed = connection.execute(
        update(entries)
        .where(entries.c.id == target.id, entries.c.head_version == expected_version)
        .values(row_version=entries.c.row_version + 1, **_head_columns(target))
    )
    if changed.rowcount == 0:
        msg = (
            f"expected entry {target.id!r} at version {expected_version}, but it has moved on; "
            "read it again and decide anew"
        )
        raise StaleVersionError(msg)


def next_version(connection: Connection, entry_id: str) -> int:
    """Return the number after the highest, which need not be the head's."""
    highest = select(func.max(versions.c.version)).where(versions.c.entry_id == entry_id)
    return connection.execute(highest).scalar_one() + 1


def expect_kind(entry: Entry, body: Tip | Shortcut) -> None:
    """Refuse to turn a tip into a Shortcut or the other way round.

    Raises:
        MemoryStoreError: the kinds differ.
    """
    if body.kind != entry.kind:
        msg = f"expected a {entry.kind} for entry {entry.id!r}, got a {body.kind}"
        raise MemoryStoreError(msg)


def _head_columns(entry: Entry) -> dict[str, str | int | None]:
    body = entry.body
    scope = body.scope if isinstance(body, Tip) else Scope()
    return {
        "head_version": entry.version,
        "content_hash": entry.content_hash,
        "merge_key": merge_key(body),
        "name": body.name if isinstance(body, Shortcut) else None,
        "scope_level": scope.level,
        "scope_key": scope.key,
    }


def _add_evidence(connection: Connection, entry_id: str, draft: Draft) -> bool:
    row = {
        "entry_id": entry_id,
        "run_id": draft.provenance.run_id,
        "content_hash": content_hash(draft.body),
        "body": draft.body.model_dump(mode="json"),
        "provenance": draft.provenance.model_dump(mode="json"),
        "created_at": now(),
    }
    return insert_new(connection, evidence, [row]) == 1
