from pathlib import Path

import pytest

from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def tree(workspace: Path) -> Path:
    (workspace / "data/old").mkdir(parents=True)
    (workspace / "a.csv").write_text("12345")
    (workspace / "data/b.csv").write_text("1")
    (workspace / "data/old/c.csv").write_text("22")
    (workspace / "data/note.md").write_text("")
    return workspace


async def test_everything_is_listed_with_sizes(toolbox: Toolbox, tree: Path) -> None:
    outcome = await toolbox.call("list_files", {})

    assert outcome.text.splitlines() == [
        "5\ta.csv",
        "-\tdata/",
        "1\tdata/b.csv",
        "0\tdata/note.md",
        "-\tdata/old/",
        "2\tdata/old/c.csv",
    ]
    assert outcome.certain


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"glob": "*.csv"}, ["a.csv", "data/b.csv", "data/old/c.csv"]),
        ({"glob": "data/*.csv"}, ["data/b.csv"]),
        ({"glob": "*.csv", "path": "data"}, ["data/b.csv", "data/old/c.csv"]),
        ({"glob": "old/*", "path": "data"}, ["data/old/c.csv"]),
        ({"glob": "*.csv", "recursive": False}, ["a.csv"]),
        ({"glob": "*.csv", "recursive": False, "path": "/work/data"}, ["data/b.csv"]),
        ({"glob": "*.xls"}, []),
    ],
)
async def test_a_glob_and_a_folder_narrow_the_list(
    toolbox: Toolbox, tree: Path, arguments: dict[str, object], paths: list[str]
) -> None:
    outcome = await toolbox.call("list_files", arguments)

    assert outcome.data
    assert [entry["path"] for entry in outcome.data["entries"]] == paths


async def test_a_missing_folder_is_not_found(toolbox: Toolbox, tree: Path) -> None:
    assert (await toolbox.call("list_files", {"path": "none"})).error_class == "not_found"


async def test_a_long_list_tells_how_many_are_left(
    make_toolbox: MakeToolbox, workspace: Path
) -> None:
    for number in range(200):
        (workspace / f"file{number:03}.txt").touch()

    outcome = await make_toolbox(output_chars=600).call("list_files", {})

    assert outcome.truncated
    assert len(outcome.text) <= 600
    shown = outcome.text.count("\n")
    assert f"[{200 - shown} more entries" in outcome.text
