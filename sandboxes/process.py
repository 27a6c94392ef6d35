"""One process with its streams drained, its limits watched and its tree killed.

What it takes to watch and to kill differs between backends; they pass a `Guard`.
"""

import asyncio
import os
import time
from asyncio import StreamReader, StreamWriter, Task
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from sandboxes.base import Chunk, Limits, Outcome
from sandboxes.outlet import Outlet
from sandboxes.output import Capture, Meter
from sandboxes.secrets import Blot, BlotStream

_T = TypeVar("_T")

_CHUNK = 1 << 16
_GRACE_S = 5.0
"""How long the streams may stay open after everything was killed."""


class Guard(Protocol):
    """What a backend knows about its processes."""

    async def watch(self, pid: int) -> Outcome:
        """Return once a limit is exceeded; runs until cancelled otherwise."""
        ...

    async def kill(self, pid: int) -> int:
        """Kill the tree of `pid`, wait until it is gone, return how many still lived."""
        ...


class Child(Protocol):
    """A program that was started with pipes."""

    @property
    def pid(self) -> int:
        """Its number on the host."""
        ...

    @property
    def stdin(self) -> StreamWriter | None:
        """Where it reads."""
        ...

    @property
    def stdout(self) -> StreamReader | None:
        """Where it prints."""
        ...

    @property
    def stderr(self) -> StreamReader | None:
        """Where it complains."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal, None before its end."""
        ...

    async def wait(self) -> int:
        """Wait for its end and return its code."""
        ...

    def close(self) -> None:
        """Let go of its streams, even of those that something else holds open."""
        ...


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process left behind."""

    outcome: Outcome | None
    """The limit that ended it; None when it ended by itself or was stopped."""
    stopped: bool
    """Whether `stop` ended it."""
    returncode: int
    stdout: bytes
    stderr: bytes
    stdout_total: int
    stderr_total: int
    duration_s: float
    killed: int
    """Processes that still lived when it ended or was ended."""


class Live:
    """A process under way."""

    def __init__(
        self, child: Child, limits: Limits, guard: Guard, blot: Blot | None = None
    ) -> None:
        """Begin to drain what `child` prints, without the secrets of `blot`."""
        self._started = time.monotonic()
        self._child, self._limits, self._guard = child, limits, guard
        self._meter = Meter(limits.output_kill_bytes)
        self._out = Capture(limits.stdout_bytes, self._meter)
        self._err = Capture(limits.stderr_bytes, self._meter)
        self._outlet = Outlet()
        self._blot = blot or Blot()
        self._stop = asyncio.Event()
        self._streams = [
            asyncio.create_task(self._drain("stdout", child.stdout, self._out)),
            asyncio.create_task(self._drain("stderr", child.stderr, self._err)),
        ]

    async def send(self, data: bytes) -> None:
        """Write to its stdin."""
        await feed(self._child.stdin, data)

    async def close_stdin(self) -> None:
        """Close its stdin."""
        await shut(self._child.stdin)

    def read(self) -> AsyncIterator[Chunk]:
        """Yield what it prints."""
        return self._outlet.read()

    def leave_unread(self) -> None:
        """Say that nobody will read what it prints."""
        self._outlet.leave()

    def stop(self) -> None:
        """Have it killed."""
        self._stop.set()

    async def end(self) -> Finished:
        """Wait for its exit, the first limit or `stop`, and kill what is left of its tree."""
        outcome: Outcome | None = None
        ended = asyncio.create_task(self._child.wait())
        try:
            outcome = await self._first_end(ended)
        finally:
            killed = await to_its_end(self._clean_up(ended))
        code = self._child.returncode
        return Finished(
            outcome=outcome,
            stopped=self._stop.is_set() and outcome is None,
            returncode=code if code is not None else -9,
            stdout=self._out.kept(),
            stderr=self._err.kept(),
            stdout_total=self._out.total,
            stderr_total=self._err.total,
            duration_s=time.monotonic() - self._started,
            killed=killed,
        )

    async def _first_end(self, ended: Task[int]) -> Outcome | None:
        async def flood() -> Outcome:
            await self._meter.exceeded.wait()
            return Outcome.OUTPUT_LIMIT

        stopped = asyncio.create_task(self._stop.wait())
        limits = [
            asyncio.create_task(flood()),
            asyncio.create_task(self._guard.watch(self._child.pid)),
        ]
        watchers: list[Task[Any]] = [stopped, *limits]
        try:
            done, _ = await asyncio.wait(
                [ended, *watchers], timeout=self._limits.wall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return Outcome.TIMED_OUT
            if ended in done:
                ended.result()
                return Outcome.OUTPUT_LIMIT if self._meter.exceeded.is_set() else None
            return next((task.result() for task in limits if task in done), None)
        finally:
            await _cancel(watchers)

    async def _clean_up(self, ended: Task[int]) -> int:
        killed = await self._guard.kill(self._child.pid)
        self._outlet.overflow()
        _, open_still = await asyncio.wait(self._streams, timeout=_GRACE_S)
        await _cancel(open_still)
        self._outlet.close()
        await asyncio.wait([ended], timeout=_GRACE_S)
        await _cancel([ended])
        self._child.close()
        return killed

    async def _drain(
        self, name: Literal["stdout", "stderr"], stream: StreamReader | None, capture: Capture
    ) -> None:
        clean = BlotStream(self._blot)
        while stream is not None and (data := await stream.read(_CHUNK)):
            await self._show(name, clean.feed(data), capture)
        await self._show(name, clean.end(), capture)

    async def _show(self, name: Literal["stdout", "stderr"], data: bytes, capture: Capture) -> None:
        if data:
            capture.feed(data)
            await self._outlet.put(Chunk(name, data))


async def to_its_end(work: Coroutine[Any, Any, _T] | Task[_T]) -> _T:
    """Wait for work that must be done, however often whoever waits is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:  # the same one: whoever cancelled may know it by its message
        raise cancelled
    return task.result()


async def _cancel(tasks: "Sequence[Task[Any]] | set[Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def feed(stream: StreamWriter | None, data: bytes) -> None:
    """Write everything; a process that has gone, or reads no more, is no fault."""
    if stream is None or stream.is_closing():  # uvloop refuses to write to a closed pipe
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()


async def shut(stream: StreamWriter | None) -> None:
    """Close a stream; one whose other end has gone is no fault."""
    if stream is None:
        return
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


async def wait_for_death(pid: int, timeout_s: float) -> bool:
    """Return whether `pid`, no child of ours perhaps, is gone within `timeout_s`.

    For the first process of a pid namespace this means that the whole namespace is gone.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return True
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        async with asyncio.timeout(timeout_s):
            await gone.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True
