"""The port's `Process` over a process of this host."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from sandboxes.base import Address, Chunk, ExecResult, Process, SandboxGoneError
from sandboxes.process import Finished, Live, to_its_end

Conclude = Callable[[Finished], Awaitable[ExecResult]]
"""Makes the result of what a process left behind; called once, however it ended."""


class Command:
    """A process under way, its end already being waited for."""

    def __init__(
        self, live: Live, conclude: Conclude, addresses: Mapping[int, Address] | None = None
    ) -> None:
        """Begin to wait for the end of `live`."""
        self._live = live
        self._conclude = conclude
        self._addresses = addresses or {}
        self._sandbox_closed = False
        self.ending = asyncio.create_task(self._end())

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what still runs and wait until it is gone."""
        await self.kill()

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Yield what is printed until both streams end."""
        return self._live.read()

    async def send(self, data: bytes) -> None:
        """Write to its stdin; nothing happens when it reads no more."""
        await self._live.send(data)

    async def close_stdin(self) -> None:
        """Let it read the end of its stdin."""
        await self._live.close_stdin()

    def address(self, port: int) -> Address:
        """Return where the host reaches a port that was named to `start`."""
        if port not in self._addresses:
            known = ", ".join(map(str, self._addresses)) or "none"
            msg = f"expected a port that was named at the start ({known}), got {port}"
            raise ValueError(msg)
        return self._addresses[port]

    async def wait(self) -> ExecResult:
        """Wait for its end and return it; being cancelled kills the tree."""
        self._live.leave_unread()
        try:
            result = await asyncio.shield(self.ending)
        except asyncio.CancelledError:
            await self.kill()
            raise
        if self._sandbox_closed:
            msg = "the sandbox was closed while the command ran"
            raise SandboxGoneError(msg)
        return result

    async def kill(self, *, sandbox_closed: bool = False) -> None:
        """Kill the tree and wait until it is gone, however often the caller is cancelled."""
        self._sandbox_closed = sandbox_closed and not self.ending.done()
        self._live.stop()
        with suppress(Exception):  # `wait` is who tells what went wrong
            await to_its_end(self.ending)

    async def _end(self) -> ExecResult:
        return await self._conclude(await self._live.end())


def check_env(env: Mapping[str, str]) -> None:
    """Raise ValueError unless `env` can be the environment of a program."""
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            msg = f"expected an environment variable without NUL or '=' in its name, got {name!r}"
            raise ValueError(msg)


async def communicate(process: Process, stdin: bytes) -> ExecResult:
    """Write `stdin`, close it, and return how the process ended."""
    if not stdin:
        await process.close_stdin()
        return await process.wait()
    feeding = asyncio.create_task(_feed(process, stdin))
    try:
        return await process.wait()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(process: Process, stdin: bytes) -> None:
    await process.send(stdin)
    await process.close_stdin()
