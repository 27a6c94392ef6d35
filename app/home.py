"""The folders that Strop keeps on disk."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import SettingsError

_MODE = 0o700


@dataclass(frozen=True)
class Home:
    """Names every path under one folder, which belongs to one user only."""

    path: Path

    @property
    def database(self) -> Path:
        """Tasks, events and memory."""
        return self.path / "strop.db"

    @property
    def checkpoints(self) -> Path:
        """State of the graphs."""
        return self.path / "checkpoints.db"

    @property
    def workspaces(self) -> Path:
        """One folder for each task."""
        return self.path / "workspaces"

    @property
    def files(self) -> Path:
        """Uploaded files, by id."""
        return self.path / "files"

    @property
    def index(self) -> Path:
        """The vector index, which can always be rebuilt."""
        return self.path / "index"

    @property
    def cache(self) -> Path:
        """What can be fetched or computed again."""
        return self.path / "cache"

    @property
    def locks(self) -> Path:
        """Lock files of the living processes."""
        return self.path / "locks"

    def workspace(self, task_id: str) -> Path:
        """Return the folder of one task."""
        return self.workspaces / task_id

    def prepare(self) -> None:
        """Make the folders, closed to other users.

        Raises:
            SettingsError: they cannot be made or written to.
        """
        try:
            for folder in (
                self.path,
                self.workspaces,
                self.files,
                self.index,
                self.cache,
                self.locks,
            ):
                folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
            self.path.chmod(_MODE)
        except OSError as error:
            msg = f"STROP_HOME: expected a folder that can be written to, got {error}"
            raise SettingsError(msg) from None

    @contextmanager
    def lock(self, name: str) -> Generator[None]:
        """Hold a lock that only one process of this machine can hold; waits for it."""
        with (self.locks / f"{name}.mutex").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
