"""Read the events of tasks for any number of readers at the price of one.

One poller asks for the heads of all followed tasks at once, for the sake of what other processes
write. Readers that stand at the same event share one read.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from app.db import events
from app.db.records import EventRow
from app.wakes import Wakes
from memory.database import Database

_LOG = logging.getLogger(__name__)
_PAGE = 200


class Feed:
    """The events of the tasks that this process's readers follow."""

    def __init__(self, database: Database, wakes: Wakes, *, poll_s: float = 0.5) -> None:
        """Make a feed.

        Args:
            database: where the events are.
            wakes: says at once what this process writes.
            poll_s: how soon an event that another process wrote is seen.
        """
        self._database = database
        self._wakes = wakes
        self._poll_s = poll_s
        self._reads: dict[tuple[str, int, int], asyncio.Task[Sequence[EventRow]]] = {}
        self._poller: asyncio.Task[None] | None = None
        self.polls = 0
        """How often the database was asked what is new."""
        self.reads = 0
        """How often events were read."""

    @property
    def polling(self) -> bool:
        """Whether the database is asked again and again, for readers who are there."""
        return self._poller is not None

    async def follow(self, task_id: str, after: int) -> AsyncGenerator[EventRow]:
        """Give the events that follow number `after` as they are written, without end."""
        with self._wakes.following(task_id) as written:
            if self._poller is None:
                self._poller = asyncio.create_task(self._poll())
            try:
                while True:
                    written.clear()
                    rows = await self._after(task_id, after)
                    for row in rows:
                        after = row.seq
                        yield row
                    if not rows:
                        await written.wait()
            finally:
                self._left()

    def _left(self) -> None:
        """Stop polling with the last reader, who is about to leave."""
        if self._wakes.readers == 1 and self._poller is not None:
            self._poller.cancel()
            self._poller = None

    async def _after(self, task_id: str, after: int) -> Sequence[EventRow]:
        """Return what follows, in one read for all who ask the same since the last wake.

        A read that began before a wake may have missed what the wake is about; its round tells.
        """
        place = (task_id, after, self._wakes.round(task_id))
        reading = self._reads.get(place)
        if reading is None:
            reading = self._reads[place] = asyncio.create_task(self._read(task_id, after))
            reading.add_done_callback(partial(self._forget, place))
        # Whoever stops following leaves the read to the others.
        return await asyncio.shield(reading)

    async def _read(self, task_id: str, after: int) -> Sequence[EventRow]:
        self.reads += 1
        return await self._database.read(
            partial(events.after, task_id=task_id, seq=after, limit=_PAGE)
        )

    def _forget(self, place: tuple[str, int, int], read: asyncio.Task[Sequence[EventRow]]) -> None:
        del self._reads[place]
        if not read.cancelled():
            read.exception()  # whoever still waits for it gets it; nobody else needs to hear

    async def _poll(self) -> None:
        """Wake the followers of tasks in which another process wrote something."""
        heads: dict[str, int] = {}
        while True:
            self.polls += 1
            followed = self._wakes.followed
            try:
                found = await self._database.read(partial(events.heads, task_ids=followed))
            except (SQLAlchemyError, OSError) as error:
                _LOG.warning("event streams wait for the database: %s", error)
                found = heads
            for task_id, seq in found.items():
                # A task that was not asked about before may have been written to since.
                if heads.get(task_id) != seq:
                    self._wakes.wake(task_id)
            heads = found
            await asyncio.sleep(self._poll_s)
