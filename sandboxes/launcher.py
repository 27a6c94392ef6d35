"""Start bubblewrap as an unprivileged user, inside its control group.

Run by root, bubblewrap leaves the sandbox with the power of uid 0 over files of the host,
so root drops to a dedicated user first. That user cannot walk through the folders above a
workspace, so root shows the workspace to it in a private mount namespace.
"""

import asyncio
import errno
import json
import os
import shutil
import socket
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandboxes import launch_server
from sandboxes.base import SandboxError, SandboxUnavailableError
from sandboxes.pipes import open_reader, open_writer

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SLOTS = Path("/run/strop-sandbox")
_NAMES = ("work", "python", "control")
_CONTROL = 3
"""The number of the launch server's socket in its own process."""
_MESSAGE = 1 << 16

Mounts = Sequence[tuple[str, str]]
"""Folders of the host, and where they are shown."""


def find_program(name: str) -> str | None:
    """Return the path of a program of the host, whatever the PATH of this process."""
    return shutil.which(name, path=_SEARCH)


@dataclass(slots=True)
class Passed:
    """Descriptors for a command, and the numbers they will have there."""

    descriptors: list[int] = field(default_factory=list[int])

    def add(self, descriptor: int) -> int:
        """Pass `descriptor` on and return its number in the command."""
        self.descriptors.append(descriptor)
        return launch_server.FIRST_DESCRIPTOR + len(self.descriptors) - 1


@dataclass(slots=True)
class Child:
    """A started program, as much of it as `sandboxes.process` needs."""

    pid: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    slot: socket.socket
    transports: Sequence[asyncio.BaseTransport]
    returncode: int | None = None

    async def wait(self) -> int:
        """Wait for its end and return its code, negative for a signal.

        Raises:
            SandboxError: whoever started it died, and it with that, or it cannot be started.
            ValueError: its arguments are too long.
        """
        if self.returncode is None:
            answer = await _answer(self.slot)
            if "code" not in answer:
                if answer.get("errno") == errno.E2BIG:
                    msg = "the command line is too long; write the data to a file or to stdin"
                    raise ValueError(msg)
                msg = f"the command could not be started: {answer.get('failed')}"
                raise SandboxError(msg)
            self.returncode = int(answer["code"])
        return self.returncode

    def close(self) -> None:
        """Let go of its streams."""
        for transport in self.transports:
            transport.close()
        self.slot.close()


class Slot:
    """A child of the launch server that waits for its command."""

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        self._own = own

    async def start(
        self,
        argv: Sequence[str],
        mounts: Mounts,
        passed: Passed,
        owner: int | None,
    ) -> Child:
        """Let the child become `argv`; its ends of the streams belong to `owner`.

        Raises:
            SandboxError: it is gone.
        """
        answer = await _answer(self._own)
        if "pid" not in answer:
            msg = f"the sandbox's launcher failed: {answer.get('failed')}"
            raise SandboxError(msg)
        command: dict[str, Any] = {
            "argv": list(argv),
            "mounts": list(mounts),
            "env": {},
            "cwd": "/",
        }
        with _Ends(owner) as ends:
            payload = os.memfd_create("strop")
            try:
                _write(payload, json.dumps(command).encode())
                descriptors = [payload, *ends.theirs, *passed.descriptors]
                socket.send_fds(self._own, [b"go"], descriptors)
            except OSError as error:
                msg = f"the sandbox's launcher is gone: {error.strerror}"
                raise SandboxError(msg) from error
            finally:
                os.close(payload)
            return await ends.child(int(answer["pid"]), self._own)

    def close(self) -> None:
        """Let the child go home."""
        self._own.close()


class _Ends:
    """The pipes of one command; those not handed over are closed."""

    def __init__(self, owner: int | None) -> None:
        self._pipes = [os.pipe(), os.pipe(), os.pipe()]
        (self._in, self._ours_in), (self._ours_out, self._out), (self._ours_err, self._err) = (
            self._pipes
        )
        self.theirs = (self._in, self._out, self._err)
        self._ours = [self._ours_in, self._ours_out, self._ours_err]
        if owner is not None:  # so that it may open /dev/stdout
            for descriptor in self.theirs:
                os.fchown(descriptor, owner, -1)

    def __enter__(self) -> "_Ends":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (*self.theirs, *self._ours):
            os.close(descriptor)

    async def child(self, pid: int, slot: socket.socket) -> Child:
        stdin, writing = await open_writer(self._ours.pop(0))
        stdout, reading = await open_reader(self._ours.pop(0))
        stderr, erring = await open_reader(self._ours.pop(0))
        return Child(pid, stdin, stdout, stderr, slot, (writing, reading, erring))


@dataclass(slots=True, weakref_slot=True)
class Launcher:
    """Starts programs through a small process that is kept, as an ordinary user."""

    user: int | None
    """The user to drop to; None keeps the server's own, which is not root."""
    _control: socket.socket | None = field(default=None, init=False, repr=False)

    def see(self, name: str, path: Path) -> tuple[str, Mounts]:
        """Return where `path` will be seen, and the mount that brings it there."""
        if self.user is None:
            return str(path), []
        slot = str(_SLOTS / name)
        return slot, [(str(path), slot)]

    def prepare(self, doors: Sequence[Path]) -> Slot:
        """Have a child wait inside the control groups of `doors`; returns at once.

        Raises:
            SandboxError: the launch server cannot be started.
        """
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {"doors": [str(door) for door in doors], "user": self.user}
        message = json.dumps({**order, "private": self.user is not None}).encode()
        with other:
            try:
                self._send(message, other)
            except OSError as error:
                own.close()
                msg = f"the process that starts sandboxes could not be started: {error}"
                raise SandboxError(msg) from error
        return Slot(own)

    def _send(self, message: bytes, other: socket.socket) -> None:
        """Ask the launch server, starting it when there is none or it has died."""
        if self._control is not None:
            with suppress(OSError):
                socket.send_fds(self._control, [message], [other.fileno()])
                return
        self._control = _start_server(self)
        socket.send_fds(self._control, [message], [other.fileno()])


def make_launcher(user: int) -> Launcher:
    """Return a launcher that drops to `user` if this process is root.

    Raises:
        SandboxUnavailableError: this root has no folder to show workspaces in.
    """
    if os.geteuid() != 0:
        return Launcher(user=None)
    try:
        for name in _NAMES:
            (_SLOTS / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        _SLOTS.chmod(0o755)
    except OSError as error:
        msg = f"the server runs as root and needs the folder {_SLOTS} ({error.strerror});"
        raise SandboxUnavailableError(f"{msg} make it, or do not run the server as root") from error
    return Launcher(user=user)


def _start_server(owner: Launcher) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = str(Path(launch_server.__file__))
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", script, str(_CONTROL)],
            {"LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
            setsigmask=(),
        )
    weakref.finalize(owner, _stop_server, ours, pid)
    return ours


def _stop_server(control: socket.socket, pid: int) -> None:
    control.close()
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


async def _answer(slot: socket.socket) -> dict[str, Any]:
    message = await asyncio.get_running_loop().sock_recv(slot, _MESSAGE)
    if not message:
        msg = "the process that starts sandboxes died; the next command starts another"
        raise SandboxError(msg)
    answer: dict[str, Any] = json.loads(message)
    return answer


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
