"""The commands of one sandbox that have not ended, and the end of them all."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from sandboxes.base import SandboxGoneError
from sandboxes.command import Command
from sandboxes.process import to_its_end


class Running:
    """Commands under way; once closed, nothing starts any more."""

    def __init__(self) -> None:
        """Begin open and empty."""
        self._commands: set[Command] = set()
        self._closed = False

    def demand_open(self) -> None:
        """Raise SandboxGoneError once closed."""
        if self._closed:
            msg = "the sandbox was closed; create another one"
            raise SandboxGoneError(msg)

    async def start(self, make: Callable[[], Coroutine[Any, Any, Command]]) -> Command:
        """Return what `make` starts, and remember it until it ends.

        Raises:
            SandboxGoneError: `close` was called before or meanwhile.
        """
        self.demand_open()
        command = await _started(make)
        self._commands.add(command)
        command.ending.add_done_callback(lambda _: self._commands.discard(command))
        if self._closed:
            await command.kill()
            self.demand_open()
        return command

    async def close(self) -> bool:
        """Kill everything and wait for it; return whether this was the first time."""
        first = not self._closed
        self._closed = True
        killing = [command.kill(sandbox_closed=True) for command in self._commands]
        await asyncio.gather(*killing)
        return first


async def _started(make: Callable[[], Coroutine[Any, Any, Command]]) -> Command:
    """Never leave a start half done: whoever is cancelled meanwhile kills what was started."""
    starting = asyncio.create_task(make())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(Exception):
            await to_its_end(_started_and_killed(starting))
        raise


async def _started_and_killed(starting: asyncio.Task[Command]) -> None:
    await (await starting).kill()
