"""What Strop asks of a Docker engine; the only file that knows the library.

Calls block and are made in a few threads of their own, so that an engine that hangs holds
up nothing but its own sandboxes.
"""

import asyncio
import json
import socket
import threading
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sandboxes.base import SandboxError, SandboxUnavailableError

_T = TypeVar("_T")

IMAGE = "strop-sandbox"
IMAGES = Path(__file__).parent / "images"
MARK = "strop.sandbox"
"""Every container made here has this label."""
_THREADS = 4
_TIMEOUT_S = 60
_SCRATCH_BYTES = 64 << 20
_OPEN_FILES = 1024
_SPARE_PIDS = 8
"""For the worker, and a keeper above each command."""
_GVISOR = "runsc"
_SCHEME = "unix://"


class Bounds(NamedTuple):
    """What the kernel enforces on a container as a whole."""

    memory_bytes: int
    pids: int
    cpu_cores: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is alike in all containers of a backend."""

    image: str
    user: int
    runtime: str | None
    labels: Mapping[str, str]


class Facts(NamedTuple):
    """What the engine says of itself."""

    runtimes: tuple[str, ...]
    limits: Mapping[str, bool]
    version: str


class State(NamedTuple):
    """What became of a container."""

    running: bool
    pid: int
    oom: bool


class Found(NamedTuple):
    """A container that Strop made at some time."""

    number: str
    labels: Mapping[str, str]
    running: bool


class _Library:
    """The library's client, made at the first need."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._client: Any = None
        self._lock = threading.Lock()

    def api(self) -> Any:  # noqa: ANN401 - the library has no types
        self.knock()
        with self._lock:
            if self._client is None:
                import docker  # noqa: PLC0415 - heavy

                self._client = docker.DockerClient(base_url=self._host, timeout=_TIMEOUT_S)
            return self._client.api

    def knock(self) -> None:
        """See that somebody listens; the library loses a socket that it cannot connect."""
        if not self._host.startswith(_SCHEME):
            msg = f"expected an engine on this machine as unix:///PATH, got {self._host!r}"
            raise SandboxUnavailableError(msg)
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_TIMEOUT_S)
            door.connect(self._host.removeprefix(_SCHEME))

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


class Engine:
    """One engine; connects at the first need."""

    def __init__(self, host: str) -> None:
        """Use the engine at a socket of this machine, since workspaces are shown by their paths."""
        self.host = host
        self._library = _Library(host)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="strop-docker")
        self.close = weakref.finalize(self, _shut, self._threads, self._library)
        """Let go of the engine; also called at the end of the process."""

    async def ask(self, call: Callable[..., _T], *args: object) -> _T:
        """Make a blocking call in a thread of this engine's."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def submit(self, call: Callable[..., object], *args: object) -> None:
        """Make a blocking call some time; nobody waits for it."""
        with suppress(RuntimeError):  # at the end of the process no thread starts any more
            self._threads.submit(call, *args)

    def facts(self) -> Facts:
        """Connect and return what the engine says of itself.

        Raises:
            SandboxUnavailableError: it cannot be reached; says what to do.
        """
        with self._translated("say what it is"):
            told = self._api().info()
        names = ("MemoryLimit", "PidsLimit", "CpuCfsQuota")
        return Facts(
            runtimes=tuple(told.get("Runtimes") or ()),
            limits={name: bool(told.get(name)) for name in names},
            version=str(told.get("ServerVersion", "?")),
        )

    def has_image(self, name: str) -> bool:
        """Return whether an image is there."""
        import docker.errors  # noqa: PLC0415 - heavy

        with self._translated("look for an image"):
            try:
                self._api().inspect_image(name)
            except docker.errors.ImageNotFound:
                return False
        return True

    def make(
        self, recipe: Recipe, bounds: Bounds, workspace: str | None
    ) -> tuple[str, socket.socket]:
        """Make a container and start it; return it with its attached stdin and stdout."""
        with self._translated("make a container"):
            api = self._api()
            made = api.create_container(
                recipe.image,
                ["python3", "-I", "-S", "-c", worker_text()],
                user=f"{recipe.user}:{recipe.user}",
                stdin_open=True,
                tty=False,
                working_dir="/",
                hostname="sandbox",
                stop_signal="SIGKILL",
                labels={MARK: "1", **recipe.labels},
                environment={},
                host_config=self._host_config(recipe, bounds, workspace),
                entrypoint=[],
            )
            number = str(made["Id"])
            attached: socket.socket | None = None
            try:
                attached = self._attach(number)
                api.start(number)
            except BaseException:
                if attached is not None:
                    attached.close()
                self.remove(number)
                raise
        return number, attached

    def update(self, number: str, bounds: Bounds) -> None:
        """Set what the kernel enforces on a container that runs."""
        with self._translated("change limits"):
            api = self._api()
            answer = api.post(
                f"{api.base_url}/v{api.api_version}/containers/{number}/update",
                json=_resources(bounds),
            )
            answer.raise_for_status()

    def state(self, number: str) -> State:
        """Return what became of a container; one that is gone does not run."""
        import docker.errors  # noqa: PLC0415 - heavy

        with self._translated("say what became of a container"):
            try:
                told = self._api().inspect_container(number)["State"]
            except docker.errors.NotFound:
                return State(running=False, pid=0, oom=False)
        return State(bool(told["Running"]), int(told["Pid"]), bool(told["OOMKilled"]))

    def remove(self, number: str) -> None:
        """Kill a container and remove it; it may be gone already."""
        import docker.errors  # noqa: PLC0415 - heavy

        with self._translated("remove a container"), suppress(docker.errors.NotFound):
            try:
                self._api().remove_container(number, force=True, v=True)
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):
                    raise

    def ours(self) -> list[Found]:
        """Return every container that Strop made, running or not."""
        with self._translated("list containers"):
            found = self._api().containers(all=True, filters={"label": MARK})
        return [
            Found(str(one["Id"]), dict(one.get("Labels") or {}), one.get("State") == "running")
            for one in found
        ]

    def build(self, name: str, base: str | None, say: Callable[[str], None]) -> None:
        """Build the image of the sandboxes from this folder's Dockerfile.

        Raises:
            SandboxUnavailableError: it cannot be built; says why and what to do.
        """
        arguments = {"BASE": base} if base else {}
        with self._translated("build the image"):
            lines = self._api().build(
                path=str(IMAGES), tag=name, rm=True, forcerm=True, decode=True, buildargs=arguments
            )
            failure = ""
            for line in lines:  # to the end, or the library loses a socket
                failure = failure or str(line.get("error", "")).strip()
                say(str(line.get("stream", "")).rstrip())
        if failure:
            msg = (
                f"the image could not be built: {failure}\n"
                "name a base that this engine has or can pull, with Python 3 or Debian's "
                "apt-get in it: ./strop sandboxes build --base IMAGE"
            )
            raise SandboxUnavailableError(msg)

    def load_base(self, name: str, archive: Path) -> None:
        """Make an image out of an archive of a whole system."""
        with self._translated("load a base"):
            self._api().import_image_from_file(str(archive), repository=name, tag="latest")

    def _attach(self, number: str) -> socket.socket:
        """Take over a connection to the engine; the library would close what it lends."""
        path = self.host.removeprefix(_SCHEME)
        query = "stream=1&stdin=1&stdout=1&stderr=1"
        asked = f"POST /v{self._api().api_version}/containers/{number}/attach?{query} HTTP/1.1"
        head = f"{asked}\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        attached = socket.socket(socket.AF_UNIX)
        try:
            attached.settimeout(_TIMEOUT_S)
            attached.connect(path)
            attached.sendall(head.encode())
            answer = b""
            while b"\r\n\r\n" not in answer and (part := attached.recv(1)):
                answer += part
            if b" 101 " not in answer[:20] and b" 200 " not in answer[:20]:
                msg = f"the Docker engine would not attach: {answer[:200]!r}"
                raise SandboxError(msg)
        except BaseException:
            attached.close()
            raise
        return attached

    def _host_config(self, recipe: Recipe, bounds: Bounds, workspace: str | None) -> Any:  # noqa: ANN401 - the library's
        given = self._api().create_host_config(
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", *_filter(recipe)],
            read_only=True,
            tmpfs={
                "/tmp": f"rw,nosuid,nodev,size={_SCRATCH_BYTES},mode=1777",  # noqa: S108 - inside
                **({} if workspace else {"/work": "ro,nosuid,nodev,size=4k"}),
            },
            binds=[f"{workspace}:/work:rw"] if workspace else [],
            shm_size=_SCRATCH_BYTES,
            log_config={"Type": "none", "Config": {}},
            ulimits=[
                {"Name": "nofile", "Soft": _OPEN_FILES, "Hard": _OPEN_FILES},
                {"Name": "core", "Soft": 0, "Hard": 0},
            ],
            ipc_mode="private",
            runtime=recipe.runtime,
            restart_policy={"Name": "no"},
        )
        return {**given, **_resources(bounds)}

    def _api(self) -> Any:  # noqa: ANN401 - the library has no types
        return self._library.api()

    @contextmanager
    def _translated(self, doing: str) -> Generator[None]:
        import docker.errors  # noqa: PLC0415 - heavy
        import requests.exceptions  # noqa: PLC0415 - heavy

        try:
            yield
        except docker.errors.APIError as error:
            msg = f"the Docker engine would not {doing}: {error.explanation or error}"
            raise SandboxError(msg) from error
        except docker.errors.DockerException as error:
            raise SandboxUnavailableError(_unreachable(self.host, error)) from error
        except requests.exceptions.HTTPError as error:
            told = error.response.text if error.response is not None else error
            msg = f"the Docker engine would not {doing}: {told}"
            raise SandboxError(msg) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise SandboxUnavailableError(_unreachable(self.host, error)) from error


def _shut(threads: ThreadPoolExecutor, library: _Library) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    library.close()


@cache
def worker_text() -> str:
    """Return the program that each container runs."""
    return (IMAGES / "worker.py").read_text(encoding="utf-8")


@cache
def _seccomp() -> str:
    profile = json.loads((IMAGES / "seccomp.json").read_text(encoding="utf-8"))
    profile["syscalls"] += _ioctl_rules()
    return json.dumps(profile)


def _ioctl_rules() -> list[dict[str, Any]]:
    """Allow every `ioctl` but TIOCSTI and TIOCLINUX, which type into a terminal.

    The kernel looks at the low half of the argument only, so each bit of that is compared by
    itself: a comparison of the whole would be fooled by the high half.
    """
    prefix, denied = 0x5410, {0x5412, 0x541C}
    differing = [(1 << bit, ~prefix & (1 << bit)) for bit in range(4, 32)]
    beside = [(0xFFFFFFFF, prefix + n) for n in range(16) if prefix + n not in denied]
    return [
        {
            "names": ["ioctl"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 1, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}],
        }
        for mask, value in (*differing, *beside)
    ]


def _filter(recipe: Recipe) -> Sequence[str]:
    return [] if recipe.runtime == _GVISOR else [f"seccomp={_seccomp()}"]


def _resources(bounds: Bounds) -> dict[str, int]:
    return {
        "Memory": bounds.memory_bytes,
        "MemorySwap": bounds.memory_bytes,
        "NanoCpus": int(bounds.cpu_cores * 1e9),
        "PidsLimit": bounds.pids + _SPARE_PIDS,
    }


def _unreachable(host: str, error: Exception) -> str:
    return (
        f"no Docker engine answers at {host} ({error}); start one (Debian: apt-get install "
        "docker.io) or say where it is: STROP_DOCKER_HOST=unix:///path/to/socket"
    )
