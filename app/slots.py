"""Places at models that all processes on one database share; see `models.bounded.Slots`.

A place is a lock of the system or of the database server, so that the dead hold none.
"""

import asyncio
import fcntl
import hashlib
import os
import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25
"""How long to wait before looking again whether another process has left its place."""


class Locks(Protocol):
    """Locks with names that are free again when their holder dies."""

    async def take(self, name: str) -> bool:
        """Take a lock that this process does not hold; False when another process does."""
        ...

    async def give(self, name: str) -> None:
        """Give a lock back."""
        ...


class SharedSlots:
    """Waits first in line within this process, then for a place among all processes.

    Within a process it is first come, first served; between processes it is by chance.
    """

    def __init__(self, locks: Locks, *, rng: random.Random | None = None) -> None:
        self._locks = locks
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._lines: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._seeking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: dict[str, set[int]] = defaultdict(set)

    @asynccontextmanager
    async def held(self, model: str, bound: int) -> AsyncGenerator[None]:
        """Wait for one of `bound` places at a model, and hold it for the block."""
        line = self._lines.setdefault((model, bound), asyncio.Semaphore(bound))
        async with line:
            async with self._seeking[model]:
                number = await self._place(model, bound)
            try:
                yield
            finally:
                await asyncio.shield(self._left(model, number))

    async def _place(self, model: str, bound: int) -> int:
        pause_s = _FIRST_PAUSE_S
        while True:
            free = [number for number in range(bound) if number not in self._held[model]]
            self._rng.shuffle(free)
            for number in free:
                if await self._taken(_name(model, number)):
                    self._held[model].add(number)
                    return number
            await asyncio.sleep(self._rng.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _taken(self, name: str) -> bool:
        """Take a lock; whoever is cancelled meanwhile leaves none behind."""
        taking = asyncio.ensure_future(self._locks.take(name))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            if await taking:
                await self._locks.give(name)
            raise

    async def _left(self, model: str, number: int) -> None:
        try:
            await self._locks.give(_name(model, number))
        finally:
            self._held[model].discard(number)


class FileLocks:
    """Locks of the system on files in one folder: for processes on one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}

    async def take(self, name: str) -> bool:
        """Take a lock that this process does not hold; False when another process does."""
        path = self._folder / f"{_file(name)}.slot"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._open[name] = descriptor
        return True

    async def give(self, name: str) -> None:
        """Give a lock back."""
        os.close(self._open.pop(name))


def _name(model: str, number: int) -> str:
    return f"model {model} {number}"


def _file(name: str) -> str:
    """Return a name that any file system takes, whatever the model is called."""
    return hashlib.sha256(name.encode()).hexdigest()[:24]
