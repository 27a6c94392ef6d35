"""A bare process on the host, with no protection at all.

Covered: time limits, output caps and the kill of the process group, as for every backend.

Not covered: everything else. The command is the server's user, sees its files, its
network and its processes, and can outlive the kill by starting a session of its own. It is
for tests of the port and for people who say `unsafe` themselves.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sandboxes.base import (
    Address,
    Capabilities,
    ExecResult,
    Isolation,
    Limits,
    Outcome,
    PolicyRefusedError,
    Process,
    Sandbox,
    SandboxError,
    SandboxSpec,
    Watch,
    sandbox,
)
from sandboxes.command import Command
from sandboxes.files import Workspace
from sandboxes.host_sandbox import HostSandbox
from sandboxes.namespace import check_argv
from sandboxes.process import Finished, Live
from sandboxes.running import Running
from sandboxes.tree import descendants, kill_all

_DEFAULT_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_CAPABILITIES = Capabilities(
    isolation=Isolation.NONE,
    ports=True,
    notes=("nothing protects the host from commands run here",),
)


class _GroupGuard:
    """Kills the process group and what can be seen below it; watches nothing."""

    async def watch(self, pid: int) -> Outcome:
        """Wait to be cancelled."""
        await asyncio.Event().wait()
        raise AssertionError(pid)

    async def kill(self, pid: int) -> int:
        """Kill what still belongs to the command and return how many that were."""
        living = await asyncio.to_thread(descendants, pid)
        killed = kill_all(living)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
            killed = max(killed, 1)
        return killed


class LocalSandbox(HostSandbox):
    """A folder in which commands run as they would in a terminal."""

    def __init__(self, spec: SandboxSpec) -> None:
        """Open the workspace of `spec`, making the folder."""
        super().__init__(Workspace(spec.workspace), Running(), spec)

    @property
    def capabilities(self) -> Capabilities:
        """Say that nothing is enforced."""
        return _CAPABILITIES

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Process:
        """Start `argv` in the workspace; ports are the host's own.

        Raises:
            SandboxError: the process could not be started.
            ValueError: `argv` cannot be passed to a program.
        """
        check_argv(argv)
        merged = {**_DEFAULT_ENV, **self._environment(env)}
        addresses = {port: Address("127.0.0.1", port) for port in ports}
        bounds = limits or self._spec.limits
        return await self._running.start(partial(self._start, argv, merged, bounds, addresses))

    async def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        limits: Limits,
        addresses: Mapping[int, Address],
    ) -> Command:
        child = await _spawned(argv, env, str(self._spec.workspace))
        return Command(Live(child, limits, _GroupGuard(), self._blot), _result, addresses)

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        if await self._running.close():
            self._files.close()


@sandbox("unsafe-local")
class LocalBackend:
    """Makes folders that protect nothing."""

    async def probe(self) -> Capabilities:
        """Say that nothing is enforced."""
        return _CAPABILITIES

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make one.

        Raises:
            PolicyRefusedError: `spec` asks for any isolation, or for a network with bounds.
        """
        del watch  # nothing here sees what a command reaches
        if spec.network.mode != "none":
            msg = "unsafe-local cannot bound the network; it is the server's own"
            raise PolicyRefusedError(msg)
        if spec.min_isolation > Isolation.NONE:
            asked = spec.min_isolation.name
            msg = f"the spec asks for isolation {asked}, unsafe-local gives NONE"
            raise PolicyRefusedError(msg)
        return LocalSandbox(spec)


@dataclass(slots=True)
class _Spawned:
    """A process as asyncio starts it."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        return self.process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        return self.process.stdout

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        return self.process.stderr

    @property
    def returncode(self) -> int | None:
        return self.process.returncode

    async def wait(self) -> int:
        return await self.process.wait()

    def close(self) -> None:
        """Let go of pipes that something outside our reach still holds."""
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()


async def _spawned(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> _Spawned:
    try:
        return _Spawned(await _spawn(argv, env, cwd))
    except (FileNotFoundError, PermissionError) as error:
        # As a shell does for a program that is missing or not executable.
        code = 127 if isinstance(error, FileNotFoundError) else 126
        told = f"{error.filename}: {error.strerror}"
        script = ["/bin/sh", "-c", 'printf "%s\\n" "$1" >&2; exit "$2"', "sh", told, str(code)]
        return _Spawned(await _spawn(script, env, cwd))
    except OSError as error:
        if error.errno == errno.E2BIG:
            msg = "the command line is too long; write the data to a file or to stdin"
            raise ValueError(msg) from error
        msg = f"the process could not be started: {error}"
        raise SandboxError(msg) from error


async def _spawn(
    argv: Sequence[str], env: Mapping[str, str], cwd: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )


async def _result(finished: Finished) -> ExecResult:
    code = finished.returncode
    ended_itself = finished.outcome is None
    return ExecResult(
        outcome=finished.outcome or (Outcome.SIGNALED if code < 0 else Outcome.EXITED),
        exit_code=code if ended_itself and code >= 0 else None,
        signal=-code if ended_itself and code < 0 else None,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        survivors_killed=finished.killed,
    )
