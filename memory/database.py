"""Run short SQL transactions off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Database:
    """One SQL database; every use of it is one transaction in a worker thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns; commit when it returns, roll back when it raises.

        A cancelled caller leaves the transaction to finish by itself: it is either
        wholly there or not at all.
        """
        return await asyncio.to_thread(self.run_sync, work)

    def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Do the same in this thread."""
        with self.engine.begin() as connection:
            return work(connection)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
