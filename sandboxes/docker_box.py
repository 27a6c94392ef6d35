"""One container under way, with the commands in it."""

import asyncio
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field

from sandboxes.base import Limits, Outcome, SandboxError, SandboxGoneError
from sandboxes.docker_engine import Bounds, Engine
from sandboxes.docker_wire import Channel, Ended, Wire, open_wire
from sandboxes.files import Workspace
from sandboxes.images.worker import KILL_S, STDERR, STDOUT

_ANSWER_S = 20.0
_KILL_S = KILL_S + 4.0
"""How long the worker may take to kill before the whole container is."""
_FIRST_LOOK_S = 0.03
_PAUSE_S = 0.05
_SHARE = 10
"""Looking may take one part in this many of the time."""


@dataclass(slots=True)
class Raw:
    """A container that was started, spoken to by nobody yet."""

    number: str
    attached: socket.socket
    pid: int
    bounds: Bounds


def bounds_of(limits: Limits) -> Bounds:
    """Return what of the limits the kernel keeps for a container as a whole."""
    return Bounds(limits.memory_bytes, limits.pids, limits.cpu_cores)


class Box:
    """A container with its worker, for one sandbox."""

    def __init__(self, engine: Engine, raw: Raw, wire: Wire) -> None:
        """Take over a container; `open_box` does."""
        self._engine = engine
        self._raw = raw
        self._wire = wire
        self._wanted: list[Bounds] = []
        self._changing = asyncio.Lock()
        self._discarded = False

    @property
    def usable(self) -> bool:
        """Whether commands can be started."""
        return not self._wire.lost and not self._discarded

    @property
    def number(self) -> str:
        """What the engine calls it."""
        return self._raw.number

    @property
    def wire(self) -> Wire:
        """The way to the worker."""
        return self._wire

    async def answer(self) -> None:
        """See that the worker is there.

        Raises:
            SandboxGoneError: it is not.
        """
        await self._wire.ping(_ANSWER_S)

    async def reserve(self, bounds: Bounds) -> None:
        """Have the kernel keep `bounds` until they are released.

        What runs beside it shares the container, and so the highest of what each may use.

        Raises:
            SandboxError: they cannot be set, because more is in use already.
        """
        self._wanted.append(bounds)
        try:
            async with self._changing:
                highest = Bounds(*(max(values) for values in zip(*self._wanted, strict=True)))
                if highest != self._raw.bounds:
                    await self._engine.ask(self._engine.update, self._raw.number, highest)
                    self._raw.bounds = highest
        except BaseException:
            self.release(bounds)
            raise

    @property
    def idle(self) -> bool:
        """Whether nothing runs in it."""
        return not self._wanted

    def release(self, bounds: Bounds) -> None:
        """Say that what was started with `bounds` has ended."""
        self._wanted.remove(bounds)

    async def was_out_of_memory(self) -> bool:
        """Return whether the memory limit is what ended the container."""
        with suppress(SandboxError):
            return (await self._engine.ask(self._engine.state, self._raw.number)).oom
        return False

    async def destroy(self) -> None:
        """Kill the container with all that runs in it, and wait until it is gone."""
        if not self._discarded:
            self._discarded = True
            # First, since the engine waits for an attached client that does not read.
            self._wire.close()
            await self._engine.ask(self._engine.remove, self._raw.number)

    def discard(self) -> None:
        """Have the container removed some time; its worker ends it at once."""
        if not self._discarded:
            self._discarded = True
            self._wire.close()
            self._engine.submit(self._engine.remove, self._raw.number)


async def open_box(engine: Engine, raw: Raw) -> Box:
    """Speak to a container; it must answer.

    Raises:
        SandboxGoneError: it does not.
    """
    box = Box(engine, raw, await open_wire(raw.attached))
    try:
        await box.answer()
    except BaseException:
        box.discard()
        raise
    return box


@dataclass(slots=True)
class Contained:
    """A command in a container, as the port's process is driven."""

    box: Box
    channel: Channel
    ended: Ended | None = None
    out_of_memory: bool = False

    @property
    def pid(self) -> int:
        """A number that means nothing on the host."""
        return self.channel.number

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """Where it reads."""
        return self.channel.input

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Where it prints."""
        return self.channel.outputs[STDOUT]

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        """Where it complains."""
        return self.channel.outputs[STDERR]

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal, None before its end."""
        if self.ended is None:
            return None
        return -self.ended.signal if self.ended.signal else self.ended.exit_code

    async def wait(self) -> int:
        """Wait for its end and return its code.

        Raises:
            SandboxGoneError: the container was lost.
        """
        try:
            ended = await asyncio.shield(self.channel.ended)
        except SandboxGoneError:
            if not await self.box.was_out_of_memory():
                raise
            ended = Ended(0, 9, 0, 0, 0, 1, 1)
        self.ended, self.out_of_memory = ended, bool(ended.oom)
        return self.returncode or 0

    def close(self) -> None:
        """Let go of its streams; the container does so by itself."""


@dataclass(slots=True)
class ContainerGuard:
    """Watches the size of a workspace, and ends a command with all that it started."""

    child: Contained
    workspace: Workspace
    limits: Limits
    disk_before: int
    leftovers: int = field(default=0, init=False)

    async def watch(self, pid: int) -> Outcome:
        """Look at the disk until it is over its limit."""
        del pid
        pause = _FIRST_LOOK_S
        while True:
            await asyncio.sleep(pause)
            exceeded, cost = await asyncio.to_thread(self._look)
            if exceeded:
                return Outcome.DISK_LIMIT
            pause = max(_PAUSE_S, _SHARE * cost)

    def _look(self) -> tuple[bool, float]:
        """Return whether it is over, and the processor seconds this took, not those that passed."""
        started = time.thread_time()
        return self.disk_exceeded(), time.thread_time() - started

    def disk_exceeded(self) -> bool:
        """Return whether the workspace is over its limit and grew."""
        return self.workspace.usage() > max(self.limits.disk_bytes, self.disk_before)

    async def kill(self, pid: int) -> int:
        """Have the worker kill; where it does not manage to, destroy the container."""
        del pid
        channel = self.child.channel
        if not channel.ended.done():
            channel.kill()
            with suppress(TimeoutError, SandboxError):
                async with asyncio.timeout(_KILL_S):
                    await asyncio.shield(channel.ended)
        if not channel.ended.done():
            await self.child.box.destroy()
            return 1
        if channel.ended.exception() is not None:
            return 0
        ended = channel.ended.result()
        if not ended.clean:
            await self.child.box.destroy()
        return min(ended.leftovers, 1 << 20)
