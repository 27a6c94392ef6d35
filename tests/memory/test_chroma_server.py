from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.base import IndexUnavailableError, MemoryStoreError
from memory.chroma_server import ChromaServer
from memory.database import Database
from memory.memory import build_memory
from memory.recall import RecallSettings
from memory.records import Provenance, RecallQuery, Tip
from models.embedders.hashing import HashingEmbedder
from tests.support.chroma import ChromaProcess

pytestmark = pytest.mark.anyio
NEVER = RecallSettings(withhold=0.0)
TIP = "Read the header row of a CSV table before computing sums."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChromaProcess]:
    process = ChromaProcess(tmp_path / "chroma")
    yield process
    process.kill()


def _ask(run_id: str) -> RecallQuery:
    return RecallQuery(text="the header of a table", namespace="n", run_id=run_id)


async def test_recall_goes_on_while_the_server_is_away_and_says_so(
    database: Database, server: ChromaProcess, tmp_path: Path, provenance: Provenance
) -> None:
    memory = build_memory(
        database, HashingEmbedder(), folder=tmp_path, chroma_url=server.url, settings=NEVER
    )
    await memory.propose(Tip(text=TIP), namespace="n", provenance=provenance)
    first = await memory.recall(_ask("r1"))
    assert (first.degraded, [item.entry.text for item in first.shown]) == ("", [TIP])

    server.kill()
    away = await memory.recall(_ask("r2"))
    assert [item.entry.text for item in away.shown] == [TIP]
    assert "compared every vector instead" in away.degraded
    other = Tip(text="Quote file names that contain spaces in shell commands.")
    await memory.propose(other, namespace="n", provenance=provenance)

    server.start()
    back = await memory.recall(RecallQuery(text="quote spaces", namespace="n", run_id="r3"))
    assert back.degraded == ""
    assert back.shown[0].entry.body == other
    await memory.close()


async def test_two_processes_share_a_server_and_others_do_not_mix_with_them(
    database: Database, server: ChromaProcess, tmp_path: Path, provenance: Provenance
) -> None:
    one, two = (
        build_memory(
            database, HashingEmbedder(), folder=tmp_path, chroma_url=server.url, settings=NEVER
        )
        for _ in range(2)
    )
    await one.propose(Tip(text=TIP), namespace="n", provenance=provenance)
    for number, memory in enumerate((one, two)):
        recall = await memory.recall(_ask(f"r{number}"))
        assert (recall.degraded, len(recall.shown)) == ("", 1)
        await memory.close()
    stranger = ChromaServer(server.url, "another database")
    await stranger.start()
    assert await (await stranger.collection("x", 8)).count() == 0
    await stranger.close(0)


async def test_a_server_that_was_never_there_is_an_unavailable_index() -> None:
    with pytest.raises(IndexUnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
        await ChromaServer("http://127.0.0.1:1", "o").start()


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://me:secret@host", "http://h:x"])
def test_a_url_that_is_none_of_a_server_is_refused_without_its_login(url: str) -> None:
    with pytest.raises(MemoryStoreError, match="expected a URL") as caught:
        ChromaServer(url, "o")
    assert "secret" not in str(caught.value)
