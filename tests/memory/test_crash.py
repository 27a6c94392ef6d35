"""What was acknowledged is there and is found, whatever happens to the writers."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from memory.database import Database
from memory.memory import build_memory
from memory.recall import RecallSettings
from memory.records import RecallQuery
from models.embedders.hashing import HashingEmbedder

pytestmark = pytest.mark.anyio
WRITER = Path(__file__).parent / "writer.py"
ROOT = Path(__file__).parents[2]


def start(folder: Path, name: str, count: int, index: str, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(folder), name, str(count), index, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )


def kill_after(folder: Path, name: str, acknowledged: int, index: str, url: str) -> dict[str, str]:
    """Kill a writer without warning as soon as it has acknowledged so many; return them all."""
    process = start(folder, name, 100_000, index, url)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledged)]
    process.kill()
    rest, _ = process.communicate(timeout=30)
    complete = [line for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    return dict(line.split() for line in complete)


def address(database: Database) -> str:
    """Return where a writer finds the database; nothing for the file in the folder."""
    if not database.is_postgres:
        return ""
    return database.engine.url.render_as_string(hide_password=False)


@pytest.mark.parametrize("index", ["exact", "chroma"])
async def test_after_a_kill_every_acknowledged_entry_is_recalled(
    database: Database, tmp_path: Path, index: str
) -> None:
    acknowledged: dict[str, str] = {}
    for round_ in range(3):
        name = f"kill{'abc'[round_]}"
        acknowledged |= kill_after(tmp_path, name, 5 + 7 * round_, index, address(database))
    assert len(acknowledged) >= 36

    settings = RecallSettings(withhold=0.0)
    memory = build_memory(
        database, HashingEmbedder(), folder=tmp_path, index=index, settings=settings
    )
    await memory.maintain()
    for entry_id, word in acknowledged.items():
        query = RecallQuery(text=f"{word}x {word}y", namespace="n", run_id=word)
        recall = await memory.recall(query)
        assert entry_id in {item.entry.id for item in recall.shown}
        assert recall.degraded == ""
    if not database.is_postgres:
        check = text("PRAGMA integrity_check")
        assert database.run_sync(lambda c: c.execute(check).scalar()) == "ok"
    await memory.close()


async def test_two_processes_write_one_database_and_a_third_reads_along(
    database: Database, tmp_path: Path
) -> None:
    url = address(database)
    memory = build_memory(database, HashingEmbedder(), folder=tmp_path)
    writers = [start(tmp_path, name, 25, "exact", url) for name in ("left", "right")]
    await memory.recall(RecallQuery(text="left1x", namespace="n", run_id="early"))
    written: dict[str, str] = {}
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        written |= dict(line.split() for line in out.splitlines())
    assert len(written) == 50
    entries = await memory.list(namespace="n", limit=100)
    assert {entry.id for entry in entries} == set(written)
    for entry_id, word in written.items():
        query = RecallQuery(text=f"{word}x {word}y", namespace="n", run_id=word)
        assert entry_id in {item.entry.id for item in (await memory.recall(query)).items}
    await memory.close()
