"""Learning happens on every ending, from evidence, and never from an outage."""

from pathlib import Path

import pytest

from agents.learning import rests_on_evidence, teaching_steps
from agents.refiner import TipProposal
from agents.run import RunEnd
from agents.state import RunLimits, Step
from memory.records import INFRASTRUCTURE, ErrorClass, Shortcut, Tip
from models.base import ModelServerError
from models.scripted import ScriptedModel
from tests.support.runs import ACCEPT, NO_LESSON, PLAN, answer, bench, calls

pytestmark = pytest.mark.anyio

FAIL = calls(("shell", {"command": "exit 3"}))
LESSON = (
    '{"tips": [{"text": "data.csv has no header line.", "scope_level": "file", '
    '"scope_key": "data.csv", "steps": [1]}], "shortcut": null}'
)


def failed(n: int, error_class: ErrorClass) -> Step:
    return Step(
        n=n, subgoal=0, thought="", calls=(), outcome="wrong_state", error_class=error_class
    )


async def test_a_failed_run_teaches_too(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, FAIL, LESSON], limits=RunLimits(max_steps=1))
    end = await task.run()
    assert isinstance(end, RunEnd)
    assert end.end_reason == "max_steps"

    await task.learn(end)

    assert [tip.text for tip in task.memory.proposals if isinstance(tip, Tip)] == [
        "data.csv has no header line."
    ]
    assert task.memory.outcomes[0].success is False
    assert task.memory.outcomes[0].failures == 1


async def test_the_refiner_sees_what_failed_and_what_is_known(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, FAIL, answer("done"), ACCEPT, NO_LESSON])
    end = await task.run()
    assert isinstance(end, RunEnd)
    await task.learn(end)

    assert isinstance(task.model, ScriptedModel)
    shown = task.model.requests[-1].messages[-1].content
    assert "### Step 1 → wrong_state" in shown
    assert "exit 3" in shown


async def test_a_model_that_is_gone_costs_the_lesson_but_not_the_outcome(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, answer("x"), ACCEPT, ModelServerError("gone")])
    end = await task.run()
    assert isinstance(end, RunEnd)

    assert await task.learn(end) == []
    assert len(task.memory.outcomes) == 1


async def test_a_shortcut_is_proposed_from_what_the_refiner_words(tmp_path: Path) -> None:
    lesson = (
        '{"tips": [], "shortcut": {"name": "count_lines", "description": "Count the lines.", '
        '"arguments": [{"name": "path"}], "steps": [{"tool": "read_file", "arguments": '
        '{"path": {"ref": "path"}}}, {"tool": "shell", "arguments": {"command": '
        '{"const": "wc -l *"}}}]}}'
    )
    task = await bench(tmp_path, [PLAN, FAIL, answer("x"), ACCEPT, lesson])
    end = await task.run()
    assert isinstance(end, RunEnd)
    await task.learn(end)

    (shortcut,) = task.memory.proposals
    assert isinstance(shortcut, Shortcut)
    assert shortcut.name == "count_lines"


@pytest.mark.parametrize("error_class", sorted(INFRASTRUCTURE))
def test_an_outage_teaches_nothing(error_class: ErrorClass) -> None:
    steps = [failed(1, error_class), failed(2, "precondition")]
    assert [step.n for step in teaching_steps(steps)] == [2]
    tip = TipProposal(text="The page does not work.", steps=(1,))
    assert not rests_on_evidence(tip, {step.n: step for step in steps})


def test_a_tip_without_evidence_is_not_proposed() -> None:
    tip = TipProposal(text="Always be careful.", steps=(7,))
    assert not rests_on_evidence(tip, {1: failed(1, "precondition")})
