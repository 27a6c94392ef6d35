"""Wake those in this process who follow a task, as soon as something was written."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Wakes:
    """The followers of each task; used from the event loop only."""

    def __init__(self) -> None:
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._rounds: dict[str, int] = {}

    @property
    def followed(self) -> list[str]:
        """The tasks that somebody follows."""
        return list(self._followers)

    @property
    def readers(self) -> int:
        """How many followers there are in all."""
        return sum(map(len, self._followers.values()))

    def round(self, task_id: str) -> int:
        """Return how often a followed task's followers were woken."""
        return self._rounds.get(task_id, 0)

    @contextmanager
    def following(self, task_id: str) -> Generator[asyncio.Event]:
        """Give an event that is set whenever something was written about the task."""
        event = asyncio.Event()
        self._followers.setdefault(task_id, set()).add(event)
        try:
            yield event
        finally:
            others = self._followers[task_id]
            others.discard(event)
            if not others:
                del self._followers[task_id]
                self._rounds.pop(task_id, None)

    def wake(self, task_id: str) -> None:
        """Wake the task's followers."""
        if task_id in self._followers:
            self._rounds[task_id] = self.round(task_id) + 1
        for event in self._followers.get(task_id, ()):
            event.set()
