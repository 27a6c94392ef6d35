"""The Perceptor says what the workspace holds and what changed; it decides nothing."""

from dataclasses import dataclass

from sandboxes.base import FileInfo, Sandbox

MAX_LISTED = 200


@dataclass(frozen=True)
class Perception:
    """What the workspace holds at one moment."""

    text: str
    stamps: dict[str, str]
    """Path to a stamp that changes with the content."""


async def perceive(sandbox: Sandbox) -> Perception:
    """Return what is in the workspace."""
    found = await sandbox.list()
    entries = [entry for entry in found if entry.kind != "dir" and not _is_noise(entry.path)]
    lines = [f"{entry.path}  {entry.size} bytes" for entry in entries[:MAX_LISTED]]
    if len(entries) > MAX_LISTED:
        lines.append(f"… and {len(entries) - MAX_LISTED} more files")
    return Perception(
        text="\n".join(lines) or "(empty)",
        stamps={entry.path: _stamp(entry) for entry in entries},
    )


def changed_files(before: dict[str, str], after: dict[str, str]) -> tuple[str, ...]:
    """Return the paths that came, went or changed, each with how."""
    changes: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            changes.append(f"{path} (new)")
        elif path not in after:
            changes.append(f"{path} (gone)")
        elif before[path] != after[path]:
            changes.append(path)
    return tuple(changes)


def _is_noise(path: str) -> bool:
    """Whether a file is only what an interpreter left behind."""
    return "__pycache__" in path.split("/")


def _stamp(entry: FileInfo) -> str:
    return f"{entry.size}:{entry.mtime}"
