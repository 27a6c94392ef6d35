"""What agents and the service see of memory: one object, one verb for each need."""

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from memory.base import Embedder, IndexUnavailableError, MemoryStoreError, VectorBackend, discover
from memory.chroma_server import ChromaServer, check_url
from memory.database import Database
from memory.gates import Proposal, refusal
from memory.ids import new_id
from memory.indexer import Indexer
from memory.recall import Recaller, RecallSettings
from memory.receipts.receipts import Receipts
from memory.receipts.records import Overall, Receipt
from memory.receipts.settings import ReceiptSettings
from memory.records import (
    Entry,
    Kind,
    Provenance,
    Recall,
    RecallQuery,
    Remembered,
    RunOutcome,
    Shortcut,
    Status,
    Tip,
)
from memory.store import MemoryStore
from memory.uses import UseLog

_LOG = logging.getLogger(__name__)


class Memory:
    """Everything learned, behind the gates."""

    def __init__(
        self,
        store: MemoryStore,
        recaller: Recaller,
        log: UseLog,
        receipts: Receipts,
        *,
        indexer: Indexer | None = None,
        known_hosts: Collection[str] = (),
    ) -> None:
        self._store = store
        self._recaller = recaller
        self._log = log
        self._receipts = receipts
        self._indexer = indexer
        self._known_hosts = known_hosts

    async def recall(self, query: RecallQuery) -> Recall:
        """Return what helps with a task; never fails because an index or the embedder is down."""
        return await self._recaller.recall(query)

    async def preview(self, query: RecallQuery) -> Recall:
        """Return what `recall` would find, for people: nothing is withheld, nothing recorded."""
        return await self._recaller.preview(query)

    async def propose(
        self,
        body: Tip | Shortcut,
        *,
        namespace: str,
        provenance: Provenance,
        observations: Sequence[str] = (),
        tools: Collection[str] = (),
    ) -> Remembered:
        """Put a body on trial, merge it with its like, or refuse it with a named reason."""
        proposal = Proposal(body, observations, tools, self._known_hosts)
        reason = refusal(proposal)
        if reason:
            await self._store.note_refusal(namespace, provenance, reason)
            return Remembered(outcome="refused", reason=reason)
        return await self._store.remember(body, namespace=namespace, provenance=provenance)

    async def finish(self, outcome: RunOutcome) -> None:
        """Record how a run ended, let the rules judge what it used, bring the index up to date.

        Ending a run twice changes nothing.
        """
        await self._log.record_outcome(outcome)
        await self._receipts.settle(outcome.run_id)
        await self.maintain()

    async def maintain(self) -> None:
        """Make the vectors that are owed and index them; call it after a start and now and then."""
        if self._indexer is None:
            return
        try:
            await self._indexer.drain()
        except IndexUnavailableError as error:
            _LOG.warning("the vector index waits: %s", error)

    async def rebuild(self) -> None:
        """Fill the vector index anew from SQL.

        Raises:
            IndexUnavailableError: the index is down.
        """
        if self._indexer is not None:
            await self._indexer.rebuild()

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
        return await self._store.list(
            namespace=namespace, kind=kind, statuses=statuses, after=after, limit=limit
        )

    async def get(self, entry_id: str) -> Entry:
        """Return the head of an entry.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._store.get(entry_id)

    async def history(self, entry_id: str) -> "list[Entry]":
        """Return every version, oldest first.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._store.history(entry_id)

    async def set_status(
        self, entry_id: str, status: Status, *, reason: str, actor: str = "user"
    ) -> Entry:
        """Move an entry to another station of its life, with the reason on record.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._store.set_status(entry_id, status, reason=reason, actor=actor)

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
        return await self._store.revise(
            entry_id, body, expected_version=expected_version, provenance=provenance
        )

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
        return await self._store.revert(
            entry_id, version, expected_version=expected_version, reason=reason, actor=actor
        )

    async def receipt(self, entry_id: str) -> Receipt:
        """Return how runs fared with an entry and without it, and what that proves so far.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._receipts.receipt(entry_id)

    async def overall(self, namespace: str) -> Overall:
        """Return what the whole memory does for runs and costs them, by the runs held out."""
        return await self._receipts.overall(namespace)

    async def close(self) -> None:
        """Release the index; the database belongs to the caller."""
        if self._indexer is not None:
            await self._indexer.close()


def build_memory(  # noqa: PLR0913 - everything a memory is made of comes in here
    database: Database,
    embedder: Embedder | None,
    *,
    folder: Path,
    index: str = "exact",
    chroma_url: str = "",
    settings: RecallSettings | None = None,
    receipts: ReceiptSettings | None = None,
    known_hosts: Collection[str] = (),
    make_id: Callable[[], str] = new_id,
) -> Memory:
    """Put memory together on a database whose tables exist.

    `folder` is where an index that keeps files may keep them; `chroma_url` takes a Chroma server
    instead of the index of that name, and without an embedder there is
    no index, and search goes by words. What is withheld from a run hangs on the ids of run
    and entry, so `make_id` is what a simulation that can be repeated hands in.

    Raises:
        MemoryStoreError: there is no index of that name, or the URL is none.
    """
    if chroma_url:
        check_url(chroma_url)
    backends = discover()
    if index not in backends:
        msg = f"expected one of {sorted(backends)} as vector index, got {index!r}"
        raise MemoryStoreError(msg)
    indexer: Indexer | None = None
    if embedder is not None:
        # Each space has its own folder: the place reached in the outbox is that of one space.
        space = hashlib.sha256(embedder.space.encode()).hexdigest()[:16]
        if chroma_url:
            backend: VectorBackend = ChromaServer(chroma_url, f"{database.name}/{space}")
        else:
            backend = backends[index](folder / index / space)
        indexer = Indexer(database, embedder, backend)
    log = UseLog(database)
    recaller = Recaller(database, log, embedder=embedder, indexer=indexer, settings=settings)
    store = MemoryStore(database, embedder, make_id=make_id)
    judge = Receipts(database, store, receipts)
    return Memory(store, recaller, log, judge, indexer=indexer, known_hosts=known_hosts)
