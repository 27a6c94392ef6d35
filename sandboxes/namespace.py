"""One workspace whose commands each run in fresh namespaces."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sandboxes.base import (
    Capabilities,
    ExecResult,
    Limits,
    Outcome,
    PolicyRefusedError,
    SandboxError,
    SandboxSpec,
    Watch,
)
from sandboxes.command import Command
from sandboxes.confinement import Tools, View, confined, inner_python, supervised
from sandboxes.files import Workspace
from sandboxes.guard import BubblewrapGuard, parse_report
from sandboxes.host_sandbox import HostSandbox
from sandboxes.interpreter import Interpreter
from sandboxes.launcher import Launcher, Mounts, Passed
from sandboxes.places import Place, Places
from sandboxes.process import Child, Finished, Live
from sandboxes.relay import Line, Relay
from sandboxes.running import Running

_SIGNAL_BASE = 128
_REPORT_BYTES = 4096
_SIGNALS = frozenset(int(number) for number in signal.Signals)


@dataclass(frozen=True, slots=True)
class Host:
    """What this machine offers to make namespaces with."""

    tools: Tools
    launcher: Launcher
    interpreter: Interpreter
    program: bytes
    """The system-call filter."""
    places: Places
    tree_memory: bool
    """Whether control groups hold limits on whole trees."""

    def view(self, workspace: Path, relay: Path | None) -> tuple[View, Mounts]:
        """Return where the user of the sandboxes finds what is shown, and the mounts for it."""
        shown, mounts = self.launcher.see("work", workspace)
        tree: str | None = None
        if self.interpreter.tree is not None:
            tree, more = self.launcher.see("python", self.interpreter.tree)
            mounts = (*mounts, *more)
        sockets: str | None = None
        if relay is not None:
            sockets, more = self.launcher.see("control", relay)
            mounts = (*mounts, *more)
        return View(shown, self.interpreter, tree, sockets), mounts


class NamespaceSandbox(HostSandbox):
    """Runs commands through bubblewrap and reaches the workspace from outside."""

    def __init__(
        self,
        host: Host,
        spec: SandboxSpec,
        capabilities: Capabilities,
        watch: Watch | None = None,
    ) -> None:
        """Open the workspace of `spec`, making the folder."""
        self._path = spec.workspace.absolute()
        super().__init__(Workspace(self._path, owner=host.launcher.user), Running(), spec)
        self._host = host
        self._capabilities = capabilities
        self._relay = Relay(spec.network, watch, owner=host.launcher.user)
        self._disk_before = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        return self._capabilities

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
            SandboxError: bubblewrap failed.
            ValueError: `argv` or `env` cannot be passed to a program, or there is no such port.
            PolicyRefusedError: ports are asked for and cannot be exposed here.
        """
        check_argv(argv)
        if ports and not self._capabilities.ports:
            msg = "bubblewrap cannot expose ports here; its probe tells why"
            raise PolicyRefusedError(msg)
        merged = self._environment(env)
        bounds = limits or self._spec.limits
        return await self._running.start(partial(self._start, argv, merged, bounds, ports))

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        if await self._running.close():
            await self._relay.close()
            self._files.close()

    async def _start(
        self, argv: Sequence[str], env: Mapping[str, str], limits: Limits, ports: Sequence[int]
    ) -> Command:
        line = await self._connected(ports)
        try:
            return await self._started(argv, env, limits, line)
        except BaseException:
            if line is not None:
                await line.close()
            raise

    async def _connected(self, ports: Sequence[int]) -> Line | None:
        try:
            return await self._relay.line(ports)
        except OSError as error:
            msg = f"the sockets that connect the sandbox could not be made: {error}"
            raise SandboxError(msg) from error

    async def _started(
        self, argv: Sequence[str], env: Mapping[str, str], limits: Limits, line: Line | None
    ) -> Command:
        place = self._host.places.take(limits)
        told = _Told(self._host.launcher.user)
        guard = BubblewrapGuard(
            workspace=self._files,
            limits=limits,
            status=told.status,
            watch_memory=place.group is None,
            disk_before=self._disk_before,
            helpers=0 if line is None else 1,
        )
        try:
            child = await self._launched(place, told, argv, env, limits, line)
        except BaseException:
            told.close()
            place.slot.close()
            self._host.places.give(place)
            raise
        conclude = partial(self._conclude, place=place, told=told, guard=guard, line=line)
        live = Live(child, limits, guard, self._blot)
        return Command(live, conclude, line.addresses if line else None)

    async def _launched(
        self,
        place: Place,
        told: "_Told",
        argv: Sequence[str],
        env: Mapping[str, str],
        limits: Limits,
        line: Line | None,
    ) -> Child:
        passed = Passed()
        report, status = passed.add(told.report_end), passed.add(told.status_end)
        view, mounts = self._host.view(self._path, self._relay.folder if line else None)
        if line is not None:
            argv = [inner_python(self._host.interpreter), *line.prefix, *argv]
            env = {**line.env, **env}
            limits = limits.model_copy(update={"pids": limits.pids + 1})
        inner = supervised(argv, limits, report=report, tree_memory=place.group is not None)
        with confined(
            self._host.tools, view, passed, env=env, program=self._host.program, status=status
        ) as start:
            owner = self._host.launcher.user
            child = await place.slot.start([*start, *inner], mounts, passed, owner)
        told.keep_reading()
        return child

    async def _conclude(
        self,
        finished: Finished,
        *,
        place: Place,
        told: "_Told",
        guard: BubblewrapGuard,
        line: Line | None,
    ) -> ExecResult:
        try:
            report = told.read_report()
            oom = place.ran_out_of_memory()
            peak = place.group.peak() if place.group else guard.peak_memory or None
        finally:
            told.close()
            self._host.places.give(place)
            if line is not None:
                await line.close()
        self._disk_before = await asyncio.to_thread(self._files.usage)
        over = guard.is_over(self._disk_before)
        return _result(finished, guard, report, oom=oom, over=over, peak=peak)


class _Told:
    """What bubblewrap and the supervisor inside tell, each through a pipe."""

    def __init__(self, owner: int | None) -> None:
        self.status, self.status_end = os.pipe()
        self.report, self.report_end = os.pipe()
        for reader in (self.status, self.report):
            os.set_blocking(reader, False)
        if owner is not None:
            os.fchown(self.report_end, owner, -1)
        self._open = [self.status, self.status_end, self.report, self.report_end]

    def keep_reading(self) -> None:
        """Close the ends that the child now has."""
        for descriptor in (self.status_end, self.report_end):
            self._open.remove(descriptor)
            os.close(descriptor)

    def read_report(self) -> bytes:
        """Return what the supervisor told."""
        with suppress(BlockingIOError):
            return os.read(self.report, _REPORT_BYTES)
        return b""

    def close(self) -> None:
        """Close what is open."""
        while self._open:
            os.close(self._open.pop())


def check_argv(argv: Sequence[str]) -> None:
    """Raise ValueError unless `argv` is a command a program can be started with."""
    if isinstance(argv, str) or not argv or not argv[0]:
        msg = f"expected a program and its arguments, got {argv!r}"
        raise ValueError(msg)
    for part in argv:
        if b"\0" in os.fsencode(part):
            msg = f"expected arguments without a NUL character, got {part!r}"
            raise ValueError(msg)


def _result(
    finished: Finished,
    guard: BubblewrapGuard,
    report: bytes,
    *,
    oom: bool,
    over: bool,
    peak: int | None,
) -> ExecResult:
    code = guard.field("exit-code")
    if code is None and finished.outcome is None and not (oom or finished.stopped):
        detail = finished.stderr.decode(errors="replace").strip()[:2000]
        msg = f"bubblewrap failed before or while the command ran: {detail or 'no message'}"
        raise SandboxError(msg)
    leftover, cpu_s = parse_report(report, guard.helpers)
    outcome = finished.outcome
    number: int | None = None
    if outcome is None and oom and code != 0:
        outcome = Outcome.OOM
    elif outcome is None and over:
        outcome = Outcome.DISK_LIMIT
    elif finished.stopped:
        outcome, number = Outcome.SIGNALED, int(signal.SIGKILL)
    elif outcome is None:
        number = (code or 0) - _SIGNAL_BASE if (code or 0) - _SIGNAL_BASE in _SIGNALS else None
        outcome = Outcome.EXITED if number is None else Outcome.SIGNALED
    return ExecResult(
        outcome=outcome,
        exit_code=code if finished.outcome is None and not finished.stopped else None,
        signal=number,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        cpu_s=None if cpu_s is None else min(cpu_s, finished.duration_s * (os.cpu_count() or 1)),
        peak_memory_bytes=peak,
        survivors_killed=finished.killed or min(leftover, guard.limits.pids),
    )
