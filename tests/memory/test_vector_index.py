"""Every registered vector index keeps the same promises; the exact one is the oracle."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from memory.base import (
    IndexUnavailableError,
    Vector,
    VectorBackend,
    VectorIndex,
    discover,
    vector_index,
)
from memory.chroma_server import ChromaServer
from memory.exact import ExactIndex
from tests.support.chroma import ChromaProcess

pytestmark = pytest.mark.anyio
DIM = 32


def clustered(count: int, seed: int) -> Vector:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, DIM))
    rows = centres[random.integers(20, size=count)] + random.normal(size=(count, DIM)) * 0.4
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def count_data(folder: Path) -> int:
    return len(list(folder.glob("data-*")))


@pytest.fixture(scope="module")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaProcess]:
    process = ChromaProcess(tmp_path_factory.mktemp("chroma"))
    yield process
    process.kill()


@pytest.fixture(params=[*sorted(discover()), "chroma server"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorBackend]:
    if request.param == "chroma server":
        server: ChromaProcess = request.getfixturevalue("chroma_server")
        backend: VectorBackend = ChromaServer(server.url, str(tmp_path))
    else:
        backend = discover()[request.param](tmp_path / "index")
    await backend.start()
    yield backend
    await backend.close(0)


@pytest.fixture
async def index(backend: VectorBackend) -> VectorIndex:
    return await backend.collection("space/namespace one/tip", DIM)


async def test_its_ten_nearest_are_those_of_an_exact_comparison(index: VectorIndex) -> None:
    rows, queries = clustered(500, 1), clustered(20, 2)
    ids = [f"e{number}" for number in range(len(rows))]
    oracle = ExactIndex(DIM)
    await oracle.upsert(ids, rows)
    await index.upsert(ids, rows)
    shared = 0
    for query in queries:
        expected = {entry_id for entry_id, _ in await oracle.query(query, 10)}
        found = await index.query(query, 10)
        shared += len(expected & {entry_id for entry_id, _ in found})
        for entry_id, cosine in found:
            assert cosine == pytest.approx(float(rows[ids.index(entry_id)] @ query), abs=1e-3)
        assert found == sorted(found, key=lambda hit: -hit[1])
    assert shared / (10 * len(queries)) >= 0.9


async def test_an_upsert_replaces(index: VectorIndex) -> None:
    one, other = np.eye(DIM, dtype=np.float32)[:2]
    await index.upsert(["a"], one.reshape(1, -1))
    await index.upsert(["a"], other.reshape(1, -1))
    assert await index.count() == 1
    [(entry_id, cosine)] = await index.query(other, 5)
    assert (entry_id, round(cosine, 3)) == ("a", 1.0)


async def test_what_is_deleted_is_not_found_and_unknown_ids_do_no_harm(index: VectorIndex) -> None:
    rows = clustered(5, 3)
    await index.upsert(list("abcde"), rows)
    await index.delete(["b", "nobody", "e"])
    assert await index.count() == 3
    assert {entry_id for entry_id, _ in await index.query(rows[1], 9)} == {"a", "c", "d"}


async def test_an_empty_index_answers_with_nothing(index: VectorIndex) -> None:
    assert await index.query(clustered(1, 4)[0], 3) == []
    await index.delete(["a"])
    await index.clear()
    assert await index.count() == 0


async def test_a_cleared_index_can_be_filled_again(index: VectorIndex) -> None:
    rows = clustered(3, 5)
    await index.upsert(list("abc"), rows)
    await index.clear()
    assert await index.count() == 0
    await index.upsert(["x"], rows[:1])
    assert [entry_id for entry_id, _ in await index.query(rows[0], 3)] == ["x"]


async def test_collections_do_not_mix(backend: VectorBackend) -> None:
    rows = clustered(2, 6)
    one = await backend.collection("s/one/tip", DIM)
    other = await backend.collection("s/other/tip", DIM)
    await one.upsert(["a"], rows[:1])
    await other.upsert(["b"], rows[1:])
    assert [entry_id for entry_id, _ in await one.query(rows[1], 5)] == ["a"]


async def test_closing_twice_is_allowed(backend: VectorBackend, index: VectorIndex) -> None:
    await index.close()
    await index.close()
    await backend.close(0)
    await backend.close(0)


async def test_two_indexes_cannot_have_one_name() -> None:
    discover()
    with pytest.raises(ValueError, match="two vector indexes are called 'exact'"):
        vector_index("exact")(discover()["exact"])


async def test_a_second_opener_of_a_chroma_folder_is_refused_by_name(tmp_path: Path) -> None:
    make = discover()["chroma"]
    holder, second = make(tmp_path), make(tmp_path)
    await holder.start()
    with pytest.raises(IndexUnavailableError, match=r"held by process \d+; only one may open it"):
        await second.start()
    await holder.close(0)
    await second.start()
    await second.close(0)


async def test_a_clean_stop_keeps_chroma_and_an_unclean_one_empties_it(tmp_path: Path) -> None:
    make = discover()["chroma"]
    rows = clustered(3, 7)
    first = make(tmp_path)
    assert await first.start() == 0
    await (await first.collection("c", DIM)).upsert(list("abc"), rows)
    await first.close(7)

    kept = make(tmp_path)
    assert await kept.start() == 7
    assert await (await kept.collection("c", DIM)).count() == 3
    await kept.close(8)

    # A killed process leaves no marker behind.
    (tmp_path / "clean.json").unlink()
    emptied = make(tmp_path)
    assert await emptied.start() == 0
    assert await (await emptied.collection("c", DIM)).count() == 0
    await emptied.close(0)
    assert count_data(tmp_path) == 1


async def test_a_file_in_the_working_directory_does_not_steer_chroma(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("CHROMA_API_IMPL=chromadb.api.fastapi.FastAPI\n")
    monkeypatch.chdir(tmp_path)
    backend = discover()["chroma"](tmp_path / "index")
    assert await backend.start() == 0
    assert await (await backend.collection("c", DIM)).count() == 0
    await backend.close(0)


async def test_a_marker_that_cannot_be_read_counts_as_an_unclean_stop(tmp_path: Path) -> None:
    (tmp_path / "clean.json").write_text("{")
    backend = discover()["chroma"](tmp_path)
    assert await backend.start() == 0
    await backend.close(0)


async def test_a_folder_that_cannot_be_used_is_an_unavailable_index(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexUnavailableError, match="cannot open the Chroma index"):
        await discover()["chroma"](tmp_path / "file").start()
