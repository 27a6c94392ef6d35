"""Fork what starts sandboxes ahead of time; runs as a small process of its own.

Entering a control group takes milliseconds and so does a private mount namespace. This
process forks children that did both already and wait for their command; only the standard
library is loaded, so a fork is cheap. Started by `sandboxes.launcher`; it ends with whoever
holds the other end of its socket, and its children end with it.
"""

import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

FIRST_DESCRIPTOR = 3
"""Descriptors that are passed on get this number and the following ones."""
_ASIDE = 200
_MESSAGE = 1 << 16
_MOST_DESCRIPTORS = 64
_DESCRIPTOR_BYTES = array.array("i").itemsize
_FIRST_UNKNOWN, _LAST = 4, 1 << 20
"""What this process may have inherited behind its socket."""
_NEW_NAMESPACE = 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_DIE_WITH_PARENT = 1
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_FAILED = 127


def serve(control: socket.socket) -> None:
    """Fork a child for each message until the other end of `control` is closed."""
    waker, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _wake_only)
    children: dict[int, socket.socket] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(waker, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == waker:
                with suppress(BlockingIOError):
                    os.read(waker, _MESSAGE)
                _reap(children)
                continue
            message, passed = _receive(control)
            if not message:
                return
            slot = socket.socket(fileno=passed[0])
            parent, pid = os.getpid(), os.fork()
            if pid == 0:
                _wait_for_a_command(json.loads(message), slot, parent)
            children[pid] = slot


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Return a message and the descriptors with it, none of which a program inherits by itself."""
    # Not `socket.recv_fds`, which ignores its flags in some versions of Python.
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * _DESCRIPTOR_BYTES)
    message, extras, _, _ = channel.recvmsg(_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % _DESCRIPTOR_BYTES])
    return message, list(descriptors)


def _wake_only(number: int, frame: object) -> None:
    """Let the signal end a wait; what it means is looked at there."""


def _reap(children: dict[int, socket.socket]) -> None:
    """Tell those who wait for them which children ended, and how."""
    with suppress(ChildProcessError):
        while True:
            pid, status, _ = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            with children.pop(pid) as slot, suppress(OSError):
                slot.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())


def _wait_for_a_command(order: dict[str, Any], slot: socket.socket, parent: int) -> NoReturn:
    """Be the child: prepare, wait, become the command."""
    slot = socket.socket(fileno=_moved(slot.detach()))  # out of the way of what is passed
    try:
        _die_with(parent)
        signal.set_wakeup_fd(-1)
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        enter(order["doors"], private=order["private"])
        slot.send(json.dumps({"pid": os.getpid()}).encode())
        message, passed = _receive(slot)
        if message:
            _become(order["user"], passed, parent)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must be told
        failed = {"failed": f"{type(error).__name__}: {error}", "errno": getattr(error, "errno", 0)}
        with suppress(OSError):
            slot.send(json.dumps(failed).encode())
    os._exit(_FAILED)


def enter(doors: Sequence[str], *, private: bool) -> None:
    """Bring this process into control groups, and into a mount namespace if `private`."""
    for door in doors:
        with open(door, "w", encoding="ascii") as file:  # noqa: PTH123 - `pathlib` is not loaded here
            file.write("0")
    if private:
        _call("unshare", _NEW_NAMESPACE)
        _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)


def show_and_drop(mounts: Sequence[tuple[str, str]], user: int | None) -> None:
    """Show folders of the host in other places, and become `user` if there is one."""
    for source, target in mounts:
        _call("mount", os.fsencode(source), os.fsencode(target), None, _BIND, None)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _become(user: int | None, passed: list[int], parent: int) -> None:
    """Turn into the command that the first descriptor holds; return only by an exception."""
    with open(passed[0], "rb") as file:  # noqa: PTH123 - a descriptor
        command = json.loads(file.read())
    show_and_drop(command["mounts"], user)
    _die_with(parent)  # a change of user forgets it
    os.setsid()
    aside = [_moved(descriptor) for descriptor in passed[1:]]
    targets = [0, 1, 2, *range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + len(aside) - 3)]
    for descriptor, target in zip(aside, targets, strict=True):
        os.dup2(descriptor, target)
    os.chdir(command["cwd"])
    os.execve(command["argv"][0], command["argv"], command["env"])  # noqa: S606 - what it is for


def _moved(descriptor: int) -> int:
    """Return a copy of a descriptor that none of the targets collides with."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ASIDE)


def _die_with(parent: int) -> None:
    _call("prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(_FAILED)


def _call(name: str, *arguments: Any) -> None:  # noqa: ANN401 - what the C library takes
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    os.closerange(_FIRST_UNKNOWN, _LAST)
    with socket.socket(fileno=int(sys.argv[1])) as _control:
        serve(_control)
