"""Sleep between two looks at the database, and wake when this process changed something."""

import asyncio
import contextlib


class Nap:
    """The sleep of one who looks again and again; used from the event loop only."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Wake: there is something to look at."""
        self._changed.set()

    def begin(self) -> None:
        """Look from here on: what is told during the look shortens the sleep after it."""
        self._changed.clear()

    async def rest(self, seconds: float) -> None:
        """Sleep so long, or until `look`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
