"""What a command prints, on its way to whoever reads it while it runs."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from sandboxes.base import Chunk

_MOST = 16
"""Chunks that wait for their reader before the command has to."""


class Outlet:
    """A short queue; without a reader nothing is kept once `leave` was called."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._readers = 0
        self._left = False
        self._flowing = True
        self._closed = False

    async def put(self, chunk: Chunk) -> None:
        """Hand `chunk` over, waiting while too many wait to be read."""
        while self._flowing and len(self._chunks) >= _MOST and not self._unread:
            self._room.clear()
            await self._room.wait()
        if not self._unread:
            self._chunks.append(chunk)
            self._news.set()

    @property
    def _unread(self) -> bool:
        return self._left and not self._readers

    def leave(self) -> None:
        """Say that nobody will begin to read."""
        self._left = True
        self._room.set()

    def overflow(self) -> None:
        """Keep what still comes, however much: the command is at its end."""
        self._flowing = False
        self._room.set()

    def close(self) -> None:
        """Say that nothing more comes."""
        self._closed = True
        self._news.set()

    async def read(self) -> AsyncIterator[Chunk]:
        """Yield what comes until it is closed."""
        self._readers += 1
        try:
            while True:
                while self._chunks:
                    chunk = self._chunks.popleft()
                    self._room.set()
                    yield chunk
                if self._closed:
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            self._readers -= 1
            self._room.set()
