"""Runs in a pod beside the commands: starts one, ends its tree, packs and unpacks the workspace.

It is sent to the pod as text and uses the standard library only. Nobody vouches for what it
says: whatever runs in the pod could say it instead, and would deceive itself only.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

_SUBREAPER = 36
_PAUSE_S = 0.2
_KILL_S = 8.0
_DEPTH = 100
_BLOCK = 4096
_OPEN_FILES = 1024
_REPORTS = "/tmp"  # noqa: S108 - a volume of the pod
_HEAD = struct.Struct(">I")
_NOTHING = (1 << 32) - 1
"""The length that says that the server lives, and nothing else."""
_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def children_by_parent() -> dict[int, list[int]]:
    """Return the living processes by their parent."""
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if fields[0] not in (b"Z", b"X"):
                    found.setdefault(int(fields[1]), []).append(int(entry))
    return found


def descendants(root: int) -> list[int]:
    """Return every process below `root`."""
    by_parent, queue = children_by_parent(), [root]
    found: list[int] = []
    while queue:
        below = by_parent.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_below(root: int) -> int:
    """Kill everything below a process that adopts orphans; return how many that were."""
    killed: set[int] = set()
    until = time.monotonic() + _KILL_S
    while time.monotonic() < until:
        living = descendants(root)
        if not living:
            break
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(living)
        if root == os.getpid():
            reap()
        time.sleep(0.005)
    return len(killed)


def reap() -> None:
    """Take the ends of adopted processes."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def oom_kills() -> int:
    """Return how many processes were killed for memory in this pod."""
    for path in _MEMORY_EVENTS:
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def usage() -> int:
    """Return the bytes that the workspace takes."""
    total = 0
    for folder, folders, files in os.walk("."):
        for name in folders + files:
            with contextlib.suppress(OSError):
                total += max(_BLOCK, os.lstat(os.path.join(folder, name)).st_blocks * 512)
    return total


def read_frame(source: IO[bytes]) -> bytes | None:
    """Return the next frame of stdin; None when the server hung up."""
    size = _NOTHING
    while size == _NOTHING:
        head = source.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        size = _HEAD.unpack(head)[0]
    data = source.read(size)
    return data if len(data) == size else None


class Run:
    """One command, its stdin, and who watches it."""

    def __init__(self, token: str, spec: dict[str, Any]) -> None:
        self.token = token
        self.limits: dict[str, Any] = spec["limits"]
        self.over_disk = self.deserted = False
        self.ended = threading.Event()
        self.ooms = oom_kills()
        self.used = usage()
        self.child = subprocess.Popen(
            spec["argv"],
            stdin=subprocess.PIPE,
            env=spec["env"],
            start_new_session=True,
            preexec_fn=self.restrict,
        )

    def restrict(self) -> None:
        """Set what the kernel bounds for each process, in the command."""
        limits = self.limits
        cpu = int(limits["wall_s"] * max(1.0, limits["cpu_cores"])) + 2
        for kind, value in (
            (resource.RLIMIT_NPROC, limits["pids"] + 4),
            (resource.RLIMIT_FSIZE, limits["file_bytes"]),
            (resource.RLIMIT_NOFILE, _OPEN_FILES),
            (resource.RLIMIT_CPU, cpu),
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")

    def feed(self, source: IO[bytes]) -> None:
        """Pass on stdin; when the server hangs up, nobody waits any more."""
        with contextlib.suppress(OSError):
            while (data := read_frame(source)) is not None:
                self.pass_on(data)
        if not self.ended.is_set():
            self.deserted = True
            kill_below(os.getpid())

    def pass_on(self, data: bytes) -> None:
        """Write to the command's stdin, or close it when there is nothing more."""
        pipe = self.child.stdin
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None and not data:
                pipe.close()
            elif pipe is not None and not pipe.closed:
                pipe.write(data)
                pipe.flush()

    def watch(self) -> None:
        """End it when the workspace grows over its limit."""
        while not self.ended.wait(_PAUSE_S):
            used = usage()
            if used > max(self.limits["disk_bytes"], self.used):
                self.over_disk = True
                kill_below(os.getpid())

    def report(self) -> int:
        """Wait for the end and leave behind what there is to tell."""
        code = self.child.wait()
        self.ended.set()
        left = kill_below(os.getpid())
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = {
            "code": code,
            "oom": oom_kills() > self.ooms,
            "disk": self.over_disk,
            "left": left,
            "cpu_s": spent.ru_utime + spent.ru_stime,
            "peak": spent.ru_maxrss * 1024,
        }
        with open(f"{_REPORTS}/strop-{self.token}", "w") as file:
            json.dump(told, file)
        return code


def run(token: str) -> int:
    """Run the command that the first frame of stdin describes."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    source = sys.stdin.buffer
    first = read_frame(source)
    if not first:
        return 1
    spec = json.loads(first)
    try:
        one = Run(token, spec)
    except OSError as error:
        print(f"{spec['argv'][0]}: {error.strerror}", file=sys.stderr)
        return 126 if isinstance(error, PermissionError) else 127
    for work in (lambda: one.feed(source), one.watch):
        threading.Thread(target=work, daemon=True).start()
    code = one.report()
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)


def kill(token: str) -> int:
    """End the command of `token` and everything below it; say whether nothing is left."""
    killed, until = 0, time.monotonic() + _KILL_S
    while (keeper := keeper_of(token)) is not None and time.monotonic() < until:
        killed += kill_below(keeper)
        if not descendants(keeper):
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL)
        time.sleep(0.005)
    print(json.dumps({"killed": killed, "gone": keeper_of(token) is None}))
    return 0


def keeper_of(token: str) -> int | None:
    """Return the process that runs the command of `token`."""
    wanted = [b"run", token.encode()]
    for pids in children_by_parent().values():
        for pid in pids:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().split(b"\0")[-3:-1] == wanted:
                    return pid
    return None


def tree() -> Iterator[str]:
    """Yield the paths in the workspace, folders before what they hold."""
    for folder, folders, files in os.walk("."):
        folders.sort()
        if folder.count("/") > _DEPTH - 2:
            folders[:] = []
        for name in folders:
            enterable(os.path.join(folder, name))
        for name in folders + sorted(files):
            yield os.path.normpath(os.path.join(folder, name))


def enterable(folder: str) -> None:
    """Give the owner of a folder the right to look into it."""
    with contextlib.suppress(OSError):
        info = os.lstat(folder)
        if stat.S_ISDIR(info.st_mode) and info.st_mode & 0o700 != 0o700:
            os.chmod(folder, stat.S_IMODE(info.st_mode) | 0o700)


def digest() -> str:
    """Return what changes when anything in the workspace changes."""
    seen = hashlib.sha256()
    for path in tree():
        with contextlib.suppress(OSError):
            info = os.lstat(path)
            seen.update(
                repr((path, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino)).encode()
            )
    return seen.hexdigest()


def pack(token: str, known: str) -> int:
    """Print the report of a command, then the workspace as a tar if it is not the known one."""
    told: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        with open(f"{_REPORTS}/strop-{token}") as file:
            told = json.load(file)
        os.unlink(f"{_REPORTS}/strop-{token}")
    now = digest()
    head = json.dumps({"report": told, "digest": now, "changed": now != known})
    sys.stdout.buffer.write(head.encode() + b"\n")
    if now != known:
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in tree():
                add(tar, path)
    sys.stdout.buffer.flush()
    return 0


def add(tar: tarfile.TarFile, path: str) -> None:
    """Put a file, folder or link into a tar, if it can be read."""
    with contextlib.suppress(OSError):
        info: Any = tar.gettarinfo(path)
        if info is not None and info.isreg():
            with readable(path) as file:
                padded: Any = Padded(file)
                tar.addfile(info, padded)
        elif info is not None and (info.isdir() or info.issym() or info.islnk()):
            tar.addfile(info)


def readable(path: str) -> IO[bytes]:
    """Open a file, giving its owner the right to read it if need be."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return open(os.open(path, flags), "rb")
    except PermissionError:
        os.chmod(path, 0o600)
        return open(os.open(path, flags), "rb")


class Padded:
    """A file that is cut while it is read still has the length that was said."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        return self.file.read(size).ljust(size, b"\0")


def unpack() -> int:
    """Remove from the workspace what stdin names, and add the tar that comes after it."""
    source = sys.stdin.buffer
    names = b"".join(iter(lambda: read_frame(source) or b"", b""))
    for path in json.loads(names):
        remove(path)
    frames: Any = Frames(source)
    with tarfile.open(fileobj=frames, mode="r|*") as tar:
        for member in tar:
            if not (member.isdir() and os.path.isdir(member.name)):
                remove(member.name)
            if hasattr(tarfile, "fully_trusted_filter"):
                tar.extract(member, filter="fully_trusted")
            else:
                tar.extract(member)
    print(digest())
    return 0


def remove(path: str) -> None:
    """Remove whatever has this name."""
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


class Frames:
    """The frames of stdin as one file, until an empty one."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self.rest, self.open = b"", True

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        while self.open and len(self.rest) < size:
            data = read_frame(self.source)
            self.open = bool(data)
            self.rest += data or b""
        data, self.rest = self.rest[:size], self.rest[size:]
        return data


def prove() -> int:
    """Tell what holds in this pod."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    print(
        json.dumps(
            {
                "an ordinary user": os.getuid() != 0,
                "no new privileges": status["NoNewPrivs"].strip() == "1",
                "no capabilities": int(status["CapEff"], 16) == 0,
                "a system-call filter": status["Seccomp"].strip() == "2",
                "a read-only system": not os.access("/usr", os.W_OK),
                "no token of a service account": not os.path.exists(
                    "/var/run/secrets/kubernetes.io/serviceaccount/token"
                ),
                "a workspace": os.access(".", os.W_OK),
                "no network": not reaches_the_cluster(),
            }
        )
    )
    return 0


def reaches_the_cluster() -> bool:
    """Try the one address that every pod knows: the cluster's own API."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    try:
        with socket.create_connection((host, int(port)), timeout=3):
            return True
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    verbs: dict[str, Callable[..., int]] = {
        "run": run,
        "kill": kill,
        "pack": pack,
        "unpack": unpack,
        "prove": prove,
    }
    sys.exit(verbs[sys.argv[1]](*sys.argv[2:]))
