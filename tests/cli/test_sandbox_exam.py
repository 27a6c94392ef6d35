"""The command that examines backends: what it prints and how it ends."""

import io
import json
from argparse import Namespace
from typing import Any

import pytest
from rich.console import Console

from app.cli import sandbox_exam
from app.cli.exam_progress import BarProgress
from app.cli.exits import CliError, Exit
from app.cli.sandbox_exam import Candidate, Sheet, as_markdown
from sandboxes.base import Capabilities, Isolation, SandboxBackend, SandboxUnavailableError
from sandboxes.check import CheckResult, all_checks, parts

pytestmark = pytest.mark.anyio

NAMES = [check.name for check in all_checks()]


class Idle:
    """A backend that can be asked and then makes nothing."""

    async def probe(self) -> Capabilities:
        return Capabilities(isolation=Isolation.VM)

    async def create(self, spec: object, *, watch: object = None) -> None:
        msg = "nothing to be\nhad | here"
        raise SandboxUnavailableError(msg)


IDLE: SandboxBackend = Idle()  # pyright: ignore[reportAssignmentType] - makes nothing


def sheet(name: str, isolation: Isolation, *answers: bool | None) -> Sheet:
    results = [
        CheckResult(name=NAMES[i], group="contract", held=held, detail="why", seconds=0.1)
        for i, held in enumerate(answers)
    ]
    return Sheet(Candidate(name, IDLE, Capabilities(isolation=isolation)), results)


def arguments(**changes: Any) -> Namespace:
    return Namespace(**{"name": None, "all": False, "json": False, "markdown": False, **changes})


def test_the_table_has_a_row_for_every_check_and_says_why_one_was_not_tried() -> None:
    missing = Sheet(Candidate("pods", None, reason="no cluster\nis reached"), [])
    table = as_markdown([sheet("strong", Isolation.VM, True, False, None), missing])
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert rows[0] == "|  | strong | pods |"
    assert rows[2] == f"| **{next(iter(parts()))}** |  |  |"
    assert rows[3:6] == [
        f"| {NAMES[0]} | held | not tried (a) |",
        f"| {NAMES[1]} | **broken** | not tried (a) |",
        f"| {NAMES[2]} | not tried (b) | not tried (a) |",
    ]
    assert len(rows) == 2 + len(parts()) + len(NAMES)
    assert "a: no cluster" in table
    assert "b: why" in table


def test_the_summary_counts_and_says_what_a_broken_line_means() -> None:
    assert sheet("s", Isolation.VM, True, False, None).summary() == (
        "s: 1 held, 1 broken, 1 not tried"
    )
    assert sheet("s", Isolation.VM, True, False, None, None).remarks() == [
        f"  BROKEN {NAMES[1]}: why",
        "  not tried (2): why",
    ]
    assert "it protects nothing" in sheet("s", Isolation.NONE, False).summary()
    assert (
        "not examined, no engine" in Sheet(Candidate("s", None, reason="no engine"), []).summary()
    )


async def test_an_exam_that_could_not_be_sat_breaks_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = await sandbox_exam.examine(
        Candidate("idle", IDLE), sandbox_exam.progress_for(lines=True)
    )
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(NAMES) == len(found.results)
    assert shown[0].startswith(f"not tried contract    {NAMES[0]}: no sandbox could be made")
    assert (found.broken, found.promises) == (0, False)
    assert "nothing to be had \\| here" not in as_markdown([found])
    assert "a: no sandbox could be made: nothing to be" in as_markdown([found])
    json.dumps(sandbox_exam.as_document(found), default=str)


@pytest.mark.parametrize(
    "wrong", [{"all": True, "name": "bubblewrap"}, {"json": True, "markdown": True}]
)
async def test_what_does_not_go_together_is_wrong_use(wrong: dict[str, Any]) -> None:
    with pytest.raises(CliError) as failed:
        await sandbox_exam.check(arguments(**wrong))
    assert failed.value.code is Exit.WRONG_USE


def test_a_terminal_shows_a_bar_and_the_answers_above_it() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    bar = BarProgress(console, quiet=True)
    bar.begin("strong", 2)
    for result in sheet("strong", Isolation.VM, True, False).results:
        bar.show(result)
    bar.close()
    bar.close()
    shown = screen.getvalue()
    assert f"BROKEN    {NAMES[1]}" in shown
    assert next(iter(parts())) in shown
    assert f"held      {NAMES[0]}" not in shown, "only what broke is of interest beside a document"
    assert "strong, 1 broken" in shown
