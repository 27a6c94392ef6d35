"""One workspace whose commands each run in fresh namespaces."""

import asyncio
import errno
import os
import signal
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from sandboxes.base import (
    Capabilities,
    ExecResult,
    FileInfo,
    Limits,
    Outcome,
    SandboxError,
    SandboxSpec,
)
from sandboxes.cgroup import Group, Groups
from sandboxes.confinement import Tools, View, confined, supervised
from sandboxes.files import Workspace
from sandboxes.guard import BubblewrapGuard, parse_report
from sandboxes.interpreter import Interpreter
from sandboxes.launcher import Launcher
from sandboxes.process import Finished, Launch, run
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
    groups: Groups | None


class NamespaceSandbox:
    """Runs commands through bubblewrap and reaches the workspace from outside."""

    def __init__(self, host: Host, spec: SandboxSpec, capabilities: Capabilities) -> None:
        """Open the workspace of `spec`, making the folder."""
        self._host = host
        self._spec = spec
        self._capabilities = capabilities
        self._path = spec.workspace.absolute()
        self._files = Workspace(self._path, owner=host.launcher.user)
        self._running = Running()
        self._disk_before = 0

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        return self._capabilities

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> ExecResult:
        """Run `argv` in `/work`; cancelling the caller kills the whole tree.

        Raises:
            SandboxError: bubblewrap failed; a failing command is a result.
            ValueError: `argv` or `env` cannot be passed to a program.
        """
        self._running.demand_open()
        check_argv(argv)
        merged = {**self._spec.env, **(env or {})}
        command = self._exec(argv, stdin, merged, limits or self._spec.limits)
        return await self._running.wait_for(command)

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = 1 << 20) -> bytes:
        """Return at most `max_bytes` of a regular file in the workspace."""
        self._running.demand_open()
        return await asyncio.to_thread(self._files.read, path, offset=offset, max_bytes=max_bytes)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file in the workspace, making its folders."""
        self._running.demand_open()
        await asyncio.to_thread(self._files.write, path, data)

    async def list(self, path: str = ".", *, max_entries: int = 10_000) -> "list[FileInfo]":
        """Return everything under `path`, sorted by path, links not followed."""
        self._running.demand_open()
        return await asyncio.to_thread(self._files.list, path, max_entries=max_entries)

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        if await self._running.close():
            self._files.close()
            if self._host.groups is not None:
                self._host.groups.clear()

    async def _exec(
        self, argv: Sequence[str], stdin: bytes, env: Mapping[str, str], limits: Limits
    ) -> ExecResult:
        with ExitStack() as stack:
            group = stack.enter_context(self._group(limits))
            status_reader, status_writer = stack.enter_context(_pipe())
            report_reader, report_writer = stack.enter_context(_pipe())
            if self._host.launcher.user is not None:
                os.fchown(report_writer, self._host.launcher.user, -1)
            view, mounts = self._view()
            start, passed = stack.enter_context(
                confined(
                    self._host.tools,
                    view,
                    env=env,
                    program=self._host.program,
                    status=status_writer,
                )
            )
            prefix = self._host.launcher.prefix(group.doors if group else (), mounts)
            inner = supervised(argv, limits, report=report_writer, tree_memory=group is not None)
            guard = BubblewrapGuard(
                workspace=self._files,
                limits=limits,
                status=status_reader,
                watch_memory=group is None,
                disk_before=self._disk_before,
            )
            launch = Launch([*prefix, *start, *inner], env={}, pass_fds=(*passed, report_writer))
            killed_before = group.oom_kills() if group else 0
            finished = await _run(launch, stdin, limits, guard)
            report = _read_now(report_reader)
            oom = group is not None and group.oom_kills() > killed_before
            peak = group.peak() if group else guard.peak_memory or None
        self._disk_before = await asyncio.to_thread(self._files.usage)
        over = guard.is_over(self._disk_before)
        return _result(finished, guard, report, oom=oom, over=over, peak=peak)

    def _view(self) -> tuple[View, Sequence[str]]:
        launcher, interpreter = self._host.launcher, self._host.interpreter
        workspace, mounts = launcher.see("work", self._path)
        tree: str | None = None
        if interpreter.tree is not None:
            tree, more = launcher.see("python", interpreter.tree)
            mounts = [*mounts, *more]
        return View(workspace, interpreter, tree), mounts

    @contextmanager
    def _group(self, limits: Limits) -> Generator[Group | None]:
        groups = self._host.groups
        if groups is None:
            yield None
            return
        try:
            group = groups.take()
            group.set(limits)
        except OSError as error:
            msg = f"the control group of the command could not be set up: {error}"
            raise SandboxError(msg) from error
        try:
            yield group
        finally:
            groups.give(group)


def check_argv(argv: Sequence[str]) -> None:
    """Raise ValueError unless `argv` is a command a program can be started with."""
    if isinstance(argv, str) or not argv or not argv[0]:
        msg = f"expected a program and its arguments, got {argv!r}"
        raise ValueError(msg)
    for part in argv:
        if b"\0" in os.fsencode(part):
            msg = f"expected arguments without a NUL character, got {part!r}"
            raise ValueError(msg)


async def _run(launch: Launch, stdin: bytes, limits: Limits, guard: BubblewrapGuard) -> Finished:
    try:
        return await run(launch, stdin, limits, guard)
    except OSError as error:
        if error.errno == errno.E2BIG:
            msg = "the command line is too long; write the data to a file or to stdin"
            raise ValueError(msg) from error
        msg = f"bubblewrap could not be started: {error}"
        raise SandboxError(msg) from error


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
    if code is None and finished.outcome is None and not oom:
        detail = finished.stderr.decode(errors="replace").strip()[:2000]
        msg = f"bubblewrap failed before or while the command ran: {detail or 'no message'}"
        raise SandboxError(msg)
    leftover, cpu_s = parse_report(report)
    outcome = finished.outcome
    number: int | None = None
    if outcome is None and oom and code != 0:
        outcome = Outcome.OOM
    elif outcome is None and over:
        outcome = Outcome.DISK_LIMIT
    elif outcome is None:
        number = (code or 0) - _SIGNAL_BASE if (code or 0) - _SIGNAL_BASE in _SIGNALS else None
        outcome = Outcome.EXITED if number is None else Outcome.SIGNALED
    return ExecResult(
        outcome=outcome,
        exit_code=code if finished.outcome is None else None,
        signal=number,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        cpu_s=cpu_s,
        peak_memory_bytes=peak,
        survivors_killed=finished.killed or leftover,
    )


@contextmanager
def _pipe() -> Generator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def _read_now(descriptor: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(descriptor, _REPORT_BYTES)
    return b""
