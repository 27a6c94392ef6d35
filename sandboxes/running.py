"""The commands of one sandbox that have not ended, and the end of them all."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sandboxes.base import SandboxGoneError

_T = TypeVar("_T")


class Running:
    """Commands under way; once closed, nothing starts any more."""

    def __init__(self) -> None:
        """Begin open and empty."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def demand_open(self) -> None:
        """Raise SandboxGoneError once closed."""
        if self._closed:
            msg = "the sandbox was closed; create another one"
            raise SandboxGoneError(msg)

    async def wait_for(self, command: Coroutine[Any, Any, _T]) -> _T:
        """Return what `command` returns; being cancelled cancels it and waits for its end.

        Raises:
            SandboxGoneError: `close` was called meanwhile.
        """
        task = asyncio.create_task(command)
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._closed and not _being_cancelled():
                msg = "the sandbox was closed while the command ran"
                raise SandboxGoneError(msg) from None
            raise
        finally:
            self._tasks.discard(task)

    async def close(self) -> bool:
        """Cancel everything and wait for it; return whether this was the first time."""
        first = not self._closed
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return first


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
