"""One workspace whose commands run in a container made for it."""

import asyncio
import math
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sandboxes.base import (
    Capabilities,
    ExecResult,
    Limits,
    Outcome,
    SandboxError,
    SandboxGoneError,
    SandboxSpec,
    Watch,
)
from sandboxes.command import Command, check_env
from sandboxes.docker_box import Box, Contained, ContainerGuard, Raw, bounds_of, open_box
from sandboxes.docker_engine import Bounds, Engine, Recipe
from sandboxes.docker_links import Ports, WayOut, check_ports
from sandboxes.docker_mount import mount_into
from sandboxes.docker_pool import Pool, give_up, make_raw
from sandboxes.docker_wire import Order
from sandboxes.files import MOUNT_POINT, Workspace
from sandboxes.host_sandbox import HostSandbox
from sandboxes.namespace import check_argv
from sandboxes.process import Finished, Live
from sandboxes.running import Running

_TRIES = 3
_OPEN_FILES = 1024
_MOST_BYTES = 1 << 20
"""Of a command line with its environment; the kernel takes twice as much."""
_DEFAULT_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "HOME": "/tmp",  # noqa: S108 - a private tmpfs inside the sandbox
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/tmp",  # noqa: S108 - a private tmpfs inside the sandbox
    "USER": "sandbox",
}


@dataclass(frozen=True, slots=True)
class Yard:
    """What makes containers on this machine."""

    engine: Engine
    recipe: Recipe
    owner: int | None
    """To whom workspaces are given; None where the server itself is not root."""
    capabilities: Capabilities
    """What was proved of the containers."""
    pool: Pool | None = None
    """None where workspaces can be shown only to containers that are made for them."""

    async def box(self, spec: SandboxSpec) -> Box:
        """Return a container that shows the workspace of `spec`.

        Raises:
            SandboxError: none could be made.
        """
        path = spec.workspace.absolute()
        if self.pool is None:
            raw = await self._made(bounds_of(spec.limits), str(path))
            return await open_box(self.engine, raw)
        box, number, pid = await self._empty_box(self.pool, spec)
        try:
            await self.engine.ask(mount_into, number, pid, path, MOUNT_POINT)
        except BaseException:
            box.discard()
            raise
        return box

    async def _empty_box(self, pool: Pool, spec: SandboxSpec) -> tuple[Box, str, int]:
        bounds = bounds_of(spec.limits)
        for _ in range(_TRIES):
            raw = pool.take(bounds)
            if raw is None:
                break
            try:
                return await open_box(self.engine, raw), raw.number, raw.pid
            except SandboxGoneError:
                continue
        raw = await self._made(bounds)
        return await open_box(self.engine, raw), raw.number, raw.pid

    async def _made(self, bounds: Bounds, workspace: str | None = None) -> Raw:
        """Make a container; whoever is cancelled meanwhile leaves none behind."""
        engine = self.engine
        make = engine.ask(make_raw, engine, self.recipe, bounds, workspace)
        making = asyncio.create_task(make)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda task: _give_up_made(engine, task))
            raise


class DockerSandbox(HostSandbox):
    """Runs commands in a container and reaches the workspace from outside."""

    def __init__(
        self, yard: Yard, spec: SandboxSpec, workspace: Workspace, watch: Watch | None
    ) -> None:
        """Use a workspace that is open; `open_sandbox` opens it.

        Raises:
            ValueError: the network's allow-list says something that cannot be kept to.
        """
        self._way_out = WayOut(spec.network, watch)
        super().__init__(workspace, Running(), spec)
        self._yard = yard
        self._box: Box | None = None
        self._making = asyncio.Lock()
        self._disk_before = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        return self._yard.capabilities

    async def ready(self) -> Box:
        """Return the container, another one if the last was lost.

        Raises:
            SandboxError: none could be made.
        """
        async with self._making:
            if self._box is None or not self._box.usable:
                if self._box is not None:
                    self._box.discard()
                self._box = await self._yard.box(self._spec)
                await self._way_out.open(self._box.wire)
            return self._box

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Command:
        """Start `argv` in `/work`.

        Raises:
            SandboxError: the container failed.
            ValueError: `argv` or `env` cannot be passed to a program.
        """
        check_argv(argv)
        check_ports(ports)
        bounds = limits or self._spec.limits
        given = {**_DEFAULT_ENV, **self._way_out.env, **self._environment(env)}
        order = _ordered(argv, given, bounds)
        return await self._running.start(partial(self._start, order, bounds, ports))

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        if await self._running.close():
            await self._way_out.close()
            async with self._making:
                if self._box is not None:
                    self._box.discard()
                    await asyncio.sleep(0)  # the loop closes a socket in its next turn
            self._files.close()

    async def _start(self, order: Order, limits: Limits, exposed: Sequence[int]) -> Command:
        bounds = bounds_of(limits)
        box = await self._reserved(bounds)
        ports = Ports(box.wire)
        try:
            await ports.open(exposed)
            child = Contained(box, box.wire.start(order))
        except BaseException:
            await ports.close()
            box.release(bounds)
            raise
        guard = ContainerGuard(child, self._files, limits, self._disk_before)

        async def conclude(finished: Finished) -> ExecResult:
            await ports.close()
            box.release(bounds)
            self._disk_before = await asyncio.to_thread(self._files.usage)
            over = self._disk_before > max(limits.disk_bytes, guard.disk_before)
            return _result(finished, child, over_disk=over)

        return Command(Live(child, limits, guard, self._blot), conclude, ports.addresses)

    async def _reserved(self, bounds: Bounds) -> Box:
        """Return the container under `bounds`; a fresh one where the last holds more already."""
        box = await self.ready()
        try:
            await box.reserve(bounds)
        except SandboxError:
            if not box.idle:
                raise
            await box.destroy()
            box = await self.ready()
            await box.reserve(bounds)
        return box


def _give_up_made(engine: Engine, making: asyncio.Task[Raw]) -> None:
    if not making.cancelled() and making.exception() is None:
        engine.submit(give_up, engine, making.result())


async def open_sandbox(yard: Yard, spec: SandboxSpec, watch: Watch | None = None) -> DockerSandbox:
    """Open the workspace of `spec`, making the folder, and a container that shows it.

    Raises:
        SandboxError: the container could not be made.
        ValueError: the network's allow-list says something that cannot be kept to.
    """
    path = spec.workspace.absolute()
    workspace = await asyncio.to_thread(lambda: Workspace(path, owner=yard.owner))
    try:
        place = DockerSandbox(yard, spec, workspace, watch)
    except ValueError:
        workspace.close()
        raise
    try:
        await place.ready()
    except BaseException:
        await place.close()
        raise
    return place


def _ordered(argv: Sequence[str], env: Mapping[str, str], limits: Limits) -> Order:
    check_env(env)
    cpu_s = math.ceil(limits.wall_s * max(1.0, limits.cpu_cores)) + 1
    bounds = (
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
    )
    order = Order(argv, env, bounds, MOUNT_POINT)
    if len(order.packed()) > _MOST_BYTES:
        msg = "the command line is too long; write the data to a file or to stdin"
        raise ValueError(msg)
    return order


def _result(finished: Finished, child: Contained, *, over_disk: bool) -> ExecResult:
    ended, code = child.ended, finished.returncode
    outcome = finished.outcome
    if outcome is None and child.out_of_memory:
        outcome = Outcome.OOM
    if outcome is None and over_disk:
        outcome = Outcome.DISK_LIMIT
    itself = outcome is None
    return ExecResult(
        outcome=outcome or (Outcome.SIGNALED if code < 0 else Outcome.EXITED),
        exit_code=code if itself and code >= 0 else None,
        signal=-code if itself and code < 0 else None,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        cpu_s=ended.cpu_us / 1e6 if ended else None,
        peak_memory_bytes=ended.peak_memory if ended else None,
        survivors_killed=finished.killed,
    )
