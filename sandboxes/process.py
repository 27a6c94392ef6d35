"""Run one process with its streams drained, its limits watched and its tree killed.

What it takes to watch and to kill differs between backends; they pass a `Guard`.
"""

import asyncio
import os
import time
from asyncio import StreamReader, StreamWriter, Task
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sandboxes.base import Limits, Outcome
from sandboxes.output import Capture, Meter

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


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start on the host."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str = "/"
    pass_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process left behind."""

    outcome: Outcome | None
    """The limit that ended it; None when it ended by itself."""
    returncode: int
    stdout: bytes
    stderr: bytes
    stdout_total: int
    stderr_total: int
    duration_s: float
    killed: int
    """Processes that still lived when it ended or was ended."""


async def run(launch: Launch, stdin: bytes, limits: Limits, guard: Guard) -> Finished:
    """Run to the end or to a limit; being cancelled kills the tree.

    Raises:
        OSError: the program could not be started.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *launch.argv,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(launch.env),
        cwd=launch.cwd,
        pass_fds=launch.pass_fds,
        start_new_session=True,
    )
    meter = Meter(limits.output_kill_bytes)
    out, err = Capture(limits.stdout_bytes, meter), Capture(limits.stderr_bytes, meter)
    streams = [
        asyncio.create_task(feed(process.stdin, stdin)),
        asyncio.create_task(_drain(process.stdout, out)),
        asyncio.create_task(_drain(process.stderr, err)),
    ]
    outcome: Outcome | None = None
    try:
        outcome = await _first_end(process, limits, meter, guard)
    finally:
        killed = await _to_its_end(_clean_up(process, streams, guard))
    return Finished(
        outcome=outcome,
        returncode=process.returncode if process.returncode is not None else -9,
        stdout=out.kept(),
        stderr=err.kept(),
        stdout_total=out.total,
        stderr_total=err.total,
        duration_s=time.monotonic() - started,
        killed=killed,
    )


async def _first_end(
    process: Process, limits: Limits, meter: Meter, guard: Guard
) -> Outcome | None:
    """Wait for the exit or the first limit."""

    async def flood() -> Outcome:
        await meter.exceeded.wait()
        return Outcome.OUTPUT_LIMIT

    ended = asyncio.create_task(process.wait())
    limit_tasks = [
        asyncio.create_task(flood()),
        asyncio.create_task(guard.watch(process.pid)),
    ]
    everything: list[Task[Any]] = [ended, *limit_tasks]
    try:
        done, _ = await asyncio.wait(
            everything, timeout=limits.wall_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return Outcome.TIMED_OUT
        if ended in done:
            return Outcome.OUTPUT_LIMIT if meter.exceeded.is_set() else None
        return next(task.result() for task in limit_tasks if task in done)
    finally:
        await _cancel(everything)


async def _clean_up(process: Process, streams: Sequence[Task[None]], guard: Guard) -> int:
    killed = await guard.kill(process.pid)
    _, open_still = await asyncio.wait(streams, timeout=_GRACE_S)
    await _cancel(open_still)
    if open_still:
        _close_pipes(process)
    # Not `wait_for`: before Python 3.12 it can swallow a cancellation.
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    return killed


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for work that must be done, however often whoever waits is cancelled meanwhile."""
    task, cancelled = asyncio.create_task(work), False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


async def _cancel(tasks: "Sequence[Task[Any]] | set[Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _close_pipes(process: Process) -> None:
    """Let go of pipes that something outside our reach still holds."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


async def feed(stream: StreamWriter | None, data: bytes) -> None:
    """Write everything and close; a process that has gone, or reads no more, is no fault."""
    if stream is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        if not stream.is_closing():  # uvloop refuses to write to a pipe that is closed already
            stream.write(data)
            await stream.drain()
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


async def _drain(stream: StreamReader | None, capture: Capture) -> None:
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        capture.feed(chunk)


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
