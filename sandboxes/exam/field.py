"""What attacks are tried on: processes, listeners and sandboxes that the exam made itself."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from sandboxes.base import ExecResult, Isolation, Sandbox, SandboxError, SandboxSpec
from sandboxes.check import EXAM_LIMITS, Trial, Verdict, apart
from sandboxes.check_contract import judge

TIGHT = EXAM_LIMITS.model_copy(
    update={
        "memory_bytes": 64 << 20,
        "disk_bytes": 64 << 20,
        "file_bytes": 32 << 20,
        "pids": 32,
        "wall_s": 10.0,
    }
)
_PAUSE_S = 0.01
REFUSED = b"refused"
"""What a script prints, and nothing else, that got nowhere."""

CALLS = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
arm = os.uname().machine == "aarch64"
NO = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS)
allowed = []
def tell():
    print("allowed", allowed) if allowed else print("refused")
def call(name, intel, other, *args):
    ctypes.set_errno(0)
    if libc.syscall(other if arm else intel, *args) >= 0:
        allowed.append(name)
    elif ctypes.get_errno() not in NO:
        allowed.append(f"{name} ({os.strerror(ctypes.get_errno())})")
def attempt(name, act):
    try:
        act()
        allowed.append(name)
    except (OSError, ValueError):
        pass
"""
"""Begins scripts that try things; a call that fails but for permission counts as let in."""


def refused(result: ExecResult) -> Verdict:
    """Return whether a script of attempts got nowhere."""
    return judge(result.stdout.strip() == REFUSED, result)


def not_leaked(trial: Trial, result: ExecResult) -> Verdict:
    """Return whether the planted secret stayed where it was."""
    leaked = trial.secret.encode() in result.stdout + result.stderr
    return judge(not leaked, "the planted secret came out" if leaked else "no secret came out")


def note(
    hits: list[str],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what a listener does: write down that it was reached."""

    async def noted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append("reached")
        writer.close()

    return noted


async def served(hits: list[str], result: ExecResult) -> None:
    """Let the loop accept what the attack says it connected to."""
    for _turn in range(100):
        if hits or b"connected" not in result.stdout:
            return
        await asyncio.sleep(0.01)


def reached(hits: list[str], result: ExecResult) -> Verdict:
    """Return whether a listener was left alone."""
    return judge(not hits, f"connections: {len(hits)}, {result.stdout[-80:]!r}")


@asynccontextmanager
async def bystander(
    env: Mapping[str, str], *args: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run an innocent process of the host for as long as the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-c", "print(flush=True); input()", *args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(env),
    )
    try:
        if process.stdout is not None:
            await process.stdout.readline()
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def another(
    trial: Trial, secrets: Mapping[str, str] | None = None
) -> AsyncGenerator[tuple[Sandbox, Path]]:
    """Make a second sandbox of the same backend, with a workspace of its own."""
    if trial.backend is None:
        msg = "the exam was given no backend to make another sandbox with"
        raise SandboxError(msg)
    with apart() as base:
        workspace = base / "workspace"
        spec = SandboxSpec(
            workspace=workspace,
            secrets=secrets or {},
            limits=EXAM_LIMITS,
            min_isolation=Isolation.NONE,
        )
        place = await trial.backend.create(spec)
        try:
            yield place, workspace
        finally:
            await place.close()


@contextmanager
def abstract_listener(name: str) -> Generator[socket.socket]:
    """Listen on an abstract Unix socket of the host."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        yield listener


def was_reached(listener: socket.socket) -> bool:
    """Return whether somebody connected or sent something."""
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something is so, or for long enough."""
    for _ in range(int(seconds / _PAUSE_S)):
        if holds():
            return True
        await asyncio.sleep(_PAUSE_S)
    return holds()
