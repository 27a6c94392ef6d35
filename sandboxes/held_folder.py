"""Temporary folders that are known to be nobody's once the process that made them is gone."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MAX_PATH = 80
"""So that what lies in the folder has a name short enough for a socket."""
_YOUNG_S = 60.0


@dataclass(frozen=True, slots=True)
class HeldFolder:
    """A folder with a lock on it that ends with this process."""

    path: Path
    _held: int

    def remove(self) -> None:
        """Remove it with what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)


def hold_folder(prefix: str, parent: Path | None = None) -> HeldFolder:
    """Make a folder, in the place for temporary files unless told, and remove what others left.

    Raises:
        OSError: it cannot be made.
    """
    place = parent or _short(Path(tempfile.gettempdir()))
    _remove_left(place, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return HeldFolder(folder, held)


def _short(parent: Path) -> Path:
    if len(str(parent)) <= _MAX_PATH:
        return parent
    return Path("/tmp")  # noqa: S108 - the folder in it gets a name that nobody can guess


def _remove_left(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError), _lock_of(folder) as found:
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _YOUNG_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock_of(folder: Path) -> Generator[os.stat_result]:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(held)
    finally:
        os.close(held)
