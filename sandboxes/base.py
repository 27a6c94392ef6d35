"""What every sandbox must do, what it may promise, and how it can fail.

SandboxError                the sandbox itself failed, not the command in it
├── SandboxUnavailableError this backend cannot work here; the operator must act
├── SandboxGoneError        it was killed or lost; the caller may make another
├── PolicyRefusedError      the spec asks for more than this backend enforces
└── WorkspacePathError      a path leaves the workspace or is no regular file

A time-out, a kill for memory or output and a non-zero exit are results, not exceptions.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

import sandboxes


class Frozen(BaseModel):
    """An immutable value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Isolation(enum.IntEnum):
    """What an attacker would have to break; a spec states a floor."""

    NONE = 0
    INTERPRETER = 10
    PROCESS = 20
    NAMESPACE = 30
    USERKERNEL = 40
    VM = 50


class Limits(Frozen):
    """Bounds of one command."""

    wall_s: float = 30.0
    cpu_cores: float = 1.0
    memory_bytes: int = 512 << 20
    """Of the whole process tree where the backend can; see `Capabilities.tree_memory`."""
    pids: int = 64
    disk_bytes: int = 512 << 20
    """Of the workspace, polled while a command runs."""
    file_bytes: int = 100 << 20
    stdout_bytes: int = 1 << 20
    """Kept; the rest is drained and counted."""
    stderr_bytes: int = 1 << 20
    output_kill_bytes: int = 64 << 20
    """A command that prints more than this in all is killed."""


class SandboxSpec(Frozen):
    """What a sandbox is to be like."""

    workspace: Path
    """Directory on the host that appears as `/work`; the only place that survives."""
    env: Mapping[str, str] = {}
    """The whole environment of the commands; nothing is inherited."""
    limits: Limits = Limits()
    network: Literal["none"] = "none"
    min_isolation: Isolation = Isolation.NAMESPACE
    labels: Mapping[str, str] = {}


class Outcome(enum.StrEnum):
    """How a command ended."""

    EXITED = "exited"
    SIGNALED = "signaled"
    TIMED_OUT = "timed_out"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    DISK_LIMIT = "disk_limit"


class ExecResult(Frozen):
    """What a command left behind."""

    outcome: Outcome
    exit_code: int | None
    signal: int | None = None
    stdout: bytes
    stderr: bytes
    stdout_total: int
    """Bytes printed in all, kept or not."""
    stderr_total: int
    duration_s: float
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    survivors_killed: int = 0

    @property
    def ok(self) -> bool:
        """Whether the command exited with 0."""
        return self.outcome is Outcome.EXITED and self.exit_code == 0

    @property
    def timed_out(self) -> bool:
        """Whether the time limit ended it."""
        return self.outcome is Outcome.TIMED_OUT

    @property
    def oom(self) -> bool:
        """Whether the memory limit ended it."""
        return self.outcome is Outcome.OOM

    @property
    def killed(self) -> bool:
        """Whether the sandbox, not the command, ended it."""
        return self.outcome not in {Outcome.EXITED, Outcome.SIGNALED}

    @property
    def truncated(self) -> bool:
        """Whether less was kept than was printed."""
        return self.stdout_total > len(self.stdout) or self.stderr_total > len(self.stderr)


class FileInfo(Frozen):
    """One entry of the workspace."""

    path: str
    """Relative to the workspace, with `/`."""
    kind: Literal["file", "dir", "symlink", "other"]
    size: int
    mtime: float


class Capabilities(Frozen):
    """What `probe()` proved on this machine, not what the backend hopes."""

    isolation: Isolation
    tree_memory: bool = False
    """Whether the memory limit holds for the tree, not only per process."""
    pids: bool = False
    disk_quota: bool = False
    tree_kill: bool = False
    network_none: bool = False
    syscall_filter: bool = False
    notes: tuple[str, ...] = ()
    """What is weaker than wished on this machine, and what would mend it."""


class SandboxError(Exception):
    """The sandbox itself failed, not the command in it."""


class SandboxUnavailableError(SandboxError):
    """This backend cannot work here; the message says why and what to do."""


class SandboxGoneError(SandboxError):
    """The sandbox was closed, killed or lost."""


class PolicyRefusedError(SandboxError):
    """The spec asks for more isolation than this backend enforces."""


class WorkspacePathError(SandboxError):
    """The path leaves the workspace, is missing or is not of the kind asked for."""


class Sandbox(Protocol):
    """A place that runs commands on one workspace and can be thrown away."""

    @property
    def capabilities(self) -> Capabilities:
        """What this sandbox enforces."""
        ...

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
            SandboxError: the sandbox failed; a failing command is a result.
        """
        ...

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = 1 << 20) -> bytes:
        """Return at most `max_bytes` of a regular file in the workspace.

        Raises:
            WorkspacePathError: `path` leaves the workspace, is missing or is not a file.
        """
        ...

    async def write(self, path: str, data: bytes) -> None:
        """Write a file in the workspace, making its folders.

        Raises:
            WorkspacePathError: `path` leaves the workspace or is not a regular file.
        """
        ...

    async def list(self, path: str = ".", *, max_entries: int = 10_000) -> "list[FileInfo]":
        """Return everything under `path`, sorted by path, links not followed.

        Raises:
            WorkspacePathError: `path` leaves the workspace or is missing.
        """
        ...

    async def close(self) -> None:
        """Kill what still runs; the workspace stays. May be called twice."""
        ...


class SandboxBackend(Protocol):
    """A way of making sandboxes."""

    async def probe(self) -> Capabilities:
        """Run a real command and return what is enforced here.

        Raises:
            SandboxUnavailableError: it cannot work here; says why and what to do.
        """
        ...

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """Make a sandbox.

        Raises:
            SandboxUnavailableError: see `probe`.
            PolicyRefusedError: `spec.min_isolation` is above what holds here.
        """
        ...


BackendFactory = Callable[[], SandboxBackend]
_F = TypeVar("_F", bound=BackendFactory)
_BACKENDS: dict[str, BackendFactory] = {}


def sandbox(name: str) -> Callable[[_F], _F]:
    """Register a backend under `name`: the whole act of adding one."""

    def register(factory: _F) -> _F:
        if name in _BACKENDS:
            msg = f"two sandbox backends are called {name!r}"
            raise ValueError(msg)
        _BACKENDS[name] = factory
        return factory

    return register


def discover() -> dict[str, BackendFactory]:
    """Import every module of this package once and return what they registered."""
    for module in iter_modules(sandboxes.__path__, prefix="sandboxes."):
        import_module(module.name)
    return dict(_BACKENDS)
