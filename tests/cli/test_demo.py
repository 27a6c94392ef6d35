"""The demo proves what it claims, and would say so if it did not."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from app.cli.progress import Tally
from app.demo import DATA, Reference, Run, compare, main, reference
from app.schemas import TaskView, UsageView

RIGHT = Reference(date(2004, 3, 15), 3.5043)


def test_the_reference_knows_the_traps_of_the_file() -> None:
    found = reference(DATA)
    assert found.day == RIGHT.day
    assert found.mean == pytest.approx(RIGHT.mean, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("On 2004-03-15 the mean was 3.5043.", True),
        ("15 March 2004: 3.50 mg/m³", True),
        ("The day is 15/03/2004, with 3.504.", True),
        ("On 2004-03-15 the mean was -5.3.", False),
        ("On 2004-03-16 the mean was 3.5043.", False),
        ("On 2004-03-15.", False),
        ("", False),
    ],
)
def test_an_answer_is_right_when_it_names_the_day_and_its_mean(text: str, right: bool) -> None:
    assert RIGHT.agrees_with(text) is right


def test_runs_stand_side_by_side() -> None:
    usage = UsageView(tokens=1200, usd=0.5, seconds=2.0, steps=4, calls=9)
    task = TaskView.model_construct(usage=usage, recalled=[], learned=[])
    first = Run(task, Tally(failed_steps=2), "")
    recalled = [{"text": "a", "withheld": False}, {"text": "b", "withheld": True}]
    second = replace(first, task=task.model_copy(update={"recalled": recalled}), tally=Tally())
    lines = [line.split() for line in compare([first, second]).splitlines()]
    assert lines[0] == ["run", "1", "run", "2"]
    assert ["failed", "steps", "2", "0"] in lines
    assert ["recalled", "0", "1"] in lines


def test_the_second_run_is_right_with_fewer_steps_and_no_failed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--keep", str(tmp_path / "home")]) == 0
    shown = capsys.readouterr().out
    table = {line[:13].strip(): line[13:].split() for line in shown.splitlines()}
    assert int(table["steps"][0]) > int(table["steps"][1])
    assert int(table["failed steps"][0]) > 0
    assert table["failed steps"][1] == "0"
    assert table["recalled"] == ["0", "1"]
    assert "checked: correct, twice" in shown
    assert "no language model" in shown
