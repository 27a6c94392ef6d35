"""Keep the state of graphs in a SQLite file of its own, fenced like every other write."""

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agents.run import checkpoint_serde

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_THREADS = "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes"

_PRUNE = (
    """
    DELETE FROM checkpoints WHERE thread_id = :thread AND checkpoint_id NOT IN (
        SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = :thread GROUP BY checkpoint_ns
    )
    """,
    """
    DELETE FROM writes WHERE thread_id = :thread AND NOT EXISTS (
        SELECT 1 FROM checkpoints AS kept WHERE kept.thread_id = writes.thread_id
        AND kept.checkpoint_ns = writes.checkpoint_ns
        AND kept.checkpoint_id = writes.checkpoint_id
    )
    """,
)
PRUNE_EVERY = 20
"""Supersteps of a graph between two prunings; each keeps the whole state once more."""

Fence = Callable[[str], Awaitable[None]]
"""Raises when this process may not write for the thread of that id any more."""


class FencedSaver(AsyncSqliteSaver):
    """A saver in which a taken-over run's old process cannot write the newest checkpoint.

    What a node has written is many rows, and a graph that goes on with some of them would take the
    node for done and lose its way: each write is one transaction.
    """

    def __init__(self, connection: aiosqlite.Connection, fence: Fence) -> None:
        super().__init__(connection, serde=checkpoint_serde())
        self._fence = fence
        self._writing = asyncio.Lock()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        thread_id = thread_of(config)
        await self._fence(thread_id)
        kept = await self._whole(super().aput(config, checkpoint, metadata, new_versions))
        if due_for_pruning(metadata):
            await self._prune(thread_id)
        return kept

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a node has written."""
        await self._fence(thread_of(config))
        await self._whole(super().aput_writes(config, writes, task_id, task_path))

    async def runs(self) -> set[str]:
        """Return the ids of the runs that have state."""
        async with self.lock, self.conn.execute(_THREADS) as cursor:
            return {str(row[0]).partition(":")[0] for row in await cursor.fetchall()}

    async def forget(self, run_id: str) -> None:
        """Drop all state of a run, and of the learning from it."""
        for thread_id in threads_of(run_id):
            await self._whole(self.adelete_thread(thread_id))

    async def shrink(self, run_id: str) -> None:
        """Keep only what going on with a run needs: the newest checkpoint of each graph."""
        for thread_id in threads_of(run_id):
            await self._prune(thread_id)

    async def _prune(self, thread_id: str) -> None:
        await self._whole(self._pruned(thread_id))

    async def _pruned(self, thread_id: str) -> None:
        async with self.lock:
            for statement in _PRUNE:
                await self.conn.execute(statement, {"thread": thread_id})
            await self.conn.commit()

    async def _whole(self, write: Coroutine[Any, Any, T]) -> T:
        """Let a write come to its end, also when whoever waits for it is cancelled."""
        writing = asyncio.create_task(self._or_nothing(write))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})
            if not writing.cancelled():
                writing.exception()  # whoever was to hear of it has gone
            raise

    async def _or_nothing(self, write: Coroutine[Any, Any, T]) -> T:
        """Undo a write that fails, before anybody else's commit could keep a part of it."""
        async with self._writing:
            try:
                return await write
            except sqlite3.Error:
                async with self.lock:
                    await self.conn.rollback()
                raise


def threads_of(run_id: str) -> tuple[str, str]:
    """Return the threads of a run's graphs: the task's, and the one that learns from it."""
    return run_id, f"{run_id}:evolve"


def thread_of(config: RunnableConfig) -> str:
    """Return the thread that a graph writes for."""
    return str(config.get("configurable", {})["thread_id"])


def due_for_pruning(metadata: CheckpointMetadata) -> bool:
    """Whether a graph has gone so far that older checkpoints are dropped meanwhile."""
    step = metadata.get("step", 0)
    return step > 0 and step % PRUNE_EVERY == 0


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
    async with aiosqlite.connect(path, isolation_level="IMMEDIATE") as connection:
        for pragma in ("busy_timeout=30000", "synchronous=NORMAL"):
            await connection.execute(f"PRAGMA {pragma}")
        saver = FencedSaver(connection, fence)
        await saver.setup()
        yield saver


def _put_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.broken-{uuid.uuid4().hex[:8]}"))
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
