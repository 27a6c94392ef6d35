"""Remove what crashes and finished tasks leave behind, and nothing that is still needed."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from app.db import files, tasks
from app.home import Home
from memory.database import Database
from sandboxes.swapping import remove_tree

OLD_S = 3600.0
"""What is half made but younger may still be in the making, in any process."""


class Checkpoints(Protocol):
    """The state of graphs, by run."""

    async def runs(self) -> set[str]:
        """Return the ids of the runs that have state."""
        ...

    async def forget(self, run_id: str) -> None:
        """Drop all state of a run."""
        ...


async def tidy(home: Home, database: Database, checkpoints: Checkpoints) -> None:
    """Remove the state of runs that nobody will go on with, and half-made files."""
    kept = sorted(await checkpoints.runs())
    for run_id in await database.read(partial(tasks.finished_runs, run_ids=kept)):
        await checkpoints.forget(run_id)
    await database.read(partial(_sweep, home=home))


def _sweep(connection: Connection, home: Home) -> None:
    for draft in _old(home.workspaces, ".t_*"):
        remove_tree(draft)
    for part in _old(home.files, "*.part"):
        part.unlink(missing_ok=True)
    stored = {path.name: path for path in _old(home.files, "f_*")}
    for name in stored.keys() - files.known(connection, list(stored)):
        stored[name].unlink(missing_ok=True)


def _old(folder: Path, pattern: str) -> Iterator[Path]:
    latest = time.time() - OLD_S
    for path in folder.glob(pattern):
        try:
            if path.stat().st_mtime < latest:
                yield path
        except FileNotFoundError:
            continue
