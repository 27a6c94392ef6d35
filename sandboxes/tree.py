"""Look at a process and everything that descends from it, through `/proc`."""

import os
import signal
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def descendants(root: int) -> list[int]:
    """Return the live processes below `root`, itself first; empty when it is gone."""
    if not (_PROC / str(root)).exists():
        return []
    children = _children_of_all()
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def tree_memory(root: int) -> int:
    """Return the bytes held by the tree, shared pages counted once over their sharers."""
    return sum(_proportional_size(pid) for pid in descendants(root))


def kill_all(pids: list[int]) -> int:
    """Kill every process and return how many were alive."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _children_of_all() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdecimal():
            parent = _parent(entry.name)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    return children


def _parent(pid: str) -> int | None:
    """Return the parent of a process that is not a zombie."""
    try:
        line = (_PROC / pid / "stat").read_bytes()
    except OSError:
        return None
    state, parent = line.rpartition(b")")[2].split()[:2]
    return None if state in {b"Z", b"X"} else int(parent)


def _proportional_size(pid: int) -> int:
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_bytes()
    except OSError:
        return _resident_size(pid)
    for line in text.splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) << 10
    return 0


def _resident_size(pid: int) -> int:
    """Return the size of a process that made itself unreadable, shared pages included."""
    try:
        pages = (_PROC / str(pid) / "statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
