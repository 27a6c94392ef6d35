"""Wake those in this process who follow a task, as soon as something was written."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Wakes:
    """The followers of each task; used from the event loop only."""

    def __init__(self) -> None:
        self._followers: dict[str, set[asyncio.Event]] = {}

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

    def wake(self, task_id: str) -> None:
        """Wake the task's followers."""
        for event in self._followers.get(task_id, ()):
            event.set()
