"""Keep the state of graphs in a SQLite file of its own, fenced like every other write."""

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agents.run import checkpoint_serde

_LOG = logging.getLogger(__name__)
_THREADS = "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes"

Fence = Callable[[str], Awaitable[None]]
"""Raises when this process may not write for the thread of that id any more."""


class FencedSaver(AsyncSqliteSaver):
    """A saver in which a taken-over run's old process cannot write the newest checkpoint."""

    def __init__(self, connection: aiosqlite.Connection, fence: Fence) -> None:
        super().__init__(connection, serde=checkpoint_serde())
        self._fence = fence

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        await self._fence(_thread(config))
        return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a node has written."""
        await self._fence(_thread(config))
        await super().aput_writes(config, writes, task_id, task_path)

    async def runs(self) -> set[str]:
        """Return the ids of the runs that have state."""
        async with self.lock, self.conn.execute(_THREADS) as cursor:
            return {str(row[0]).partition(":")[0] for row in await cursor.fetchall()}

    async def forget(self, run_id: str) -> None:
        """Drop all state of a run, and of the learning from it."""
        for thread_id in (run_id, f"{run_id}:evolve"):
            await self.adelete_thread(thread_id)


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])


@asynccontextmanager
async def open_checkpoints(path: Path, fence: Fence) -> AsyncGenerator[FencedSaver]:
    """Open the file and close it at the end; a broken one is put aside for a fresh one.

    A run whose state is lost begins anew; what its tools did is in the database and is not
    done again.
    """
    async with AsyncExitStack() as stack:
        try:
            saver = await stack.enter_async_context(_opened(path, fence))
        except sqlite3.OperationalError:
            raise  # such as a full disk: the file may be fine
        except sqlite3.DatabaseError as error:
            _LOG.error("%s is broken (%s) and is put aside", path.name, error)
            await asyncio.to_thread(_put_aside, path)
            saver = await stack.enter_async_context(_opened(path, fence))
        yield saver


@asynccontextmanager
async def _opened(path: Path, fence: Fence) -> AsyncGenerator[FencedSaver]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        for pragma in ("busy_timeout=30000", "synchronous=NORMAL"):
            await connection.execute(f"PRAGMA {pragma}")
        saver = FencedSaver(connection, fence)
        await saver.setup()
        yield saver


def _put_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.broken-{uuid.uuid4().hex[:8]}"))
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
