"""Keep the state of graphs in a SQLite file of its own, fenced like every other write."""

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from agents.run import checkpoint_serde

_LOG = logging.getLogger(__name__)
_THREADS = "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes"

Fence = Callable[[str], Awaitable[None]]
"""Raises when this process may not write for the thread of that id any more."""


class FencedSaver(SqliteSaver):
    """A saver in which a taken-over run's old process cannot write the newest checkpoint.

    Each call is one hop to a worker thread; the library's own asynchronous saver takes several.
    """

    def __init__(self, connection: sqlite3.Connection, fence: Fence) -> None:
        super().__init__(connection, serde=checkpoint_serde())
        self._fence = fence

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint with what nodes have written since."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the library's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Return checkpoints, the newest first."""
        wanted = partial(self.list, config, filter=filter, before=before, limit=limit)
        for found in await asyncio.to_thread(lambda: list(wanted())):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        await self._fence(_thread(config))
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a node has written."""
        await self._fence(_thread(config))
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def runs(self) -> set[str]:
        """Return the ids of the runs that have state."""
        return await asyncio.to_thread(self._runs)

    def _runs(self) -> set[str]:
        with self.cursor(transaction=False) as cursor:
            rows = cursor.execute(_THREADS).fetchall()
        return {str(row[0]).partition(":")[0] for row in rows}

    async def forget(self, run_id: str) -> None:
        """Drop all state of a run, and of the learning from it."""
        for thread_id in (run_id, f"{run_id}:evolve"):
            await asyncio.to_thread(self.delete_thread, thread_id)


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
    # The saver's own lock lets one thread at a time use the connection.
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        for pragma in ("busy_timeout=30000", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
        saver = FencedSaver(connection, fence)
        await asyncio.to_thread(saver.setup)
        yield saver
    finally:
        connection.close()


def _put_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.broken-{uuid.uuid4().hex[:8]}"))
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
