import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.checkpoints import open_checkpoints
from app.db import files
from app.db.records import FileRow
from app.db.types import now
from app.home import Home
from app.tidying import OLD_S, tidy
from memory.database import Database
from tests.support.service import put, queued

pytestmark = pytest.mark.anyio


class Kept:
    """Remembers which runs have state, as the checkpoints do."""

    def __init__(self, *runs: str) -> None:
        self.left = set(runs)

    async def runs(self) -> set[str]:
        return set(self.left)

    async def forget(self, run_id: str) -> None:
        self.left.remove(run_id)


@pytest.fixture
def folders(tmp_path: Path) -> Home:
    made = Home(tmp_path / "folders")
    made.prepare()
    return made


def _aged(path: Path, *, old: bool) -> Path:
    if path.suffix == ".folder":
        path.mkdir()
    else:
        path.write_text("x")
    if old:
        os.utime(path, (0, path.stat().st_mtime - 2 * OLD_S))
    return path


async def test_only_state_that_nobody_goes_on_with_is_dropped(
    database: Database, folders: Home
) -> None:
    over: dict[str, Any] = {"status": "succeeded", "end_reason": "done"}
    put(
        database,
        queued("t_1"),
        queued("t_2", **over, learning="pending"),
        queued("t_3", **over, learning="done"),
        queued("t_4", status="cancelled", end_reason="cancelled"),
        queued("t_5", status="waiting_input"),
    )
    kept = Kept("t_1.1", "t_2.1", "t_3.1", "t_4.1", "t_5.1", "unknown")
    await tidy(folders, database, kept)
    assert kept.left == {"t_1.1", "t_2.1", "t_5.1", "unknown"}


async def test_half_made_files_go_when_they_are_old(database: Database, folders: Home) -> None:
    row = FileRow("f_1", "default", "a.csv", 1, "0" * 64, now())
    database.run_sync(lambda connection: files.add(connection, row))
    stays = [
        _aged(folders.files / "f_1", old=True),
        _aged(folders.files / "f_2", old=False),
        _aged(folders.files / "f_3.part", old=False),
        _aged(folders.workspaces / "t_1.folder", old=True),
        _aged(folders.workspaces / ".t_2.folder", old=False),
    ]
    goes = [
        _aged(folders.files / "f_4", old=True),
        _aged(folders.files / "f_5.part", old=True),
        _aged(folders.workspaces / ".t_3.folder", old=True),
    ]
    await tidy(folders, database, Kept())
    assert [path.exists() for path in stays] == [True] * len(stays)
    assert [path.exists() for path in goes] == [False] * len(goes)


async def _free(_thread_id: str) -> None:
    """Let everybody write."""


async def test_a_broken_file_of_checkpoints_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    path.write_bytes(b"no database" * 1000)
    async with open_checkpoints(path, _free) as saver:
        assert await saver.runs() == set()
        with sqlite3.connect(path) as fresh:
            assert fresh.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        fresh.close()
