"""Tell living processes from dead ones by locks that the kernel releases.

Each process holds a lock on a file named after its boot id for as long as it lives; nobody
needs a clock to decide that another is dead.
"""

import fcntl
import os
import uuid
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

_SUFFIX = ".alive"


class LivenessPort(Protocol):
    """What an engine needs: the locks of files here, or those of a PostgreSQL server."""

    boot_id: str
    """Who this process is; a new one at every start."""

    def begin(self) -> None:
        """Take this process's lock."""
        ...

    def end(self) -> None:
        """Give this process's lock back."""
        ...

    def others(self) -> set[str]:
        """Return the boot ids of the other processes that may live."""
        ...

    def burying(self, boot_id: str) -> AbstractContextManager[bool]:
        """Say whether that process is dead; if so, nobody else buries it meanwhile."""
        ...


class Liveness:
    """The locks of the processes on one home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self.boot_id = ""
        """Who this process is; a new one at every start."""

    def begin(self) -> None:
        """Take this process's lock."""
        while self._descriptor is None:
            self.boot_id = uuid.uuid4().hex
            self._descriptor = self._held(self._path(self.boot_id))

    def end(self) -> None:
        """Give this process's lock back."""
        if self._descriptor is not None:
            self._path(self.boot_id).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def others(self) -> set[str]:
        """Return the boot ids of the other processes that left a lock file.

        If this process's own file is gone, its tasks are others' by now; it shows itself again.
        """
        own = self._path(self.boot_id)
        if self._descriptor is not None and not _same(self._descriptor, own):
            again = self._held(own)
            if again is not None:
                os.close(self._descriptor)
                self._descriptor = again
        names = {path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}")}
        return names - {self.boot_id}

    @contextmanager
    def burying(self, boot_id: str) -> Generator[bool]:
        """Say whether that process is dead; if so, nobody else buries it meanwhile."""
        path = self._path(boot_id)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            yield False
            return
        try:
            dead = _lock(descriptor)
            yield dead
            if dead:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _held(self, path: Path) -> int | None:
        """Return a locked descriptor, or None when a sweeper was faster."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(descriptor) and _same(descriptor, path):
            return descriptor
        os.close(descriptor)
        return None

    def _path(self, boot_id: str) -> Path:
        return self._folder / f"{boot_id}{_SUFFIX}"


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
