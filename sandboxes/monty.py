"""Python programs in an interpreter of their own, well under a millisecond each. No shell.

Covered: a program sees no file, no environment but its own, no network and no process; it
cannot start one, nor call into C. Time (sleep included), memory, depth of recursion and
output are bounded, and its worker is a process that is killed when it does not end. Each
program gets a fresh session.

Not covered: it is not CPython. A part of the language and of its library is there, no
package, and a command that is not a Python program is refused, as are ports and the
network. The workspace can be reached from outside, as for every backend, but not by
programs. The worker itself is an ordinary process of the server's user, without a system-call
filter: a flaw in the interpreter is a way out. So it is never chosen by itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sandboxes.base import (
    Capabilities,
    ExecResult,
    Isolation,
    Limits,
    PolicyRefusedError,
    Process,
    Sandbox,
    SandboxSpec,
    SandboxUnavailableError,
    Watch,
    sandbox,
)
from sandboxes.files import Workspace
from sandboxes.monty_pool import MontyPool
from sandboxes.running import Running
from sandboxes.workspace_files import HostFiles

_CAPABILITIES = Capabilities(
    isolation=Isolation.INTERPRETER,
    tree_memory=True,
    pids=True,
    disk_quota=True,
    tree_kill=True,
    network_none=True,
    shell=False,
    notes=(
        "it evaluates a part of Python only; programs see no files and nothing can be installed",
    ),
)
_OFFERED = (
    "monty only evaluates Python: ['python3', '-c', CODE], or ['python3', '-'] with the program "
    "on stdin, without arguments"
)
_PROGRAMS = frozenset({"python", "python3"})
_FLAGS = frozenset("BEIPqsSu")
_WITH_VALUE = frozenset({"-X", "-W"})
_PROOF_LIMITS = Limits(wall_s=2.0, memory_bytes=32 << 20)
_PROOF = """
def refused(attempt):
    try:
        attempt()
    except BaseException:
        return True
    return False

import os
held = [
    refused(lambda: open("/etc/passwd").read()),
    refused(lambda: os.listdir("/")),
    refused(lambda: os.system("true")),
    refused(lambda: __import__("socket")),
    os.getenv("PATH") is None,
]
print(held)
"""
_PROVEN = f"{[True] * 5}\n".encode()
_TOO_MUCH = "'a' * 10**9"


class MontySandbox(HostFiles):
    """A folder that its programs do not see, and programs that see nothing."""

    def __init__(self, pool: MontyPool, spec: SandboxSpec) -> None:
        """Open the workspace of `spec`, making the folder."""
        self._pool = pool
        self._spec = spec
        self._open = Running()
        self._programs: set[asyncio.Task[ExecResult]] = set()
        self._workspace = Workspace(spec.workspace)
        super().__init__(self._workspace, self._open)

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        return _CAPABILITIES

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> ExecResult:
        """Run a Python program in a fresh session; cancelling the caller kills its worker.

        Raises:
            PolicyRefusedError: `argv` is something else.
        """
        self._open.demand_open()
        code = program_of(argv, stdin)
        merged = {**self._spec.env, **(env or {})}
        program = asyncio.create_task(
            self._pool.run(code, env=merged, limits=limits or self._spec.limits)
        )
        self._programs.add(program)
        program.add_done_callback(self._programs.discard)
        return await self._ended(program)

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Process:
        """Refuse: a program has no stdin and no ports; `exec` runs it.

        Raises:
            PolicyRefusedError: always.
        """
        del env, limits, ports
        msg = f"a program cannot be talked to while it runs, got {list(argv)[:3]!r}; {_OFFERED}"
        raise PolicyRefusedError(msg)

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        if await self._open.close():
            programs = list(self._programs)
            for program in programs:
                program.cancel()
            await asyncio.gather(*programs, return_exceptions=True)
            self._workspace.close()

    async def _ended(self, program: asyncio.Task[ExecResult]) -> ExecResult:
        try:
            return await program
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                self._open.demand_open()
            raise


@sandbox("monty")
@dataclass
class MontyBackend:
    """Makes sandboxes out of an interpreter."""

    pool: MontyPool = field(default_factory=MontyPool)

    async def probe(self) -> Capabilities:
        """Run a program that tries what must not work.

        Raises:
            SandboxUnavailableError: there is no Monty for this machine, or it did not hold.
        """
        result = await self.pool.run(_PROOF, env={}, limits=_PROOF_LIMITS)
        bomb = await self.pool.run(_TOO_MUCH, env={}, limits=_PROOF_LIMITS)
        if result.stdout != _PROVEN or not bomb.oom:
            told = (result.stdout + result.stderr)[-300:].decode(errors="replace")
            msg = f"monty started, but did not refuse what it must refuse: {told}"
            raise SandboxUnavailableError(msg)
        return _CAPABILITIES

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a sandbox; `watch` is never told anything, there is no network.

        Raises:
            PolicyRefusedError: `spec` asks for more isolation, for a network or for secrets.
        """
        del watch
        if spec.min_isolation > _CAPABILITIES.isolation:
            asked, given = spec.min_isolation.name, _CAPABILITIES.isolation.name
            msg = f"the spec asks for isolation {asked}, monty gives {given}"
            raise PolicyRefusedError(msg)
        if spec.network.mode != "none" or spec.secrets:
            msg = f"monty has no network and keeps no secrets; {_OFFERED}"
            raise PolicyRefusedError(msg)
        return await asyncio.to_thread(MontySandbox, self.pool, spec)


def program_of(argv: Sequence[str], stdin: bytes) -> str:
    """Return the Python program that a command line runs.

    Raises:
        PolicyRefusedError: it is not a Python program, or has arguments.
        ValueError: `argv` is no command line.
    """
    if isinstance(argv, str) or not argv:
        msg = f"expected a program and its arguments, got {argv!r}"
        raise ValueError(msg)
    words = list(argv)
    if PurePosixPath(words.pop(0)).name in _PROGRAMS:
        while words and words[0].startswith("-") and words[0] not in {"-", "-c"}:
            word = words.pop(0)
            if word in _WITH_VALUE and words:
                words.pop(0)
            elif not _FLAGS.issuperset(word[1:]):
                break
        else:
            if len(words) == 2 and words[0] == "-c" and not stdin:
                return words[1]
            if words in ([], ["-"]):
                return _decoded(stdin)
    msg = f"{_OFFERED}; got {[word[:60] for word in argv][:4]!r}"
    raise PolicyRefusedError(msg)


def _decoded(stdin: bytes) -> str:
    try:
        return stdin.decode()
    except UnicodeDecodeError as error:
        msg = f"expected a program in UTF-8 on stdin, got {error}"
        raise PolicyRefusedError(msg) from error
