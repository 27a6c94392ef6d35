"""The command line of bubblewrap: what a sandboxed command sees, and what it may use.

Options travel through a descriptor, not through the arguments, so that the environment of
a command is not on show in the process list of the host.
"""

import math
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sandboxes import relay
from sandboxes.base import Limits
from sandboxes.command import check_env
from sandboxes.files import MOUNT_POINT
from sandboxes.interpreter import Interpreter
from sandboxes.launcher import Passed

INNER_ID = 1000
"""User and group inside; outside it is the server's own or the dedicated user."""
_SCRATCH_BYTES = 64 << 20
_BROWSER_BYTES = 512 << 20
"""For its profile, and for what its processes share; both count as memory of the sandbox."""
_OPEN_FILES = 1024
_LINK_FOLDER = "/run/bin"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_OUTSIDE_USR = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SETTINGS = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
_MADE_UP = {
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nsandbox:x:1000:1000::/tmp:/bin/sh\n",
    "/etc/group": "root:x:0:\nsandbox:x:1000:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_DEFAULT_ENV = {
    "HOME": "/tmp",  # noqa: S108 - a private tmpfs inside the sandbox
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/tmp",  # noqa: S108 - a private tmpfs inside the sandbox
    "USER": "sandbox",
}
# Runs inside, as the first process there: the limits hold for this shell too, so that code put
# into it gains nothing. It tells how many processes were left over and the processor time used.
# Shells name the limit on processes differently; files are counted in blocks of 512 bytes.
_SUPERVISE = """processes=$1 files=$2 open=$3 cpu=$4 data=$5; shift 5; exec 4>&2 2>/dev/null
ulimit -c 0; ulimit -f $files; ulimit -n $open; ulimit -t $cpu; ulimit -d $data
ulimit -u $processes || ulimit -p $processes
(exec "$@" 2>&4 3>&- 4>&-); code=$?
{ set -- /proc/[0-9]*; echo $#; times; } >&3; exit $code"""
_REPORT = 3
"""The descriptor that the script above reports to."""
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Tools:
    """Programs of the host, with what the installed bubblewrap understands."""

    bwrap: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class View:
    """Where bubblewrap, as the user it runs as, finds what it must show."""

    workspace: str
    interpreter: Interpreter
    interpreter_tree: str | None
    relay: str | None = None
    browser: bool = False
    """Whether it makes a sandbox of its own inside, and needs more room for what it shares."""


@contextmanager
def as_descriptor(data: bytes) -> Generator[int]:
    """Hold `data` in an unnamed file whose descriptor a child can read."""
    descriptor = os.memfd_create("strop")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def confined(
    tools: Tools,
    view: View,
    passed: Passed,
    *,
    env: Mapping[str, str],
    program: bytes,
    status: int,
) -> Generator[list[str]]:
    """Yield the arguments that start bubblewrap, up to `--`; what it reads is added to `passed`."""
    with ExitStack() as stack:

        def readable(data: bytes) -> int:
            return passed.add(stack.enter_context(as_descriptor(data)))

        options = [
            *options_for(tools, view, env=env, program=program, readable=readable),
            *("--json-status-fd", str(status)),
        ]
        yield [tools.bwrap, "--args", str(readable(packed(options))), "--"]


def options_for(
    tools: Tools,
    view: View,
    *,
    env: Mapping[str, str],
    program: bytes,
    readable: Callable[[bytes], int],
) -> list[str]:
    """Return what bubblewrap is to do; it reads data by the descriptors that `readable` gives."""
    return [
        *_namespaces(tools, view),
        *_environment(env, view.interpreter),
        *_system(),
        *_python(view),
        *(("--ro-bind", view.relay, relay.FOLDER) if view.relay else ()),
        *_settings(readable),
        *_writable(tools, view),
        *("--seccomp", str(readable(program))),
    ]


def packed(options: Sequence[str]) -> bytes:
    """Return options as bubblewrap reads them from a descriptor."""
    return b"".join(os.fsencode(option) + b"\0" for option in options)


def inner_python(interpreter: Interpreter) -> str:
    """Return the path of the Python inside."""
    if interpreter.executable is not None:
        return f"{_LINK_FOLDER}/python3"
    return next(path for path in _PYTHONS if Path(path).exists())


def supervised(argv: Sequence[str], limits: Limits, *, report: int, tree_memory: bool) -> list[str]:
    """Return the command to run inside: `argv` under its limits, then a report."""
    if report != _REPORT:
        msg = f"expected the report's descriptor to be {_REPORT}, got {report}"
        raise ValueError(msg)
    cpu_s = math.ceil(limits.wall_s * max(1.0, limits.cpu_cores)) + 1
    bounds = [
        limits.pids + 2,
        max(1, limits.file_bytes // _BLOCK),
        _OPEN_FILES,
        cpu_s,
        "unlimited" if tree_memory else limits.memory_bytes >> 10,
    ]
    return ["/bin/sh", "-c", _SUPERVISE, "sh", *map(str, bounds), *argv]


def _namespaces(tools: Tools, view: View) -> list[str]:
    identity = str(INNER_ID)
    # A browser makes namespaces for its pages, and leaves children to the first process.
    closed = () if view.browser else ("--disable-userns", "--as-pid-1")
    optional = [option for option in closed if option in tools.options]
    return [
        *("--unshare-all", "--unshare-user", *optional),
        *("--uid", identity, "--gid", identity, "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--hostname", "sandbox"),
    ]


def _environment(env: Mapping[str, str], interpreter: Interpreter) -> list[str]:
    path = f"{_PATH}:{_LINK_FOLDER}" if interpreter.executable else _PATH
    options = ["--clearenv"]
    check_env(env)
    for name, value in {"PATH": path, **_DEFAULT_ENV, **env}.items():
        options += ["--setenv", name, value]
    return options


def _system() -> list[str]:
    options = ["--ro-bind", "/usr", "/usr"]
    for name in _OUTSIDE_USR:
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    # As root the kernel's own settings could otherwise be written: uid 0 is uid 0 outside.
    options += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    return options


def _settings(readable: Callable[[bytes], int]) -> list[str]:
    """Copy single files, since that is quicker than to mount them."""
    folders, files = _of_the_host()
    options = [part for folder in folders for part in ("--ro-bind", folder, folder)]
    for name, data in files.items():
        options += ["--perms", "0444", "--file", str(readable(data)), name]
    return options


@cache
def _of_the_host() -> tuple[list[str], dict[str, bytes]]:
    """Return the folders to show and the files to copy, as they are at the first command."""
    folders: list[str] = []
    files = {path: text.encode() for path, text in _MADE_UP.items()}
    for path in map(Path, _SETTINGS):
        if path.is_dir():
            folders.append(str(path))
        elif path.is_file():
            with suppress(OSError):
                files[str(path)] = path.read_bytes()
    return folders, files


def _python(view: View) -> list[str]:
    options: list[str] = []
    tree, executable = view.interpreter.tree, view.interpreter.executable
    if tree is not None:
        options += ["--ro-bind", view.interpreter_tree or str(tree), str(tree)]
    if executable is not None:
        options += ["--symlink", str(executable), f"{_LINK_FOLDER}/python3"]
    return options


def _writable(tools: Tools, view: View) -> list[str]:
    room = _BROWSER_BYTES if view.browser else _SCRATCH_BYTES
    size = ["--size", str(room)] if "--size" in tools.options else []
    return [
        *("--dev", "/dev", *size, "--tmpfs", "/dev/shm"),  # noqa: S108 - inside the sandbox
        *("--remount-ro", "/dev", *size, "--tmpfs", "/tmp"),  # noqa: S108 - inside the sandbox
        *("--bind", view.workspace, MOUNT_POINT, "--remount-ro", "/", "--chdir", MOUNT_POINT),
    ]
