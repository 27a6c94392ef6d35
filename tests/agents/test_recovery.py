"""A run that died goes on where it stood, and repeats nothing that had an effect."""

from dataclasses import replace
from pathlib import Path

import pytest

from agents.run import RunEnd
from agents.state import CallRecord
from models.base import OnText
from models.messages import Reply, Request
from models.scripted import ScriptedModel, ScriptExhaustedError
from tests.support.runs import ACCEPT, FINE, NO_LESSON, PLAN, answer, bench, calls

pytestmark = pytest.mark.anyio


class DiedError(Exception):
    """Stands for the end of the process: nothing in the runtime catches it."""


class DyingModel(ScriptedModel):
    """Answers some lines, then takes the run down with it."""

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        try:
            return await super().complete(request, on_text=on_text)
        except ScriptExhaustedError as error:
            raise DiedError from error


APPEND = calls(("shell", {"command": "echo once >> log.txt; cat log.txt"}))


async def test_finished_nodes_are_not_run_again(tmp_path: Path) -> None:
    task = await bench(tmp_path, DyingModel([PLAN, APPEND, FINE]))
    with pytest.raises(DiedError):
        await task.run()

    second = await bench(tmp_path, [answer("done"), ACCEPT])
    second.saver, second.recorder = task.saver, task.recorder
    second.context = replace(second.context, recorder=task.recorder)
    end = await second.run()

    assert isinstance(end, RunEnd)
    assert end.status == "succeeded"
    assert (tmp_path / "log.txt").read_text() == "once\n"
    assert [step.n for step in task.recorder.steps] == [1, 2]


async def test_a_settled_call_is_not_made_twice(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, APPEND, FINE, answer("done"), ACCEPT])
    task.recorder.journal["1.0.0"] = CallRecord(
        id="1.0.0", tool="shell", arguments={}, ok=True, text="from the journal"
    )

    await task.run()

    assert not (tmp_path / "log.txt").exists()
    assert task.recorder.steps[0].calls[0].text == "from the journal"


async def test_a_call_of_unknown_effect_is_not_repeated_but_reported(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, APPEND, answer("done"), ACCEPT])
    task.recorder.journal["1.0.0"] = None

    await task.run()

    call = task.recorder.steps[0].calls[0]
    assert not call.ok
    assert "not known" in call.text
    assert not (tmp_path / "log.txt").exists()


async def test_learning_can_be_taken_up_again(tmp_path: Path) -> None:
    lesson = '{"tips": [{"text": "Echo before you append.", "steps": [1]}], "shortcut": null}'
    task = await bench(tmp_path, [PLAN, APPEND, FINE, answer("done"), ACCEPT, lesson, NO_LESSON])
    end = await task.run()
    assert isinstance(end, RunEnd)

    first, again = await task.learn(end), await task.learn(end)

    assert first == again == ["Echo before you append."]
    assert len(task.memory.outcomes) == 1
