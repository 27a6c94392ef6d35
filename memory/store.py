"""The truth about what was learned: SQL rows, immutable versions, one transaction a change."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from memory.base import Embedder, EntryNotFoundError, MemoryStoreError, StaleVersionError
from memory.database import Database
from memory.duplicates import find_twin, name_is_taken
from memory.identity import content_hash
from memory.ids import new_id
from memory.postgres import lock
from memory.records import Entry, Kind, Provenance, Remembered, Shortcut, Status, Tip
from memory.rows import (
    add_version,
    as_version,
    load,
    note,
    now,
    select_entries,
    to_entry,
    touch,
    vector_text,
)
from memory.tables import audit, entries, versions
from memory.vectors import pack
from memory.writes import Draft, expect_kind, insert, merge, move_head, next_version

_LOG = logging.getLogger(__name__)


class MemoryStore:
    """Entries with their whole history; nothing is ever changed in place or deleted."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder | None = None,
        *,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self.database = database
        self.embedder = embedder
        self._make_id = make_id

    async def remember(
        self,
        body: Tip | Shortcut,
        *,
        namespace: str,
        provenance: Provenance,
        status: Status = "trial",
    ) -> Remembered:
        """Store a body, or add it as evidence to the entry that says the same.

        Vector, words, index work and audit line are written with it or not at all. When the
        embedder fails, the entry is kept and found by its words until its vector is made.
        """
        draft = Draft(body, namespace, provenance, await self._embed(body))
        try:
            return await self.database.run(
                lambda connection: self._write(connection, draft, status)
            )
        except IntegrityError:
            # Another process wrote the same between our look and our insert; now it is found.
            return await self.database.run(
                lambda connection: self._write(connection, draft, status)
            )

    def _write(self, connection: Connection, draft: Draft, status: Status) -> Remembered:
        lock(connection, f"memory of {draft.namespace}")
        twin = find_twin(
            connection, draft.body, draft.namespace, vector=draft.vector, space=self._space
        )
        if twin is not None:
            return merge(connection, draft, twin)
        if name_is_taken(connection, draft.body, draft.namespace):
            reason = "name_taken: another Shortcut with other steps has this name; choose another"
            return Remembered(outcome="refused", reason=reason)
        entry = insert(connection, draft, status, space=self._space, entry_id=self._make_id())
        return Remembered(outcome="new", entry=entry)

    async def get(self, entry_id: str) -> Entry:
        """Return the head of an entry.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self.database.read(lambda connection: load(connection, entry_id))

    async def list(
        self,
        *,
        namespace: str,
        kind: Kind | None = None,
        statuses: Sequence[Status] = (),
        after: str = "",
        limit: int = 50,
    ) -> "list[Entry]":
        """Return entries, newest first; `after` is the id of the last one of the page before."""
        chosen = select_entries().where(entries.c.namespace == namespace)
        if kind is not None:
            chosen = chosen.where(entries.c.kind == kind)
        if statuses:
            chosen = chosen.where(entries.c.status.in_(statuses))
        if after:
            chosen = chosen.where(entries.c.id < after)
        page = chosen.order_by(entries.c.id.desc()).limit(limit)
        return await self.database.read(
            lambda connection: [to_entry(row) for row in connection.execute(page).mappings()]
        )

    async def history(self, entry_id: str) -> "list[Entry]":
        """Return every version, oldest first, each with the entry's present status.

        Raises:
            EntryNotFoundError: there is none of that id.
        """

        def work(connection: Connection) -> list[Entry]:
            head = load(connection, entry_id)
            rows = connection.execute(
                select(versions).where(versions.c.entry_id == entry_id).order_by(versions.c.version)
            ).mappings()
            return [as_version(head, dict(row)) for row in rows]

        return await self.database.read(work)

    async def set_status(
        self,
        entry_id: str,
        status: Status,
        *,
        reason: str,
        actor: str = "user",
        expected: Status | None = None,
    ) -> Entry:
        """Move an entry to another station of its life, with the reason on record.

        Raises:
            EntryNotFoundError: there is none of that id.
            StaleVersionError: it is not where it was `expected` any more.
        """

        def work(connection: Connection) -> Entry:
            entry = load(connection, entry_id)
            if expected not in (None, entry.status):
                msg = f"expected entry {entry_id!r} to be {expected}, but it is {entry.status}"
                raise StaleVersionError(msg)
            changed = update(entries).where(entries.c.id == entry_id)
            connection.execute(
                changed.values(
                    status=status, status_reason=reason, row_version=entries.c.row_version + 1
                )
            )
            note(
                connection,
                entry,
                "status",
                actor=actor,
                reason=reason,
                before=entry.status,
                after=status,
            )
            touch(connection, entry_id)
            return load(connection, entry_id)

        return await self.database.run(work)

    async def revise(
        self,
        entry_id: str,
        body: Tip | Shortcut,
        *,
        expected_version: int,
        provenance: Provenance,
    ) -> Entry:
        """Write a new version and make it the head.

        Raises:
            EntryNotFoundError: there is none of that id.
            StaleVersionError: the head is not `expected_version` any more.
            MemoryStoreError: another entry already says this, or the kind differs.
        """
        vector = await self._embed(body)

        def work(connection: Connection) -> Entry:
            entry = load(connection, entry_id)
            expect_kind(entry, body)
            version = next_version(connection, entry_id)
            revised = entry.model_copy(
                update={
                    "version": version,
                    "parent_version": expected_version,
                    "body": body,
                    "content_hash": content_hash(body),
                    "provenance": provenance,
                    "created_at": now(),
                }
            )
            move_head(connection, revised, expected_version)
            add_version(connection, revised, vector=vector, space=self._space)
            note(
                connection,
                entry,
                "revise",
                actor=provenance.author,
                reason=provenance.reason,
                before=str(expected_version),
                after=str(version),
            )
            return revised

        try:
            return await self.database.run(work)
        except IntegrityError as error:
            msg = f"cannot revise {entry_id!r}: another entry of the namespace already says this"
            raise MemoryStoreError(msg) from error

    async def revert(
        self,
        entry_id: str,
        version: int,
        *,
        expected_version: int,
        reason: str,
        actor: str = "user",
    ) -> Entry:
        """Make an earlier version the head again, byte for byte.

        Raises:
            EntryNotFoundError: there is no such entry or version.
            StaleVersionError: the head is not `expected_version` any more.
            MemoryStoreError: another entry says meanwhile what that version said.
        """

        def work(connection: Connection) -> Entry:
            entry = load(connection, entry_id)
            row = (
                connection.execute(
                    select(versions).where(
                        versions.c.entry_id == entry_id, versions.c.version == version
                    )
                )
                .mappings()
                .one_or_none()
            )
            if row is None:
                msg = f"entry {entry_id!r} has no version {version}; its history lists them"
                raise EntryNotFoundError(msg)
            move_head(connection, as_version(entry, dict(row)), expected_version)
            note(
                connection,
                entry,
                "revert",
                actor=actor,
                reason=reason,
                before=str(expected_version),
                after=str(version),
            )
            touch(connection, entry_id)
            return load(connection, entry_id)

        try:
            return await self.database.run(work)
        except IntegrityError as error:
            msg = f"cannot revert {entry_id!r} to {version}: another entry says the same by now"
            raise MemoryStoreError(msg) from error

    async def note_refusal(self, namespace: str, provenance: Provenance, reason: str) -> None:
        """Write into the audit log that a proposal was not let in, without its text."""
        statement = audit.insert().values(
            actor=provenance.author,
            action="refuse",
            namespace=namespace,
            before="",
            after=provenance.run_id[:80],
            reason=reason,
            created_at=now(),
        )
        await self.database.run(lambda connection: connection.execute(statement))

    @property
    def _space(self) -> str | None:
        return None if self.embedder is None else self.embedder.space

    async def _embed(self, body: Tip | Shortcut) -> bytes | None:
        if self.embedder is None:
            return None
        try:
            return pack((await self.embedder.embed([vector_text(body)]))[0])
        except Exception:  # noqa: BLE001 - no failure of an embedder may cost the entry
            _LOG.warning("the embedder failed; the entry waits for its vector", exc_info=True)
            return None
