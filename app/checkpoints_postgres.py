"""Keep the state of graphs on the PostgreSQL server, fenced in the transaction of each write."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.exc import OperationalError

from agents.run import checkpoint_serde
from app.checkpoints import due_for_pruning, thread_of, threads_of
from app.db.records import Claim
from app.errors import Fenced
from memory.postgres import bounds, connect_options

_FENCE = "SELECT 1 FROM tasks WHERE id = %s AND epoch = %s FOR SHARE"
_THREADS = "SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM checkpoint_writes"
_PREPARED = "SELECT to_regclass('checkpoint_migrations') IS NOT NULL AS there"
_NEWEST = "SELECT coalesce(max(v), -1) AS newest FROM checkpoint_migrations"
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('strop checkpoints', 0)) AS held"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('strop checkpoints', 0))"

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]
ClaimOf = Callable[[str], Claim]
"""Returns the claim under which a thread is written for; raises `Fenced` when there is none."""


class PostgresSaver(AsyncPostgresSaver):
    """A saver that locks the task's row while it writes, so that no lost claim can.

    The library's own saver lets one caller at a time at its pool; this one gives each call a
    connection of its own.
    """

    def __init__(self, pool: Pool, claim_of: ClaimOf) -> None:
        super().__init__(pool, serde=checkpoint_serde())
        self._pool = pool
        self._claim_of = claim_of

    async def setup(self) -> None:
        """Make the tables, while other processes wait that would do the same."""
        with _translated():
            async with self._pool.connection() as connection:
                if await self._is_prepared(connection):
                    return
                # Waiting in the server would block the indexes that are built concurrently.
                while not (await _one(connection, _TRY_LOCK))["held"]:  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.05)
                try:
                    await self._on(connection).setup()
                finally:
                    await connection.execute(_UNLOCK)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the newest checkpoint of a thread, or the one that is asked for."""
        with _translated():
            async with self._pool.connection() as connection:
                return await self._on(connection).aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        thread_id = thread_of(config)
        async with self._fenced(thread_id) as saver:
            kept = await saver.aput(config, checkpoint, metadata, new_versions)
        if due_for_pruning(metadata):
            await self._prune((thread_id,))
        return kept

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a node has written."""
        async with self._fenced(thread_of(config)) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def runs(self) -> set[str]:
        """Return the ids of the runs that have state."""
        with _translated():
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(_THREADS)).fetchall()
        return {str(row["thread_id"]).partition(":")[0] for row in rows}

    async def forget(self, run_id: str) -> None:
        """Drop all state of a run, and of the learning from it."""
        with _translated():
            await self.aprune(threads_of(run_id), strategy="delete")

    async def shrink(self, run_id: str) -> None:
        """Keep only what going on with a run needs: the newest checkpoint of each graph."""
        await self._prune(threads_of(run_id))

    async def _prune(self, threads: Sequence[str]) -> None:
        with _translated():
            await self.aprune(threads, strategy="keep_latest")

    @asynccontextmanager
    async def _fenced(self, thread_id: str) -> AsyncGenerator[AsyncPostgresSaver]:
        """Give a saver whose writes are one transaction, in which the claim holds.

        Raises:
            Fenced: the claim is not the newest one.
        """
        claim = self._claim_of(thread_id)
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                cursor = await connection.execute(_FENCE, (claim.task_id, claim.epoch))
                if await cursor.fetchone() is None:
                    raise Fenced(thread_id)
                yield self._on(connection)

    def _on(self, connection: AsyncConnection[DictRow]) -> AsyncPostgresSaver:
        return AsyncPostgresSaver(connection, serde=self.serde)

    async def _is_prepared(self, connection: AsyncConnection[DictRow]) -> bool:
        if not (await _one(connection, _PREPARED))["there"]:
            return False
        return (await _one(connection, _NEWEST))["newest"] == len(self.MIGRATIONS) - 1


async def _one(connection: AsyncConnection[DictRow], statement: str) -> DictRow:
    row = await (await connection.execute(statement.encode())).fetchone()
    assert row is not None  # noqa: S101 - each of the statements returns one row
    return row


@contextmanager
def _translated() -> Generator[None]:
    """Turn errors of the driver into those that every failing database of ours raises."""
    try:
        yield
    except psycopg.Error as error:
        raise OperationalError("the state of a graph", None, error) from error


async def _checked(connection: AsyncConnection[DictRow]) -> None:
    """Fail when a pooled connection has died, so that it is replaced."""
    await connection.execute("")


@asynccontextmanager
async def open_checkpoints(server: str, claim_of: ClaimOf) -> AsyncGenerator[PostgresSaver]:
    """Open the state of graphs on a server and close it at the end.

    Args:
        server: its address as psycopg takes it.
        claim_of: see `ClaimOf`.
    """
    options = bounds(conninfo_to_dict(server).get("options"))
    pool: Pool = AsyncConnectionPool(
        server,
        connection_class=AsyncConnection[DictRow],
        min_size=1,
        max_size=8,
        max_idle=300,
        timeout=30,
        open=False,
        check=_checked,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "options": options,
            **connect_options("checkpoints"),
        },
    )
    with _translated():
        await pool.open(wait=True, timeout=30)
    try:
        saver = PostgresSaver(pool, claim_of)
        await saver.setup()
        yield saver
    finally:
        await pool.close()
