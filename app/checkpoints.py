"""Keep the state of graphs in a SQLite file of its own, fenced like every other write."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agents.run import checkpoint_serde

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


def _thread(config: RunnableConfig) -> str:
    return str(config.get("configurable", {})["thread_id"])


@asynccontextmanager
async def open_checkpoints(path: Path, fence: Fence) -> AsyncGenerator[FencedSaver]:
    """Open the file and close it at the end."""
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        for pragma in ("busy_timeout=30000", "synchronous=NORMAL"):
            await connection.execute(f"PRAGMA {pragma}")
        saver = FencedSaver(connection, fence)
        await saver.setup()
        yield saver
