"""Ways of running `print(1)` that Strop has, each as a coroutine that is timed."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandboxes.base import (
    Isolation,
    Limits,
    Sandbox,
    SandboxBackend,
    SandboxSpec,
    SandboxUnavailableError,
    discover,
)
from sandboxes.containers import DockerBackend
from sandboxes.monty_pool import MontyPool
from sandboxes.python_session import PythonSession
from tests.support.docker_engine import DockerEngine

PYTHON = "/usr/bin/python3"
PRINT = [PYTHON, "-I", "-c", "print(1)"]
INSIDE = ["python3", "-I", "-c", "print(1)"]
_LIMITS = Limits(wall_s=30.0, memory_bytes=256 << 20)
_NUMBERS = itertools.count()

Work = Callable[[], Awaitable[float | None]]
"""Runs it once; returns milliseconds only if it measured itself."""


_SETTLE_S = 1.2


@dataclass(frozen=True)
class Case:
    """One way."""

    name: str
    work: Work
    burst: int = 1000
    """How many are run at concurrency 8; 0 for none."""
    repeat: int = 1
    """How many times it runs in a row in each round; more where it takes a millisecond or so."""
    settle_s: float = 0.0
    """How long to wait afterwards, since an engine goes on removing and making containers."""


class Grounds:
    """A folder for workspaces, and what was opened for the cases."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.notes: list[str] = []
        """What did not run, and why."""
        self._backends: dict[str, SandboxBackend | None] = {}

    def spec(self) -> SandboxSpec:
        """Return a sandbox with a new workspace."""
        return SandboxSpec(
            workspace=self.folder / f"w{next(_NUMBERS)}",
            limits=_LIMITS,
            min_isolation=Isolation.NONE,
        )

    async def usable(self, name: str) -> SandboxBackend | None:
        """Return a backend if it works here, else note why not."""
        if name not in self._backends:
            self._backends[name] = await self._found(name)
        return self._backends[name]

    async def _found(self, name: str) -> SandboxBackend | None:
        try:
            backend = discover()[name]()
            if name == "docker" and not os.access("/var/run/docker.sock", os.W_OK):
                backend = DockerBackend(host=self._engine())
            await backend.probe()
        except (SandboxUnavailableError, pytest.skip.Exception) as error:
            self.notes.append(f"{name} did not run: {error}")
            return None
        return backend

    def _engine(self) -> str:
        """Start an engine as the tests do, and return where it listens."""
        engine = DockerEngine()
        self.stack.callback(engine.remove)
        return engine.host

    async def kept(self, backend: SandboxBackend) -> Sandbox:
        """Return a sandbox that lives as long as the benchmark."""
        place = await backend.create(self.spec())
        self.stack.push_async_callback(place.close)
        return place


@asynccontextmanager
async def grounds() -> AsyncGenerator[Grounds]:
    """Hold a folder for workspaces."""
    with tempfile.TemporaryDirectory(prefix="strop-bench-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - users that sandboxes drop to pass through
        async with AsyncExitStack() as stack:
            yield Grounds(Path(folder), stack)


async def bare() -> None:
    """Start an interpreter without any protection."""
    process = await asyncio.create_subprocess_exec(
        *PRINT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env={}
    )
    out, _ = await process.communicate()
    expect(out)


def expect(out: bytes | str) -> None:
    """Fail unless the program ran."""
    text = out.decode() if isinstance(out, bytes) else out
    if text.strip() != "1":
        msg = f"expected 1, got {text[:300]!r}"
        raise RuntimeError(msg)


async def ours(ground: Grounds) -> list[Case]:
    """Return the cases that need nothing but Strop."""
    cases = [Case("bare interpreter, no protection", bare)]
    backend = await ground.usable("bubblewrap")
    if backend is not None:
        cases += [
            Case("bubblewrap, cold: new sandbox to print(1)", _cold(backend, ground)),
            Case(
                "bubblewrap, command in a sandbox that is there", _warm(await ground.kept(backend))
            ),
            Case("python worker, cold: new sandbox and interpreter", _worker(backend, ground), 0),
            Case("python worker, call", await _call(await ground.kept(backend), ground), repeat=10),
        ]
    pool = MontyPool()
    ground.stack.callback(pool.close)
    cases.append(Case("monty, fresh session in a warm worker", _monty(pool), repeat=10))
    return cases


async def docker(ground: Grounds) -> list[Case]:
    """Return the cases that need an engine and the image."""
    backend = await ground.usable("docker")
    if not isinstance(backend, DockerBackend):
        return []
    single = DockerBackend(host=backend.host, image=backend.image, pool_size=0)
    await single.probe()
    place = await ground.kept(backend)
    client = ["docker", "--host", backend.host]
    options = ["--rm", "--network", "none", "--cap-drop", "ALL", "--read-only"]
    options += ["--security-opt", "no-new-privileges", "--entrypoint", ""]
    kept = await _output([*client, "run", "-d", "--init", *options, backend.image, "sleep", "3600"])

    async def removed() -> None:
        await _output([*client, "rm", "-f", kept.strip()])

    ground.stack.push_async_callback(removed)
    run = _program([*client, "run", *options, backend.image, *INSIDE])
    execute = _program([*client, "exec", kept.strip(), *INSIDE])
    return [
        Case(
            "docker, pooled: new sandbox to print(1)", _cold(backend, ground), 0, settle_s=_SETTLE_S
        ),
        Case(
            "docker, no pool: new sandbox to print(1)", _cold(single, ground), 0, settle_s=_SETTLE_S
        ),
        Case("docker, command in a sandbox that is there", _warm(place)),
        Case("`docker exec`, for comparison", execute, 0),
        Case("`docker run`, for comparison", run, 0, settle_s=_SETTLE_S),
    ]


def _cold(backend: SandboxBackend, ground: Grounds) -> Work:
    async def work() -> None:
        place = await backend.create(ground.spec())
        try:
            expect((await place.exec(INSIDE)).stdout)
        finally:
            await place.close()

    return work


def _warm(place: Sandbox) -> Work:
    async def work() -> None:
        expect((await place.exec(INSIDE)).stdout)

    return work


def _worker(backend: SandboxBackend, ground: Grounds) -> Work:
    async def work() -> None:
        place = await backend.create(ground.spec())
        session = PythonSession(place, _LIMITS)
        try:
            expect((await session.run("print(1)")).result.stdout)
        finally:
            await session.close()
            await place.close()

    return work


async def _call(place: Sandbox, ground: Grounds) -> Work:
    """Spread calls over some interpreters, since one takes them one after the other."""
    sessions = [PythonSession(place, _LIMITS) for _ in range(8)]
    for session in sessions:
        await session.warm()
        ground.stack.push_async_callback(session.close)
    turns = itertools.cycle(sessions)

    async def work() -> None:
        expect((await next(turns).run("print(1)")).result.stdout)

    return work


def _monty(pool: MontyPool) -> Work:
    async def work() -> None:
        expect((await pool.run("print(1)", env={}, limits=_LIMITS)).stdout)

    return work


def _program(argv: list[str]) -> Work:
    async def work() -> None:
        expect(await _output(argv))

    return work


async def _output(argv: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        msg = f"{' '.join(argv[:3])} ended with {process.returncode}: {err[-300:]!r}"
        raise RuntimeError(msg)
    return out.decode()
