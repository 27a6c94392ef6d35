"""Control groups: limits on a whole process tree, where this process may make them.

Version 2 needs a delegated folder, version 1 writable controllers. A group is used by one
command at a time and kept for the next, since making one costs milliseconds. Folders left
by a dead server are removed when the next one starts.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

from sandboxes.base import Limits
from sandboxes.tree import kill_all

_PREFIX = "strop-"
_NUMBERS = count()
_PERIOD_US = 100_000
_UNLIMITED = "-1"
_CLEAR_S = 0.5
_PAUSE_S = 0.01


class Group(Protocol):
    """One place whose processes share limits."""

    @property
    def doors(self) -> list[Path]:
        """Files to which a process writes 0 to come under the limits."""
        ...

    def set(self, limits: Limits) -> None:
        """Apply `limits` and forget the peak of the last command."""
        ...

    def oom_kills(self) -> int:
        """Return how many processes were ever killed here for memory."""
        ...

    def peak(self) -> int | None:
        """Return the most memory held since `set`, where the kernel tells."""
        ...

    def remove(self) -> bool:
        """Remove the group and return whether it is gone; one that is not empty stays."""
        ...


class GroupV2:
    """A folder of the unified hierarchy."""

    def __init__(self, parent: Path) -> None:
        """Make the folder below `parent`."""
        self._folder = _make(parent)

    @property
    def doors(self) -> list[Path]:
        """The one file that takes a process in."""
        return [self._folder / "cgroup.procs"]

    def set(self, limits: Limits) -> None:
        """Apply `limits`; swap is off and one kill for memory kills all."""
        (self._folder / "memory.max").write_text(str(limits.memory_bytes))
        for name, value in (
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("memory.peak", "0"),
            ("pids.max", str(_room(limits))),
            ("cpu.max", f"{int(limits.cpu_cores * _PERIOD_US)} {_PERIOD_US}"),
        ):
            with suppress(OSError):
                (self._folder / name).write_text(value)

    def oom_kills(self) -> int:
        """Return the kills for memory."""
        return _named_number(self._folder / "memory.events", "oom_kill")

    def peak(self) -> int | None:
        """Return the peak, or None before Linux 6.12, where it cannot be reset."""
        path = self._folder / "memory.peak"
        return _number(path) if os.access(path, os.W_OK) else None

    def remove(self) -> bool:
        """Remove the folder and return whether it is gone."""
        return _removed([self._folder])


class GroupV1:
    """One folder below each controller."""

    def __init__(self, parents: dict[str, Path]) -> None:
        """Make a folder below each of `parents`, by controller; `memory` is a must."""
        self._folders: dict[str, Path] = {"memory": _make(parents["memory"])}
        for name in ("pids", "cpu"):
            with suppress(OSError, KeyError):
                self._folders[name] = _make(parents[name])

    @property
    def doors(self) -> list[Path]:
        """One file for each controller."""
        return [folder / "cgroup.procs" for folder in self._folders.values()]

    def set(self, limits: Limits) -> None:
        """Apply `limits`; with swap accounting, swap is inside the memory limit."""
        memory = self._folders["memory"]
        both = memory / "memory.memsw.limit_in_bytes"
        with suppress(OSError):
            both.write_text(_UNLIMITED)
        (memory / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        optional = [
            (both, str(limits.memory_bytes)),
            (memory / "memory.max_usage_in_bytes", "0"),
        ]
        if "pids" in self._folders:
            optional.append((self._folders["pids"] / "pids.max", str(_room(limits))))
        if "cpu" in self._folders:
            cpu = self._folders["cpu"]
            quota = str(int(limits.cpu_cores * _PERIOD_US))
            optional.append((cpu / "cpu.cfs_period_us", str(_PERIOD_US)))
            optional.append((cpu / "cpu.cfs_quota_us", quota))
        for path, value in optional:
            with suppress(OSError):
                path.write_text(value)

    def oom_kills(self) -> int:
        """Return the kills for memory."""
        return _named_number(self._folders["memory"] / "memory.oom_control", "oom_kill")

    def peak(self) -> int | None:
        """Return the peak of the memory controller."""
        return _number(self._folders["memory"] / "memory.max_usage_in_bytes")

    def remove(self) -> bool:
        """Remove the folders and return whether all are gone."""
        return _removed(list(self._folders.values()))


class Groups:
    """Groups of one hierarchy, handed out and taken back."""

    def __init__(self, root: Path, membership: str) -> None:
        """Look below `root` for what the text of `/proc/self/cgroup` points to."""
        self._v2 = _parent_v2(root, membership)
        self._v1 = {} if self._v2 else _parents_v1(root, membership)
        self._free: list[Group] = []

    @property
    def parents(self) -> list[Path]:
        """Folders in which groups are made; none when there is no memory controller."""
        return [self._v2] if self._v2 else list(self._v1.values())

    def take(self) -> Group:
        """Return a group that nobody else holds.

        Raises:
            OSError: this process may not make one.
        """
        if self._free:
            return self._free.pop()
        return GroupV2(self._v2) if self._v2 else GroupV1(self._v1)

    def give(self, group: Group) -> None:
        """Take `group` back for the next command."""
        self._free.append(group)

    def clear(self) -> None:
        """Remove every group that is not in use."""
        while self._free:
            self._free.pop().remove()

    def sweep(self) -> None:
        """Remove what servers that are gone left behind, and kill what still runs there.

        A bubblewrap whose server dies in the very moment it starts waits for ever.
        """
        prefix = f"{_PREFIX}{_pid_namespace()}-"
        for parent in self.parents:
            for folder in parent.glob(f"{prefix}*"):
                owner = folder.name.removeprefix(prefix).partition("-")[0]
                if owner.isdecimal() and not Path("/proc", owner).exists():
                    _clear(folder)


def find_groups(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> Groups | None:
    """Return the groups this process may make, or None."""
    try:
        groups = Groups(root, membership.read_text())
        if not groups.parents:
            return None
        groups.sweep()
        groups.give(groups.take())
    except OSError:
        return None
    return groups


def _parent_v2(root: Path, membership: str) -> Path | None:
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            return next(_usable_v2(root, root / path.lstrip("/")), None)
    return None


def _usable_v2(root: Path, start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        control = folder / "cgroup.subtree_control"
        if control.exists() and "memory" in control.read_text().split():
            yield from [folder] if os.access(folder / "cgroup.procs", os.W_OK) else []
        if folder == root:
            return


def _parents_v1(root: Path, membership: str) -> dict[str, Path]:
    parents: dict[str, Path] = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in {"memory", "pids", "cpu"}.intersection(controllers.split(",")):
            for base in (root / controllers, root / name):
                folder = base / path.lstrip("/")
                if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK):
                    parents[name] = folder
    return parents if "memory" in parents else {}


def _pid_namespace() -> str:
    """Return whose process ids ours are: a container may share the hierarchy with its host."""
    with suppress(OSError):
        return re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    return "0"


def _make(parent: Path) -> Path:
    folder = parent / f"{_PREFIX}{_pid_namespace()}-{os.getpid()}-{next(_NUMBERS)}"
    folder.mkdir()
    return folder


def _clear(folder: Path) -> None:
    """Kill what is in a group and remove it; a group that does not empty stays."""
    with suppress(OSError):
        until = time.monotonic() + _CLEAR_S
        while living := [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]:
            # Processes that this process cannot see are listed as 0, which must not be killed.
            kill_all([pid for pid in living if pid > 0])
            if time.monotonic() > until:
                return
            time.sleep(_PAUSE_S)
    with suppress(OSError):
        folder.rmdir()


def _removed(folders: list[Path]) -> bool:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
    return not any(folder.exists() for folder in folders)


def _room(limits: Limits) -> int:
    """Count the launcher and the two supervisors of a sandbox on top."""
    return limits.pids + 4


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _named_number(path: Path, name: str) -> int:
    with suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
