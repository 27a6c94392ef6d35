import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from memory.base import IndexUnavailableError, Vector, discover
from memory.database import Database
from memory.exact import ExactBackend, ExactIndex
from memory.indexer import Indexer
from memory.memory import Memory, build_memory
from memory.recall import RecallSettings
from memory.records import Provenance, RecallQuery, Tip
from memory.rows import now
from memory.store import MemoryStore
from memory.tables import outbox
from models.embedders.hashing import HashingEmbedder

pytestmark = pytest.mark.anyio


class CountingIndex(ExactIndex):
    written = 0

    async def upsert(self, ids: Sequence[str], vectors: Vector) -> None:
        self.written += len(ids)
        await super().upsert(ids, vectors)


class CountingBackend(ExactBackend):
    """Counts what is written, keeps nothing, and can be made slow or unavailable."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.indexes: dict[str, CountingIndex] = {}
        self.burst = 1000
        self.down = False
        self.closed_at: int | None = None
        self.reached = 0

    async def start(self) -> int:
        if self.down:
            msg = "the disk is gone"
            raise IndexUnavailableError(msg)
        return self.reached

    async def collection(self, name: str, dim: int) -> CountingIndex:
        return self.indexes.setdefault(name, CountingIndex(dim))

    async def close(self, reached: int) -> None:
        self.closed_at = reached

    @property
    def written(self) -> int:
        return sum(index.written for index in self.indexes.values())


@pytest.fixture
def backend(tmp_path: Path) -> CountingBackend:
    return CountingBackend(tmp_path)


@pytest.fixture
def indexer(database: Database, embedder: HashingEmbedder, backend: CountingBackend) -> Indexer:
    return Indexer(database, embedder, backend)


async def learn(store: MemoryStore, count: int, prefix: str = "w") -> list[str]:
    ids: list[str] = []
    for number in range(count):
        tip = Tip(text=f"Mind {prefix}{number}a {prefix}{number}b {prefix}{number}c.")
        remembered = await store.remember(tip, namespace="n", provenance=Provenance())
        assert remembered.entry is not None
        ids.append(remembered.entry.id)
    return ids


async def search(indexer: Indexer, embedder: HashingEmbedder, text: str) -> tuple[str, str]:
    vector = (await embedder.embed([text]))[0]
    found = await indexer.search(namespace="n", kind="tip", vector=vector, k=3)
    return found.hits[0][0] if found.hits else "", found.degraded


async def test_every_change_is_written_once(
    store: MemoryStore, indexer: Indexer, backend: CountingBackend, embedder: HashingEmbedder
) -> None:
    ids = await learn(store, 5)
    await indexer.drain()
    await indexer.drain()
    assert backend.written == 5
    await store.revise(
        ids[0], Tip(text="Mind otherwise."), expected_version=1, provenance=Provenance()
    )
    assert await search(indexer, embedder, "otherwise") == (ids[0], "")
    assert backend.written == 6


async def test_a_retired_entry_leaves_the_index(
    store: MemoryStore, indexer: Indexer, backend: CountingBackend
) -> None:
    [entry_id, *_] = await learn(store, 3)
    await indexer.drain()
    await store.set_status(entry_id, "retired", reason="test")
    await indexer.drain()
    assert [await index.count() for index in backend.indexes.values()] == [2]


async def test_an_index_that_is_down_costs_speed_not_answers(
    store: MemoryStore, indexer: Indexer, backend: CountingBackend, embedder: HashingEmbedder
) -> None:
    ids = await learn(store, 3)
    backend.down = True
    found, degraded = await search(indexer, embedder, "w1a w1b w1c")
    assert found == ids[1]
    assert degraded == "the disk is gone; compared every vector instead"
    with pytest.raises(IndexUnavailableError):
        await indexer.drain()
    backend.down = False
    assert await search(indexer, embedder, "w1a w1b w1c") == (ids[1], "")


async def test_a_search_never_waits_for_a_long_backlog(
    store: MemoryStore, indexer: Indexer, backend: CountingBackend, embedder: HashingEmbedder
) -> None:
    backend.burst = 4
    ids = await learn(store, 9)
    found, degraded = await search(indexer, embedder, "w8a w8b w8c")
    assert found == ids[8]
    assert "being filled" in degraded
    await indexer.drain()
    assert await search(indexer, embedder, "w8a w8b w8c") == (ids[8], "")
    assert backend.written == 9


async def test_rows_that_become_visible_late_are_not_skipped(
    store: MemoryStore,
    database: Database,
    indexer: Indexer,
    backend: CountingBackend,
    embedder: HashingEmbedder,
) -> None:
    ids = await learn(store, 3)
    # A transaction that took its number first and commits last looks like this on Postgres.
    database.run_sync(lambda c: c.execute(outbox.delete().where(outbox.c.entry_id == ids[0])))
    await indexer.drain()
    row = {"seq": 1, "entry_id": ids[0], "created_at": now()}
    database.run_sync(lambda c: c.execute(outbox.insert().values(**row)))
    assert await search(indexer, embedder, "w0a w0b w0c") == (ids[0], "")


async def test_a_clean_stop_keeps_the_place_and_the_next_start_goes_on_from_there(
    store: MemoryStore,
    database: Database,
    indexer: Indexer,
    backend: CountingBackend,
    embedder: HashingEmbedder,
    tmp_path: Path,
) -> None:
    await learn(store, 3)
    old = now() - timedelta(minutes=2)
    database.run_sync(lambda c: c.execute(update(outbox).values(created_at=old)))
    await indexer.drain()
    await indexer.close()
    assert backend.closed_at == 3
    with pytest.raises(IndexUnavailableError, match="closed"):
        await indexer.drain()

    backend.reached = 3
    again = Indexer(database, embedder, backend)
    await learn(store, 1, prefix="later")
    await again.drain()
    assert backend.written == 4

    elsewhere = CountingBackend(tmp_path)
    elsewhere.reached = 99
    await Indexer(database, embedder, elsewhere).drain()
    assert elsewhere.written == 4, "a place beyond the end is of another database"


async def test_a_rebuild_fills_the_index_from_sql(
    store: MemoryStore, indexer: Indexer, backend: CountingBackend, embedder: HashingEmbedder
) -> None:
    ids = await learn(store, 4)
    await indexer.drain()
    for index in backend.indexes.values():
        await index.delete(ids)
    await indexer.rebuild()
    assert await search(indexer, embedder, "w2a w2b w2c") == (ids[2], "")
    assert backend.written == 8


async def test_another_space_is_embedded_anew_and_never_mixed(
    store: MemoryStore, database: Database, tmp_path: Path
) -> None:
    ids = await learn(store, 3)
    other = HashingEmbedder(64)
    indexer = Indexer(database, other, CountingBackend(tmp_path))
    assert await search(indexer, other, "w1a w1b w1c") == ("", "")
    await indexer.drain()
    assert await search(indexer, other, "w1a w1b w1c") == (ids[1], "")


async def test_a_second_process_on_chroma_recalls_without_it_and_says_why(
    database: Database, embedder: HashingEmbedder, tmp_path: Path, provenance: Provenance
) -> None:
    holder = discover()["chroma"](chroma_folder(tmp_path, embedder))
    await holder.start()
    memory = chroma_memory(database, embedder, tmp_path)
    tip = Tip(text="Mind the gap between platform and train.")
    await memory.propose(tip, namespace="n", provenance=provenance)
    await memory.maintain()
    query = RecallQuery(text="platform gap", namespace="n", run_id="r", kinds=("tip",))
    recall = await memory.recall(query)
    assert [item.entry.body for item in recall.shown] == [tip]
    assert "only one may open it" in recall.degraded
    assert "compared every vector instead" in recall.degraded

    await holder.close(0)
    recall = await memory.recall(query)
    assert recall.degraded == ""
    assert [item.entry.body for item in recall.shown] == [tip]
    await memory.rebuild()
    await memory.close()


async def test_a_kept_chroma_is_filled_anew_for_another_space(
    database: Database, tmp_path: Path, store: MemoryStore
) -> None:
    await learn(store, 3)
    old = now() - timedelta(minutes=2)
    database.run_sync(lambda c: c.execute(update(outbox).values(created_at=old)))
    for embedder in (HashingEmbedder(), HashingEmbedder(64)):
        memory = chroma_memory(database, embedder, tmp_path)
        await memory.maintain()
        await memory.close()
        kept = discover()["chroma"](chroma_folder(tmp_path, embedder))
        assert await kept.start() == 3
        index = await kept.collection(f"{embedder.space}/n/tip", embedder.dim)
        assert await index.count() == 3
        await kept.close(3)


async def test_a_chroma_that_failed_is_not_trusted_again(tmp_path: Path) -> None:
    make = discover()["chroma"]
    backend = make(tmp_path)
    await backend.start()
    index = await backend.collection("c", 4)
    await index.upsert(["a"], np.eye(4, dtype=np.float32)[:1])
    with pytest.raises(IndexUnavailableError, match="the Chroma index failed"):
        await index.query(np.ones(5, np.float32), 1)
    await backend.close(9)
    again = make(tmp_path)
    assert await again.start() == 0
    await again.close(0)


def chroma_folder(folder: Path, embedder: HashingEmbedder) -> Path:
    return folder / "chroma" / hashlib.sha256(embedder.space.encode()).hexdigest()[:16]


def chroma_memory(database: Database, embedder: HashingEmbedder, folder: Path) -> Memory:
    settings = RecallSettings(withhold=0.0)
    return build_memory(database, embedder, folder=folder, index="chroma", settings=settings)
