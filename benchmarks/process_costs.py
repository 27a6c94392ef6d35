"""What this process and everything below it cost: processor time and memory."""

import os
import resource
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def below(root: int) -> list[int]:
    """Return the living processes below one."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(path)
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[int] = []
    queue = [root]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def cpu_below_ms() -> float:
    """Return the processor time that all below this process have used.

    That of what still lives is told in ticks of 10 ms, so only means of many rounds tell much.
    """
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = spent.ru_utime + spent.ru_stime
    for pid in below(os.getpid()):
        fields = _fields(Path(f"/proc/{pid}/stat"))
        total += sum(int(value) for value in fields[11:15]) * _TICK_S
    return 1000 * total


def pss_mb(pids: list[int]) -> float:
    """Return the memory that belongs to some processes, what is shared divided among its users."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def of_containers() -> set[int]:
    """Return the processes of this machine that belong to containers of Docker."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            inside = "/docker" in path.read_text(encoding="utf-8")
            shim = "containerd-shim" in (path.parent / "comm").read_text(encoding="utf-8")
        except OSError:
            continue
        if inside or shim:
            found.add(int(path.parent.name))
    return found


def available_mb() -> float:
    """Return the memory of the machine that could be given out."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _fields(path: Path) -> list[str]:
    """Return the fields of a `stat` file after the name of the program."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
