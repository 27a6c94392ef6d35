"""What a node has written is kept as a whole or not at all, or its graph would lose its way."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableConfig

from app.checkpoints import FencedSaver, open_checkpoints

pytestmark = pytest.mark.anyio
WRITES = [("plan", "a"), ("result", "b"), ("branch:to:finalise", None)]
NO_ROOM = """
CREATE TRIGGER no_room BEFORE INSERT ON writes WHEN NEW.channel = 'branch:to:finalise'
BEGIN SELECT RAISE(FAIL, 'no room'); END
"""
PLACE = RunnableConfig(
    configurable={"thread_id": "t_1.1", "checkpoint_ns": "", "checkpoint_id": "1"}
)


async def _free(_thread_id: str) -> None:
    """Fence nobody off."""


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[FencedSaver]:
    async with open_checkpoints(tmp_path / "checkpoints.db", _free) as opened:
        yield opened


def _kept(folder: Path) -> list[str]:
    """Return the channels that another process would find, and write something beside them."""
    with closing(sqlite3.connect(folder / "checkpoints.db", timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        return [row[0] for row in other.execute("SELECT channel FROM writes ORDER BY idx")]


async def test_writes_that_fail_half_way_leave_nothing(saver: FencedSaver, tmp_path: Path) -> None:
    await saver.conn.execute(NO_ROOM)
    with pytest.raises(sqlite3.Error, match="no room"):
        await saver.aput_writes(PLACE, WRITES, "task")
    assert _kept(tmp_path) == []
    await saver.conn.execute("DROP TRIGGER no_room")
    await saver.aput_writes(PLACE, WRITES, "task")
    assert _kept(tmp_path) == [channel for channel, _ in WRITES]


@pytest.mark.parametrize("moments", range(8))
async def test_writes_whose_caller_is_cancelled_are_whole_and_lock_nobody_out(
    saver: FencedSaver, tmp_path: Path, moments: int
) -> None:
    writing = asyncio.create_task(saver.aput_writes(PLACE, WRITES, "task"))
    for _ in range(moments):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert _kept(tmp_path) in ([], [channel for channel, _ in WRITES])


async def test_a_forgotten_run_locks_nobody_out(saver: FencedSaver, tmp_path: Path) -> None:
    await saver.aput_writes(PLACE, WRITES, "task")
    await saver.shrink("t_1.1")
    await saver.forget("t_1.1")
    assert _kept(tmp_path) == []
