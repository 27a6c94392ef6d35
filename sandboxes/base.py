"""What every sandbox must do, what it may promise, and how it can fail.

SandboxError                the sandbox itself failed, not the command in it
├── SandboxUnavailableError this backend cannot work here; the operator must act
├── SandboxGoneError        it was killed or lost; the caller may make another
├── PolicyRefusedError      the spec asks for more than this backend enforces
└── WorkspacePathError      a path leaves the workspace or is no regular file

A time-out, a kill for memory or output and a non-zero exit are results, not exceptions.
"""

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

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


class Network(Frozen):
    """What the commands of a sandbox may reach; by default nothing.

    Everything else is refused, and so are addresses of private networks, of this machine and
    of cloud metadata services, whatever name led to them.
    """

    mode: Literal["none", "allowlist"] = "none"
    domains: tuple[str, ...] = ()
    """`example.org`, `*.example.org` (not the bare name), with `:PORT` for another than 80 and 443;
    an IP address only with its port, and then even a private one."""
    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS")
    """Of plain HTTP; what passes inside TLS is not seen."""
    upload_bytes: int = 10 << 20
    """Of one connection, towards the network."""
    download_bytes: int = 100 << 20
    """Of one connection, towards the sandbox."""

    @model_validator(mode="after")
    def _demand_domains(self) -> Self:
        if (self.mode == "allowlist") != bool(self.domains):
            msg = f"expected domains with the mode 'allowlist' only, got {self.domains!r}"
            raise ValueError(msg)
        return self


class Egress(Frozen):
    """One decision about a connection that a command wanted."""

    host: str
    port: int
    method: str
    """`CONNECT` for TLS."""
    allowed: bool
    reason: str
    """Empty when allowed."""
    sent_bytes: int = 0
    received_bytes: int = 0


Watch = Callable[[Egress], None]
"""Is told each decision about the network as it is made, or when its connection ends."""


class SandboxSpec(Frozen):
    """What a sandbox is to be like."""

    workspace: Path
    """Directory on the host that appears as `/work`; the only place that survives."""
    env: Mapping[str, str] = {}
    """The whole environment of the commands; nothing is inherited."""
    secrets: Mapping[str, str] = {}
    """More of the environment, by reference: `env:NAME` or `file:PATH` on the host. The values
    are read when a command starts, and blotted out of what it prints."""
    limits: Limits = Limits()
    network: Network = Network()
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
    shell: bool = True
    """Whether it runs programs; an interpreter evaluates Python only."""
    network_allowlist: bool = False
    """Whether `Network` domains can be let through."""
    ports: bool = False
    """Whether `start` can expose ports to the host."""
    live_workspace: bool = True
    """Whether a command and the host see each other's changes while it runs."""
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


class Chunk(NamedTuple):
    """Some of what a command printed."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class Address(NamedTuple):
    """Where on the host an exposed port is reached."""

    host: str
    port: int


class Process(Protocol):
    """A command under way. Leaving its `async with` block kills the whole tree."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what still runs and wait until it is gone."""
        ...

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Yield what is printed, as it comes, until both streams end.

        A command that prints faster than is read has to wait. Once `wait` was called, what
        nobody read is drained and counted.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Write to its stdin; nothing happens when it reads no more."""
        ...

    async def close_stdin(self) -> None:
        """Let it read the end of its stdin."""
        ...

    def address(self, port: int) -> Address:
        """Return where the host reaches a port that was named to `start`.

        Raises:
            ValueError: it was not named.
        """
        ...

    async def wait(self) -> ExecResult:
        """Wait for its end and return it; being cancelled kills the tree. May be called again."""
        ...


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

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        ports: Sequence[int] = (),
    ) -> Process:
        """Start `argv` in `/work`, to be talked to while it runs.

        `ports` on which it will listen on its own `127.0.0.1` are exposed to the host's.

        Raises:
            SandboxError: the sandbox failed.
            PolicyRefusedError: this backend exposes no ports.
        """
        ...

    def blotted(self, data: bytes) -> bytes:
        """Return `data`, as long as before, with the values of the spec's secrets overwritten.

        Only what was read for a command that was started already is known.
        """
        ...

    async def read(self, path: str, *, offset: int = 0, max_bytes: int = 1 << 20) -> bytes:
        """Return at most `max_bytes` of a regular file in the workspace, secrets blotted out.

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

    async def upload(self, source: Path, path: str) -> int:
        """Copy a file of the host into the workspace, in pieces; return its bytes.

        Raises:
            WorkspacePathError: `path` leaves the workspace or is not a regular file.
            OSError: `source` cannot be read.
        """
        ...

    async def download(self, path: str, target: Path, *, max_bytes: int = 1 << 30) -> int:
        """Copy a regular file of the workspace to the host, in pieces; return its bytes.

        `target` is there whole or not at all.

        Raises:
            WorkspacePathError: as for `read`, or the file is bigger than `max_bytes`.
            OSError: `target` cannot be written.
        """
        ...

    async def snapshot(self, target: Path) -> int:
        """Write the workspace as a compressed archive to the host; return how many entries.

        Raises:
            SandboxError: it cannot be read.
            OSError: `target` cannot be written.
        """
        ...

    async def restore(self, source: Path) -> int:
        """Make the workspace what it was when `snapshot` wrote `source`; return how many entries.

        Raises:
            WorkspacePathError: the archive is damaged, too big, or names a place elsewhere; the
                workspace stays as it was.
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

    async def create(self, spec: SandboxSpec, *, watch: Watch | None = None) -> Sandbox:
        """Make a sandbox; `watch` is told what its commands reach and do not reach.

        Raises:
            SandboxUnavailableError: see `probe`.
            PolicyRefusedError: `spec` asks for isolation or for a network that is not had here.
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
