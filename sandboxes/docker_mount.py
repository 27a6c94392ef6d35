"""Show a workspace to a container that runs already.

Docker mounts folders only when it makes a container, which takes hundreds of milliseconds;
root can add a mount to a running one in less than one. A copy of the mount is made without
devices and set-user-id programs, and moved into the container's mount namespace by a thread
that enters it and ends: nothing is left on the host to clean up.
"""

import ctypes
import os
import threading
from pathlib import Path

from sandboxes.base import SandboxError

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
"""The numbers are the same on every architecture."""
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_CLONE, _CLOEXEC = 1, 0o2000000
_FROM_EMPTY_PATH = 0x4
_NOSUID, _NODEV = 0x2, 0x4
_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_PRIVATE = 1 << 18


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def can_mount() -> bool:
    """Return whether this process may try."""
    return os.geteuid() == 0 and hasattr(os, "pidfd_open")


def mount_into(container: str, pid: int, workspace: Path, target: str) -> None:
    """Mount `workspace` at `target` in the container whose first process is `pid`.

    Raises:
        SandboxError: it cannot be done here; the container is as it was.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        namespace = _namespace_of(container, pid)
    except OSError as error:
        msg = f"the container's processes cannot be seen from here ({error})"
        raise SandboxError(msg) from error
    try:
        tree = _copy_of_mount(libc, workspace)
        try:
            _in_namespace(libc, namespace, tree, os.fsencode(target))
        finally:
            os.close(tree)
    except OSError as error:
        msg = f"the workspace cannot be mounted into a running container ({error})"
        raise SandboxError(msg) from error
    finally:
        os.close(namespace)


def _namespace_of(container: str, pid: int) -> int:
    """Return the mount namespace, after seeing that the process belongs to the container.

    Where server and engine number processes differently, `pid` is somebody else's here.
    """
    process = Path("/proc", str(pid))
    namespace = os.open(process / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    known = container.encode()
    if known in (process / "cgroup").read_bytes() or known in (process / "mountinfo").read_bytes():
        return namespace
    os.close(namespace)
    msg = f"process {pid} is not in container {container[:12]}"
    raise OSError(msg)


def _copy_of_mount(libc: ctypes.CDLL, workspace: Path) -> int:
    flags = _CLONE | _CLOEXEC
    tree: int = libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(workspace), flags)
    if tree < 0:
        raise _last_error()
    wanted = _MountAttributes(set=_NOSUID | _NODEV, propagation=_PRIVATE)
    size = ctypes.sizeof(wanted)
    done: int = libc.syscall(
        _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), ctypes.c_size_t(size)
    )
    if done < 0:
        error = _last_error()
        os.close(tree)
        raise error
    return tree


def _in_namespace(libc: ctypes.CDLL, namespace: int, tree: int, target: bytes) -> None:
    """Attach the tree from a thread that never comes back; the others stay where they are."""
    failed: list[OSError] = []

    def attach() -> None:
        # Nothing may be imported or opened here once the namespace is the container's.
        entered = libc.unshare(_CLONE_FS) == 0 and libc.setns(namespace, _CLONE_NEWNS) == 0
        place = (_AT_FDCWD, target, _FROM_EMPTY_PATH)
        if not entered or libc.syscall(_MOVE_MOUNT, tree, b"", *place) < 0:
            failed.append(_last_error())

    thread = threading.Thread(target=attach, name="strop-docker-mount")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
