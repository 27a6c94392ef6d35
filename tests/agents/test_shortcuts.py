"""A Shortcut runs its steps in one go, with conditions that a machine checks."""

from pathlib import Path

import pytest

from agents.run import RunEnd
from memory.records import (
    ArgumentConst,
    ArgumentRef,
    Check,
    Entry,
    Provenance,
    Recall,
    Recalled,
    Shortcut,
    ShortcutArgument,
    ShortcutStep,
)
from models.messages import Message
from models.scripted import ScriptedModel
from tests.support.runs import ACCEPT, FINE, PLAN, answer, bench, calls
from tests.support.times import A_MOMENT

pytestmark = pytest.mark.anyio

COPY = Shortcut(
    name="write_and_show",
    description="Write a file and show it.",
    arguments=(ShortcutArgument(name="path"), ShortcutArgument(name="content")),
    postcondition_check=Check(file_exists="{path}", file_contains="l"),
    steps=(
        ShortcutStep(
            tool="write_file",
            arguments={"path": ArgumentRef(ref="path"), "content": ArgumentRef(ref="content")},
        ),
        ShortcutStep(tool="shell", arguments={"command": ArgumentConst(const="cat out.txt")}),
    ),
)


def recall(shortcut: Shortcut) -> Recall:
    entry = Entry(
        id="S1",
        namespace="default",
        kind="shortcut",
        status="trial",
        version=1,
        body=shortcut,
        content_hash="h",
        provenance=Provenance(),
        created_at=A_MOMENT,
    )
    return Recall(items=(Recalled(entry=entry, score=1.0, rank=0),))


def use(**arguments: str) -> Message:
    return calls(("shortcut_write_and_show", arguments))


async def test_a_shortcut_is_offered_as_a_tool_and_runs_at_once(tmp_path: Path) -> None:
    script = [PLAN, use(path="out.txt", content="hello"), FINE, answer("x"), ACCEPT]
    task = await bench(tmp_path, script, recalled=recall(COPY))

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.status == "succeeded"
    assert isinstance(task.model, ScriptedModel)
    assert "shortcut_write_and_show" in [tool.name for tool in task.model.requests[1].tools]
    step = task.recorder.steps[0]
    assert step.calls[0].ok
    assert "hello" in step.calls[0].text
    assert (tmp_path / "out.txt").read_text() == "hello"


async def test_a_postcondition_that_does_not_hold_is_a_failure(tmp_path: Path) -> None:
    script = [PLAN, use(path="out.txt", content="xyz"), answer("x"), ACCEPT]
    task = await bench(tmp_path, script, recalled=recall(COPY))
    await task.run()
    assert task.recorder.steps[0].error_class == "precondition"


async def test_a_precondition_that_does_not_hold_runs_nothing(tmp_path: Path) -> None:
    guarded = COPY.model_copy(update={"precondition_check": Check(file_exists="in.txt")})
    script = [PLAN, use(path="out.txt", content="l"), answer("x"), ACCEPT]
    task = await bench(tmp_path, script, recalled=recall(guarded))
    await task.run()
    assert task.recorder.steps[0].error_class == "precondition"
    assert not (tmp_path / "out.txt").exists()


async def test_missing_and_unknown_arguments_are_named(tmp_path: Path) -> None:
    script = [PLAN, use(path="out.txt", speed="fast"), answer("x"), ACCEPT]
    task = await bench(tmp_path, script, recalled=recall(COPY))
    await task.run()
    call = task.recorder.steps[0].calls[0]
    assert call.error_class == "bad_arguments"
    assert "content" in call.text
    assert "speed" in call.text
