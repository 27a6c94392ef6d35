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

from sandboxes.base import (
    Capabilities,
    ExecResult,
    FileInfo,
    Isolation,
    Limits,
    Outcome,
    PolicyRefusedError,
    Sandbox,
    SandboxError,
    SandboxSpec,
    sandbox,
)
from sandboxes.files import Workspace
from sandboxes.namespace import check_argv
from sandboxes.process import Launch, run
from sandboxes.running import Running
from sandboxes.tree import descendants, kill_all

_DEFAULT_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_CAPABILITIES = Capabilities(
    isolation=Isolation.NONE, notes=("nothing protects the host from commands run here",)
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


class LocalSandbox:
    """A folder in which commands run as they would in a terminal."""

    def __init__(self, spec: SandboxSpec) -> None:
        """Open the workspace of `spec`, making the folder."""
        self._spec = spec
        self._files = Workspace(spec.workspace)
        self._running = Running()

    @property
    def capabilities(self) -> Capabilities:
        """Say that nothing is enforced."""
        return _CAPABILITIES

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> ExecResult:
        """Run `argv` in the workspace; cancelling the caller kills its process group.

        Raises:
            SandboxError: the process could not be started.
            ValueError: `argv` cannot be passed to a program.
        """
        self._running.demand_open()
        check_argv(argv)
        merged = {**_DEFAULT_ENV, **self._spec.env, **(env or {})}
        launch = Launch(list(argv), env=merged, cwd=str(self._spec.workspace))
        return await self._running.wait_for(_exec(launch, stdin, limits or self._spec.limits))

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


@sandbox("unsafe-local")
class LocalBackend:
    """Makes folders that protect nothing."""

    async def probe(self) -> Capabilities:
        """Say that nothing is enforced."""
        return _CAPABILITIES

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """Make one.

        Raises:
            PolicyRefusedError: `spec` asks for any isolation.
        """
        if spec.min_isolation > Isolation.NONE:
            asked = spec.min_isolation.name
            msg = f"the spec asks for isolation {asked}, unsafe-local gives NONE"
            raise PolicyRefusedError(msg)
        return LocalSandbox(spec)


async def _exec(launch: Launch, stdin: bytes, limits: Limits) -> ExecResult:
    try:
        finished = await run(launch, stdin, limits, _GroupGuard())
    except (FileNotFoundError, PermissionError) as error:
        return _not_started(error)
    except OSError as error:
        if error.errno == errno.E2BIG:
            msg = "the command line is too long; write the data to a file or to stdin"
            raise ValueError(msg) from error
        msg = f"the process could not be started: {error}"
        raise SandboxError(msg) from error
    code = finished.returncode
    return ExecResult(
        outcome=finished.outcome or (Outcome.SIGNALED if code < 0 else Outcome.EXITED),
        exit_code=code if finished.outcome is None and code >= 0 else None,
        signal=-code if finished.outcome is None and code < 0 else None,
        stdout=finished.stdout,
        stderr=finished.stderr,
        stdout_total=finished.stdout_total,
        stderr_total=finished.stderr_total,
        duration_s=finished.duration_s,
        survivors_killed=finished.killed,
    )


def _not_started(error: OSError) -> ExecResult:
    """Answer as a shell does for a program that is missing or not executable."""
    told = f"{error.filename}: {error.strerror}\n".encode()
    return ExecResult(
        outcome=Outcome.EXITED,
        exit_code=127 if isinstance(error, FileNotFoundError) else 126,
        stdout=b"",
        stderr=told,
        stdout_total=0,
        stderr_total=len(told),
        duration_s=0.0,
    )
