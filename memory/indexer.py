"""Keep the vector indexes in step with SQL, and search them.

Every change of an entry leaves a row in the outbox. An index follows the rows at its own
pace: upsert first, then take note, so that a crash in between repeats work and loses none.
Numbers of rows may become visible out of order (two writers on Postgres), so a number counts
as passed only when its row is a minute old; younger ones are remembered one by one.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
from sqlalchemy import Connection, func, select, update

from memory.base import Embedder, IndexUnavailableError, Vector, VectorBackend
from memory.database import Database
from memory.rows import insert_new, now, to_body, utc, vector_text
from memory.tables import embeddings, entries, outbox, versions
from memory.vectors import RECALLABLE, Scored, pack, scan, unpack

_LOG = logging.getLogger(__name__)
_GRACE = timedelta(minutes=1)
_PAGE = 500
_EMBED_BATCH = 32


@dataclass(frozen=True)
class Found:
    """What a search by vector gave."""

    hits: tuple[Scored, ...] = ()
    degraded: str = ""
    """Empty, or why the rows were read instead of the index."""


@dataclass(frozen=True)
class _Change:
    """An entry as an index should have it now."""

    entry_id: str
    version: int
    collection: str
    recallable: bool
    vector: bytes | None


@dataclass
class _Place:
    """How far an index has read the outbox."""

    passed: int = 0
    """Every row up to here is done."""
    done: set[int] = field(default_factory=set[int])
    """Rows after `passed` that are done as well."""


class Indexer:
    """The only one that writes to the indexes of one backend."""

    def __init__(self, database: Database, embedder: Embedder, backend: VectorBackend) -> None:
        self._database = database
        self._embedder = embedder
        self._backend = backend
        self._place: _Place | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def search(self, *, namespace: str, kind: str, vector: Vector, k: int) -> Found:
        """Return the nearest entries, those written a moment ago included.

        When the index is down or far behind, the rows themselves are compared: slower, and
        said in `degraded`, but never wrong. The ids still have to be looked up in SQL.
        """
        try:
            if await self._drain(limit=self._backend.burst, embed=False):
                name = self._collection(namespace, kind)
                index = await self._backend.collection(name, self._embedder.dim)
                return Found(tuple(await index.query(vector, k)))
            degraded = "the vector index is being filled; compared every vector instead"
        except IndexUnavailableError as error:
            degraded = f"{error}; compared every vector instead"
        hits = await self._database.read(
            lambda connection: scan(
                connection,
                namespace=namespace,
                kind=kind,
                space=self._embedder.space,
                vector=vector,
                k=k,
            )
        )
        return Found(tuple(hits), degraded)

    async def drain(self) -> None:
        """Make the vectors that are owed and bring the index up to date.

        Raises:
            IndexUnavailableError: the index is down; nothing is lost, try again later.
        """
        await self._drain(limit=None, embed=True)

    async def rebuild(self) -> None:
        """Forget the indexes and fill them from SQL.

        Raises:
            IndexUnavailableError: the index is down.
        """
        async with self._lock:
            await self._backend.start()
            names = await self._database.read(_collections)
            for namespace, kind in names:
                name = self._collection(namespace, kind)
                index = await self._backend.collection(name, self._embedder.dim)
                await index.clear()
            self._place = _Place()
        await self.drain()

    async def close(self) -> None:
        """Let go of the index, keeping what it has reached."""
        async with self._lock:
            self._closed = True
            await self._backend.close(self._place.passed if self._place else 0)
            self._place = None

    async def _drain(self, *, limit: int | None, embed: bool) -> bool:
        """Work off at most `limit` rows; return whether none that could be is left."""
        after: int | None = None
        left = limit
        while True:
            # One page at a time, so that a search never waits for a whole rebuild.
            async with self._lock:
                place = await self._start()
                after = place.passed if after is None else after
                page = await self._database.read(lambda c, after=after: self._page(c, after))
                fresh = [seq for seq, _ in page if seq not in place.done]
                if left is not None and len(fresh) > left:
                    return False
                await self._work_off(place, dict(page), fresh, embed=embed)
                await self._advance(place)
            left = None if left is None else left - len(fresh)
            if len(page) < self._page_rows:
                return True
            after = page[-1][0]

    async def _start(self) -> _Place:
        if self._closed:
            msg = "the vector index is closed"
            raise IndexUnavailableError(msg)
        reached = await self._backend.start()
        if self._place is None:
            newest = await self._database.read(
                lambda connection: connection.execute(select(func.max(outbox.c.seq))).scalar()
            )
            # A place beyond the end belongs to another database: begin again.
            self._place = _Place(reached if reached <= (newest or 0) else 0)
        return self._place

    @property
    def _page_rows(self) -> int:
        return min(_PAGE, self._backend.burst)

    def _page(self, connection: Connection, after: int) -> list[tuple[int, str]]:
        rows = connection.execute(
            select(outbox.c.seq, outbox.c.entry_id)
            .where(outbox.c.seq > after)
            .order_by(outbox.c.seq)
            .limit(self._page_rows)
        )
        return [(row[0], row[1]) for row in rows]

    async def _work_off(
        self, place: _Place, page: dict[int, str], fresh: Sequence[int], *, embed: bool
    ) -> None:
        ids = list(dict.fromkeys(page[seq] for seq in fresh))
        changes = await self._database.read(lambda c: _changes(c, ids, self._embedder.space))
        if embed:
            changes = await self._pay_debts(changes)
        await self._apply(changes)
        owed = {change.entry_id for change in changes if _is_owed(change)}
        place.done.update(seq for seq in fresh if page[seq] not in owed)

    async def _apply(self, changes: Sequence[_Change]) -> None:
        by_collection: dict[str, list[_Change]] = defaultdict(list)
        for change in changes:
            by_collection[change.collection].append(change)
        for key, group in by_collection.items():
            name = f"{self._embedder.space}/{key}"
            index = await self._backend.collection(name, self._embedder.dim)
            kept = [(c.entry_id, c.vector) for c in group if c.recallable and c.vector is not None]
            if kept:
                rows = unpack([vector for _, vector in kept], self._embedder.dim)
                await index.upsert([entry_id for entry_id, _ in kept], rows)
            gone = [c.entry_id for c in group if not c.recallable or c.vector is None]
            if gone:
                await index.delete(gone)

    async def _pay_debts(self, changes: Sequence[_Change]) -> list[_Change]:
        paid = {change.entry_id: change for change in changes}
        owed = [change for change in changes if _is_owed(change)]
        for start in range(0, len(owed), _EMBED_BATCH):
            batch = owed[start : start + _EMBED_BATCH]
            texts = await self._database.read(lambda c, batch=batch: _texts(c, batch))
            try:
                wanted = [texts[item.entry_id, item.version] for item in batch]
                rows = await self._embedder.embed(wanted)
            except Exception:  # noqa: BLE001 - whatever failed, the debt stays and is tried again
                _LOG.warning("the embedder failed; %d vectors stay owed", len(owed), exc_info=True)
                break
            for item, row in zip(batch, np.asarray(rows, np.float32), strict=True):
                paid[item.entry_id] = _Change(
                    item.entry_id, item.version, item.collection, item.recallable, pack(row)
                )
            done = [paid[item.entry_id] for item in batch]
            await self._database.run(lambda c, done=done: _pay(c, done, self._embedder.space))
        return list(paid.values())

    async def _advance(self, place: _Place) -> None:
        """Let `passed` run over rows that are done and old enough to have no gaps before them."""
        passed = await self._database.read(
            lambda connection: _passable(connection, place.passed, place.done)
        )
        place.passed = passed
        place.done = {seq for seq in place.done if seq > passed}

    def _collection(self, namespace: str, kind: str) -> str:
        return f"{self._embedder.space}/{namespace}/{kind}"


def _is_owed(change: _Change) -> bool:
    return change.recallable and change.vector is None


def _changes(connection: Connection, ids: Sequence[str], space: str) -> list[_Change]:
    rows = connection.execute(
        select(
            entries.c.id,
            entries.c.head_version,
            entries.c.namespace,
            entries.c.kind,
            entries.c.status,
            embeddings.c.vector,
        )
        .outerjoin(
            embeddings,
            (embeddings.c.entry_id == entries.c.id)
            & (embeddings.c.version == entries.c.head_version)
            & (embeddings.c.space == space),
        )
        .where(entries.c.id.in_(ids))
    )
    return [
        _Change(row[0], row[1], f"{row[2]}/{row[3]}", row[4] in RECALLABLE, row[5]) for row in rows
    ]


def _texts(connection: Connection, changes: Sequence[_Change]) -> dict[tuple[str, int], str]:
    rows = connection.execute(
        select(versions.c.entry_id, versions.c.version, versions.c.body).where(
            versions.c.entry_id.in_([change.entry_id for change in changes])
        )
    )
    return {(row[0], row[1]): vector_text(to_body(row[2])) for row in rows}


def _pay(connection: Connection, changes: Sequence[_Change], space: str) -> None:
    for change in changes:
        key = {"entry_id": change.entry_id, "version": change.version, "space": space}
        if insert_new(connection, embeddings, [{**key, "vector": change.vector}]) == 0:
            connection.execute(
                update(embeddings)
                .where(*(embeddings.c[name] == value for name, value in key.items()))
                .values(vector=change.vector)
            )


def _passable(connection: Connection, passed: int, done: set[int]) -> int:
    rows = connection.execute(
        select(outbox.c.seq, outbox.c.created_at)
        .where(outbox.c.seq > passed)
        .order_by(outbox.c.seq)
        .limit(len(done) + 1)
    )
    settled = now() - _GRACE
    for seq, created_at in rows:
        if seq not in done or utc(created_at) > settled:
            break
        passed = seq
    return passed


def _collections(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(select(entries.c.namespace, entries.c.kind).distinct())
    return [(row[0], row[1]) for row in rows]
