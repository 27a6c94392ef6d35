from pathlib import Path

import pytest

from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def tree(workspace: Path) -> Path:
    (workspace / "src").mkdir()
    (workspace / "src/a.py").write_text("import os\ntotal = 1\nTotal = 2\n")
    (workspace / "b.txt").write_text("no total (here)\n")
    (workspace / "c.bin").write_bytes(b"total\0")
    return workspace


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({"pattern": "total"}, ["b.txt:1: no total (here)", "src/a.py:2: total = 1"]),
        ({"pattern": "(here)"}, ["b.txt:1: no total (here)"]),
        ({"pattern": r"^total\s*=\s*\d$", "regex": True}, ["src/a.py:2: total = 1"]),
        (
            {"pattern": "total", "ignore_case": True, "glob": "*.py"},
            ["src/a.py:2: total = 1", "src/a.py:3: Total = 2"],
        ),
        ({"pattern": "os", "glob": "src/**"}, ["src/a.py:1: import os"]),
    ],
)
async def test_matching_lines_come_with_path_and_number(
    toolbox: Toolbox, tree: Path, arguments: dict[str, object], lines: list[str]
) -> None:
    outcome = await toolbox.call("search_files", arguments)

    assert outcome.ok, outcome.text
    assert [line for line in outcome.text.splitlines() if not line.startswith("[")] == lines
    assert outcome.data
    assert len(outcome.data["matches"]) == len(lines)


async def test_no_match_is_a_result(toolbox: Toolbox, tree: Path) -> None:
    outcome = await toolbox.call("search_files", {"pattern": "nowhere"})
    none = await toolbox.call("search_files", {"pattern": "x", "glob": "*.xls"})

    assert outcome.ok
    assert outcome.text == "(no match; 3 files searched)\n[1 binary files passed over]"
    assert none.text == "(no file fits '*.xls')"


async def test_a_search_stops_after_so_many_lines(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.txt").write_text("x\n" * 100)

    outcome = await toolbox.call("search_files", {"pattern": "x", "max_results": 5})

    assert outcome.truncated
    assert outcome.text.splitlines()[-1] == "[stopped after 5 lines; there are more]"


async def test_an_expression_that_is_none_is_a_bad_argument(toolbox: Toolbox, tree: Path) -> None:
    outcome = await toolbox.call("search_files", {"pattern": "(a", "regex": True})

    assert outcome.error_class == "bad_arguments"
    assert "unterminated subpattern" in outcome.text


async def test_an_expression_that_never_ends_costs_only_its_time_limit(
    make_toolbox: MakeToolbox, workspace: Path
) -> None:
    (workspace / "a.txt").write_text("a" * 60 + "!\n")

    outcome = await make_toolbox(wall_s=1).call(
        "search_files", {"pattern": "(a|aa)+$", "regex": True}
    )

    assert outcome.error_class == "timeout"
    assert "simpler expression" in outcome.text


async def test_a_long_line_is_cut_around_the_match(toolbox: Toolbox, workspace: Path) -> None:
    (workspace / "a.txt").write_text("." * 5000 + "needle" + "." * 5000)

    outcome = await toolbox.call("search_files", {"pattern": "needle"})

    assert "needle" in outcome.text
    assert len(outcome.text) < 400
