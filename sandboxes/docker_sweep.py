"""Tell whose a container is, and remove those whose server has died.

A server that is killed lets go of its containers, whose workers then end by themselves;
what is left is swept up by the next server at its first use of the engine.
"""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from sandboxes.docker_engine import Engine, Found

_RUNTIME, _BOOT, _PIDS = "strop.runtime", "strop.boot", "strop.pid-namespace"
_PID, _STARTED = "strop.pid", "strop.started"
_PROC = Path("/proc")


def identity() -> dict[str, str]:
    """Return the labels that say which process of which boot a container belongs to."""
    pid = os.getpid()
    return {
        _RUNTIME: uuid.uuid4().hex,
        _BOOT: _boot(),
        _PIDS: _pid_namespace(),
        _PID: str(pid),
        _STARTED: _started(pid) or "",
    }


def is_orphan(found: Found) -> bool:
    """Return whether the server that made a container is certainly gone."""
    labels = found.labels
    if labels.get(_BOOT) != _boot():
        return True
    if labels.get(_PIDS) != _pid_namespace():
        # Its server counts processes differently, so only the container itself can tell.
        return not found.running
    return not _lives(labels)


def sweep(engine: Engine) -> int:
    """Remove the containers of servers that are gone, and return how many that were.

    Raises:
        SandboxError: the engine would not.
    """
    removed = 0
    for found in engine.ours():
        if is_orphan(found):
            engine.remove(found.number)
            removed += 1
    return removed


def _lives(labels: Mapping[str, str]) -> bool:
    pid = labels.get(_PID, "")
    return pid.isdecimal() and _started(int(pid)) == labels.get(_STARTED)


def _boot() -> str:
    return _read(_PROC / "sys/kernel/random/boot_id")


def _pid_namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process began, so that one with the same number is not taken for it."""
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in {"Z", "X"} else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
