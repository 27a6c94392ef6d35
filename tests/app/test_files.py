import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db import audit
from app.db.audit import AuditFilter
from app.errors import InvalidInputError, NotFoundError, TooLargeError
from app.files import (
    MAX_NAME_BYTES,
    BytesUpload,
    FileShelf,
    artifact_views,
    open_artifact,
    place_files,
    safe_name,
)
from app.home import Home
from memory.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


@pytest.fixture
def shelf(database: Database, home: Home) -> FileShelf:
    return FileShelf(database, home, limit_bytes=1000)


@given(st.text(max_size=300))
def test_a_safe_name_stays_in_its_folder_or_is_refused(name: str) -> None:
    try:
        safe = safe_name(name)
    except InvalidInputError:
        return
    assert safe not in {"", ".", ".."}
    assert "/" not in safe
    assert "\0" not in safe
    assert len(os.fsencode(safe)) <= MAX_NAME_BYTES


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "C:\\x", "..\\x", "", ".", "..", "a\0b", "x\n", "x" * 201],
)
def test_a_name_that_climbs_or_cannot_be_kept_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        safe_name(name)


async def test_a_file_is_kept_with_its_digest(
    shelf: FileShelf, home: Home, database: Database
) -> None:
    row = await shelf.add("default", "a.csv", BytesUpload(b"1,2"))
    assert (row.name, row.size) == ("a.csv", 3)
    assert (home.files / row.id).read_bytes() == b"1,2"
    [line] = await database.read(lambda c: audit.find(c, AuditFilter()))
    assert (line.action, line.object) == ("file.stored", row.id)
    assert (home.files / row.id).stat().st_mode & 0o777 == 0o600
    assert await shelf.find("default", [row.id]) == [row]


async def test_a_file_that_is_too_large_leaves_nothing_behind(shelf: FileShelf, home: Home) -> None:
    with pytest.raises(TooLargeError):
        await shelf.add("default", "a.csv", BytesUpload(b"x" * 1001))
    assert list(home.files.iterdir()) == []


async def test_unknown_files_and_files_of_others_are_refused(shelf: FileShelf) -> None:
    row = await shelf.add("other", "a.csv", BytesUpload(b""))
    for file_id in (row.id, "f_unknown"):
        with pytest.raises(InvalidInputError, match=r"files\.0"):
            await shelf.find("default", [file_id])


async def test_two_files_of_one_name_are_refused(shelf: FileShelf) -> None:
    rows = [await shelf.add("default", "a.csv", BytesUpload(b"")) for _ in range(2)]
    with pytest.raises(InvalidInputError, match="twice"):
        await shelf.find("default", [row.id for row in rows])


async def test_files_are_placed_once_so_that_changes_survive(shelf: FileShelf, home: Home) -> None:
    row = await shelf.add("default", "a.csv", BytesUpload(b"old"))
    listed = [{"id": row.id, "name": row.name}]
    workspace = place_files(home, "t_1", listed)
    (workspace / "a.csv").write_text("new")
    assert place_files(home, "t_1", listed) == workspace
    assert (workspace / "a.csv").read_text() == "new"
    assert (home.files / row.id).read_text() == "old"


def test_artifacts_are_the_named_files_that_exist(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.txt").write_text("12345")
    names = ["out/a.txt", "/work/out/a.txt", "./out/a.txt", "missing", "out", ""]
    assert artifact_views(tmp_path, names) == [{"name": "out/a.txt", "size": 5}]


@pytest.mark.parametrize(
    "name", ["../secret", "link", "folder/../../secret", "/etc/passwd", "pipe", "a\0", ""]
)
def test_nothing_leads_out_of_a_workspace(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s")
    workspace = tmp_path / "workspace"
    (workspace / "folder").mkdir(parents=True)
    (workspace / "link").symlink_to("../secret")
    os.mkfifo(workspace / "pipe")
    with pytest.raises(NotFoundError):
        open_artifact(workspace, name)
