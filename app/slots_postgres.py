"""Locks of the PostgreSQL server that one connection of this process holds; see `app.slots`."""

import asyncio
from contextlib import suppress
from typing import Any

import psycopg

from memory.postgres import TRY_LOCK, UNLOCK, connect_options


class PostgresLocks:
    """Advisory locks on a connection that is opened when the first is wanted.

    When the connection breaks its locks are free for others: the bound is then passed by as
    many calls as were under way, and holds again once they are over.
    """

    def __init__(self, dsn: str) -> None:
        """Keep in mind where the server itself is, not a pooler."""
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._mutex = asyncio.Lock()

    async def take(self, name: str) -> bool:
        """Take a lock that this process does not hold; False also while the server is away."""
        async with self._mutex:
            try:
                connection = await self._connected()
                cursor = await connection.execute(TRY_LOCK, (f"strop {name}",))
                row = await cursor.fetchone()
            except psycopg.Error:
                await self._drop()
                return False
        return row is not None and bool(row[0])

    async def give(self, name: str) -> None:
        """Give a lock back; one that went with its connection is free already."""
        async with self._mutex:
            if self._connection is None:
                return
            try:
                await self._connection.execute(UNLOCK, (f"strop {name}",))
            except psycopg.Error:
                await self._drop()

    async def close(self) -> None:
        """Close the connection; all its locks are free then."""
        async with self._mutex:
            await self._drop()

    async def _connected(self) -> "psycopg.AsyncConnection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, **connect_options("model places")
            )
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
