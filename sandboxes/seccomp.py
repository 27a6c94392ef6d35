"""The system-call filter of a sandbox, assembled as a classic BPF program.

It denies what escapes are made of and ordinary programs do not need: tracing, mounting,
new namespaces, kernel modules, keys, io_uring, BPF and odd socket families. No library is
needed at run time. A denied call fails with an error number; a foreign ABI kills.
"""

import errno
import platform
import struct
from typing import NamedTuple

from sandboxes.base import SandboxUnavailableError

_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_ARGS = 16

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000

_X32_BIT = 0x40000000
_FIRST_UNKNOWN = 463
"""Calls newer than this table are refused as not implemented, on both architectures."""

_SOCKET_FAMILIES = (1, 2, 10, 16)
"""UNIX, INET, INET6 and NETLINK; this closes VSOCK, which network namespaces do not."""
_TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""
_NEW_NAMESPACES = 0x7E020000
"""Every CLONE_NEW* flag that `clone` takes."""
_NOT_FOR_BROWSERS = 0x0E020080
"""The same and CLONE_NEWTIME, but for the user, pid and network namespaces of a sandbox in ours."""


class Calls(NamedTuple):
    """The numbers of one architecture."""

    audit: int
    denied: tuple[int, ...]
    clone: int
    unshare: int
    chroot: int
    socket: tuple[int, ...]
    ioctl: int


_BOTH = (
    *(425, 426, 427),  # io_uring_setup, io_uring_enter, io_uring_register
    *(428, 429, 430, 431, 432, 433, 442),  # open_tree, move_mount, fs*, mount_setattr
    *(438, 443),  # pidfd_getfd, quotactl_fd
)
_CLONE3 = 435

ARCHITECTURES = {
    "x86_64": Calls(
        audit=0xC000003E,
        denied=(
            *(101, 310, 311, 312),  # ptrace, process_vm_readv, process_vm_writev, kcmp
            *(321, 298, 323),  # bpf, perf_event_open, userfaultfd
            *(248, 249, 250),  # add_key, request_key, keyctl
            *(165, 166, 155),  # mount, umount2, pivot_root
            308,  # setns
            *(303, 304, 300),  # name_to_handle_at, open_by_handle_at, fanotify_init
            *(174, 175, 176, 313),  # create_module, init_module, delete_module, finit_module
            *(246, 320, 169),  # kexec_load, kexec_file_load, reboot
            *(167, 168, 163, 179),  # swapon, swapoff, acct, quotactl
            *(103, 153, 212, 180),  # syslog, vhangup, lookup_dcookie, nfsservctl
            *(164, 227, 305, 159),  # settimeofday, clock_settime, clock_adjtime, adjtimex
            *(172, 173, 154, 134, 156),  # iopl, ioperm, modify_ldt, uselib, _sysctl
        ),
        clone=56,
        unshare=272,
        chroot=161,
        socket=(41, 53),
        ioctl=16,
    ),
    "aarch64": Calls(
        audit=0xC00000B7,
        denied=(
            *(117, 270, 271, 272),
            *(280, 241, 282),
            *(217, 218, 219),
            *(40, 39, 41),
            268,
            *(264, 265, 262),
            *(105, 106, 273),
            *(104, 294, 142),
            *(224, 225, 89, 60),
            *(116, 58, 18, 42),
            *(170, 112, 266, 171),
        ),
        clone=220,
        unshare=97,
        chroot=51,
        socket=(198, 199),
        ioctl=29,
    ),
}


def build_filter(machine: str | None = None, *, browser: bool = False) -> bytes:
    """Return the program for `machine`, this one unless told.

    Args:
        machine: as `uname` names it.
        browser: whether a program may make the namespaces of a sandbox of its own, as browsers
            do for their pages.

    Raises:
        SandboxUnavailableError: there is no table for it.
    """
    name = machine or platform.machine()
    calls = ARCHITECTURES.get(name)
    if calls is None:
        known = ", ".join(ARCHITECTURES)
        msg = f"no system-call filter for {name!r} machines; expected one of {known}"
        raise SandboxUnavailableError(msg)
    program = [
        _instruction(_LOAD, _OFFSET_ARCH),
        *_unless_equal(calls.audit, _KILL_PROCESS),
        _instruction(_LOAD, _OFFSET_NUMBER),
        *_when(_JUMP_GREATER_EQUAL, _X32_BIT, _KILL_PROCESS),
        *_when(_JUMP_GREATER_EQUAL, _FIRST_UNKNOWN, _ERRNO | errno.ENOSYS),
        *_when(_JUMP_EQUAL, _CLONE3, _ERRNO | errno.ENOSYS),
    ]
    always = () if browser else (calls.unshare, calls.chroot)
    for number in (*_BOTH, *calls.denied, *always):
        program += _when(_JUMP_EQUAL, number, _ERRNO | errno.EPERM)
    for number in (calls.clone, calls.unshare):
        flags = _NOT_FOR_BROWSERS if browser else _NEW_NAMESPACES
        program += _for_call(number, 0, _when(_JUMP_ANY_BIT, flags, _ERRNO | errno.EPERM))
    for number in calls.socket:
        program += _for_call(number, 0, _only_families())
    program += _for_call(calls.ioctl, 1, _no_injection())
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(test: int, value: int, action: int) -> list[bytes]:
    return [_instruction(test, value, 0, 1), _instruction(_RETURN, action)]


def _unless_equal(value: int, action: int) -> list[bytes]:
    return [_instruction(_JUMP_EQUAL, value, 1, 0), _instruction(_RETURN, action)]


def _for_call(number: int, argument: int, checks: list[bytes]) -> list[bytes]:
    """Run `checks` on the low half of one argument of one call, then allow it."""
    body = [
        _instruction(_LOAD, _OFFSET_ARGS + 8 * argument),
        *checks,
        _instruction(_RETURN, _ALLOW),
    ]
    return [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]


def _only_families() -> list[bytes]:
    allowed = [part for family in _SOCKET_FAMILIES for part in _when(_JUMP_EQUAL, family, _ALLOW)]
    return [*allowed, _instruction(_RETURN, _ERRNO | errno.EAFNOSUPPORT)]


def _no_injection() -> list[bytes]:
    denied = _ERRNO | errno.EPERM
    return [part for code in _TERMINAL_INJECTIONS for part in _when(_JUMP_EQUAL, code, denied)]
