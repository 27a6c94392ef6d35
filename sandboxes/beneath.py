"""Open a path below a folder so that no link, `..` or race can lead out of it.

`openat2(2)` with RESOLVE_BENEATH lets the kernel do it; where it is missing every part is
opened by itself without following links, which also refuses the harmless links inside.
"""

import ctypes
import errno
import os
from functools import cache

_OPENAT2 = 437
"""The number is the same on every architecture."""
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_RETRIES = 100
"""The kernel says EAGAIN when a rename raced with the resolution."""

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ALWAYS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Return a descriptor of the relative `path` below the folder `root`, never blocking.

    Raises:
        OSError: it does not exist, is not permitted or leads out of `root`.
    """
    if _kernel_can():
        return _openat2(root, path, flags | _ALWAYS, mode)
    return open_by_parts(root, path, flags | _ALWAYS, mode)


def open_by_parts(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Do as `open_beneath` without help of the kernel, refusing every symbolic link."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    if not parts:
        return os.open(".", flags | os.O_NOFOLLOW, mode, dir_fd=root)
    folder = os.dup(root)
    try:
        for part in parts[:-1]:
            below = os.open(part, DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(parts[-1], flags | os.O_NOFOLLOW, mode, dir_fd=folder)
    finally:
        os.close(folder)


@cache
def _kernel_can() -> bool:
    root = os.open("/", DIRECTORY)
    try:
        os.close(_openat2(root, ".", DIRECTORY, 0))
    except (OSError, AttributeError):
        return False
    finally:
        os.close(root)
    return True


def _openat2(root: int, path: str, flags: int, mode: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    how = _OpenHow(
        flags=flags,
        mode=mode if flags & os.O_CREAT else 0,
        resolve=_RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS,
    )
    number = errno.EAGAIN
    for _ in range(_RETRIES):
        arguments = (_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        descriptor: int = libc.syscall(*arguments)
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number != errno.EAGAIN:
            break
    raise OSError(number, os.strerror(number), path)
