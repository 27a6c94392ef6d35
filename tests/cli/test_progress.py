"""Progress on terminals, in pipes and for machines."""

import io

import pytest
from rich.console import Console

from app.cli.progress import LineProgress, LiveProgress, NoProgress, Tally, progress_for

PLAN = {"subgoals": ["count rows", "write it down"]}
MODEL = {"model": "m", "prompt_tokens": 1200, "completion_tokens": 34, "usd": 0.0125}


def test_a_tally_counts_steps_calls_tokens_and_cost() -> None:
    tally = Tally()
    tally.add("step", {"outcome": "success"})
    tally.add("step", {"outcome": "no_change"})
    tally.add("model", MODEL)
    assert (tally.steps, tally.failed_steps, tally.calls) == (2, 1, 1)
    assert tally.line().startswith("2 steps · 1 model calls · 1,234 tokens · $0.0125")


def test_a_terminal_sees_the_plan_with_its_state_and_the_cost() -> None:
    screen = io.StringIO()
    progress = LiveProgress(Console(file=screen, force_terminal=True, width=100))
    progress.show("plan", PLAN)
    progress.show("subgoal", {"index": 0, "text": "count rows", "status": "done"})
    progress.show("model", MODEL)
    progress.close()
    progress.close()
    assert "✓ count rows" in screen.getvalue()
    assert "· write it down" in screen.getvalue()


def test_a_terminal_is_not_steered_by_what_is_shown() -> None:
    screen = io.StringIO()
    progress = LiveProgress(Console(file=screen, force_terminal=True, width=100))
    progress.show("question", {"text": "\x1b]0;owned\x07 [bold]x[/bold]"})
    progress.close()
    assert "\x1b]0;" not in screen.getvalue()
    assert "[bold]x[/bold]" in screen.getvalue()


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(json=False)
    assert isinstance(progress, LineProgress)
    progress.show("plan", PLAN)
    progress.close()
    assert capsys.readouterr().err == "plan:\n  1. count rows\n  2. write it down\n"


def test_machines_get_nothing_but_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(json=True)
    assert isinstance(progress, NoProgress)
    progress.show("plan", PLAN)
    progress.close()
    assert capsys.readouterr() == ("", "")
