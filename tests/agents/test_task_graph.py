"""The `task` graph from instruction to answer, with a scripted model and real tools."""

from pathlib import Path

import pytest

from agents.run import RunEnd, RunWaits
from agents.state import RunLimits
from models.base import ModelServerError
from models.messages import Message, Reply, Usage
from models.scripted import SCRIPTED_INFO, ScriptedModel
from tests.support.runs import ACCEPT, FINE, PLAN, answer, bench, calls

pytestmark = pytest.mark.anyio

ECHO = calls(("shell", {"command": "echo hello"}), thought="Say hello and see it.")
FAIL = calls(("shell", {"command": "exit 3"}))


def requests(model: object) -> list[str]:
    assert isinstance(model, ScriptedModel)
    return [request.purpose for request in model.requests]


async def test_a_task_is_planned_acted_reviewed_and_answered(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, ECHO, FINE, answer("It said hello."), ACCEPT])

    end = await task.run()

    assert end == RunEnd(status="succeeded", end_reason="done", answer="It said hello.")
    assert requests(task.model) == [
        "manager.plan",
        "solver.operate",
        "reviewer.step",
        "solver.operate",
        "reviewer.answer",
    ]
    assert [step.outcome for step in task.recorder.steps] == ["success", "success"]


async def test_what_succeeds_for_certain_is_not_reviewed_by_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    look = calls(("read_file", {"path": "a.txt"}))
    task = await bench(tmp_path, [PLAN, look, answer("one"), ACCEPT])

    await task.run()

    assert "reviewer.step" not in requests(task.model)
    assert task.recorder.steps[0].decided_by == "code"


async def test_two_failures_in_a_row_bring_the_manager_back(tmp_path: Path) -> None:
    replan = '{"thought": "another way", "subgoals": ["try echo"]}'
    task = await bench(tmp_path, [PLAN, FAIL, FAIL, replan, answer("done"), ACCEPT])

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.status == "succeeded"
    assert requests(task.model).count("manager.replan") == 1
    assert isinstance(task.model, ScriptedModel)
    shown = task.model.requests[3].messages[-1].content
    assert "## What failed" in shown
    assert "exit 3" in shown
    assert task.recorder.steps[0].error_class is not None


async def test_the_manager_sees_no_failures_before_they_escalate(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, FAIL, answer("done"), ACCEPT])

    await task.run()

    assert isinstance(task.model, ScriptedModel)
    assert "## What failed" not in task.model.requests[0].messages[-1].content
    assert requests(task.model).count("manager.replan") == 0


async def test_five_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    failing = [calls(("shell", {"command": f"exit {n}"})) for n in range(1, 6)]
    script = [PLAN, failing[0], failing[1], PLAN, failing[2], failing[3], PLAN, failing[4]]
    end = await (await bench(tmp_path, script)).run()

    assert isinstance(end, RunEnd)
    assert (end.status, end.end_reason) == ("failed", "max_failures")
    assert "5 steps in a row" in end.error


async def test_equal_actions_end_the_run_for_repetition(tmp_path: Path) -> None:
    limits = RunLimits(max_repeats=3, max_failures=9, escalate_after=9)
    task = await bench(tmp_path, [PLAN, ECHO, FINE, ECHO, ECHO], limits=limits)

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.end_reason == "repetition"
    assert [step.outcome for step in task.recorder.steps] == ["success", "no_change", "no_change"]


async def test_the_step_limit_ends_the_run(tmp_path: Path) -> None:
    writes = [calls(("write_file", {"path": f"{n}.txt", "content": "x"})) for n in range(3)]
    limits = RunLimits(max_steps=3)
    task = await bench(tmp_path, [PLAN, *writes], limits=limits)

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.end_reason == "max_steps"


async def test_several_subgoals_are_worked_through_and_composed(tmp_path: Path) -> None:
    plan = '{"thought": "", "subgoals": ["first", "second"]}'
    final = '{"answer": "A and B"}'
    task = await bench(tmp_path, [plan, answer("A"), answer("B"), final, ACCEPT])

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.answer == "A and B"
    assert isinstance(task.model, ScriptedModel)
    second = task.model.requests[2].messages[-1].content
    assert "[x] first → A" in second
    assert "## Subgoal\nsecond" in second


async def test_a_refused_answer_is_reworded_from_the_same_evidence(tmp_path: Path) -> None:
    refuse = '{"accepted": false, "score": 0.3, "feedback": "no unit", "mend": "wording"}'
    script = [PLAN, answer("7"), refuse, '{"answer": "7 kg"}', ACCEPT]
    task = await bench(tmp_path, script)

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.answer == "7 kg"
    assert "repair" in task.recorder.kinds()


async def test_a_refused_answer_that_needs_work_goes_back_to_the_manager(tmp_path: Path) -> None:
    refuse = '{"accepted": false, "score": 0.1, "feedback": "count them", "mend": "work"}'
    script = [PLAN, answer("some"), refuse, PLAN, answer("seven"), ACCEPT]
    task = await bench(tmp_path, script)

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.answer == "seven"
    assert isinstance(task.model, ScriptedModel)
    assert "count them" in task.model.requests[3].messages[-1].content


async def test_an_answer_that_stays_refused_fails_the_task_and_is_still_shown(
    tmp_path: Path,
) -> None:
    refuse = '{"accepted": false, "score": 0.1, "feedback": "wrong", "mend": "wording"}'
    script = [PLAN, answer("7"), refuse, '{"answer": "8"}', refuse]
    task = await bench(tmp_path, script, limits=RunLimits(max_answer_rounds=1))

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert (end.status, end.end_reason, end.answer) == ("failed", "no_answer", "8")
    assert "wrong" in end.error


async def test_a_task_that_cannot_be_done_ends_without_an_answer(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, answer("There is no such file.", solved=False), ACCEPT])

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert (end.status, end.end_reason) == ("failed", "no_answer")
    assert end.answer == "There is no such file."


async def test_a_question_stops_the_run_until_it_is_answered(tmp_path: Path) -> None:
    ask = calls(("ask_human", {"question": "Which year?"}))
    task = await bench(tmp_path, [PLAN, ask, answer("2004"), ACCEPT])

    waiting = await task.run()
    still_waiting = await task.run()
    end = await task.run(answer="2004")

    assert waiting == still_waiting == RunWaits(question="Which year?")
    assert isinstance(end, RunEnd)
    assert end.status == "succeeded"
    assert "2004" in task.recorder.steps[0].calls[0].text


async def test_a_model_that_is_gone_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, ModelServerError("no server at 127.0.0.1:9")])

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.end_reason == "model_unavailable"
    assert "no server" in end.error


async def test_a_solver_that_only_talks_is_asked_once_more(tmp_path: Path) -> None:
    task = await bench(tmp_path, [PLAN, "I think it is 4.", answer("4"), ACCEPT])

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.status == "succeeded"


async def test_notes_are_taken_only_when_steps_leave_the_window(tmp_path: Path) -> None:
    writes = [calls(("write_file", {"path": f"{n}.txt", "content": "x"})) for n in range(4)]
    notes = '{"notes": "0.txt and 1.txt are written"}'
    script = [PLAN, *writes, notes, answer("done"), ACCEPT]
    task = await bench(tmp_path, script, limits=RunLimits(history_window=2))

    await task.run()

    assert requests(task.model).count("refiner.notes") == 1
    assert isinstance(task.model, ScriptedModel)
    last = task.model.requests[-2].messages[-1].content
    assert "0.txt and 1.txt are written" in last
    assert "### Step 1" not in last
    assert "### Step 3" in last


async def test_independent_reads_run_side_by_side_and_effects_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "b.txt").write_text("b\n")
    reads = calls(("read_file", {"path": "a.txt"}), ("read_file", {"path": "b.txt"}))
    writes = calls(
        ("shell", {"command": "echo 1 > n.txt"}),
        ("shell", {"command": "exit 9"}),
        ("shell", {"command": "echo 3 > n.txt"}),
    )
    task = await bench(tmp_path, [PLAN, reads, writes, answer("ok"), ACCEPT])

    await task.run()

    first, second = task.recorder.steps[:2]
    assert [call.ok for call in first.calls] == [True, True]
    assert [call.ok for call in second.calls] == [True, False, False]
    assert "Not run" in second.calls[2].text
    assert (tmp_path / "n.txt").read_text() == "1\n"


async def test_a_spent_budget_ends_the_run_before_the_next_call(tmp_path: Path) -> None:
    costly = Reply(message=Message(role="assistant", content=PLAN), usage=Usage(usd=0.5, calls=1))
    task = await bench(tmp_path, [costly, ECHO, FINE], limits=RunLimits(usd=0.5))

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.end_reason == "budget"
    assert "$0.5" in end.error
    assert requests(task.model) == ["manager.plan"]


async def test_every_model_call_is_charged_even_one_that_had_to_be_asked_again(
    tmp_path: Path,
) -> None:
    rubbish = Reply(message=Message(role="assistant", content="hm"), usage=Usage(prompt_tokens=7))
    task = await bench(tmp_path, [rubbish, PLAN, answer("x"), ACCEPT])

    await task.run()

    purposes = [purpose for purpose, _, _ in task.recorder.charges]
    assert purposes.count("manager.plan") == 2
    assert (await task.recorder.spent()).prompt_tokens >= 7


async def test_a_model_without_native_tool_calls_acts_in_json(tmp_path: Path) -> None:
    action = (
        'I write it.\n```json\n{"thought": "write", "calls": [{"name": "write_file", '
        '"arguments": {"path": "a.txt", "content": "https://example.org/#top"}}]}\n```'
    )
    final = '{"thought": "done", "calls": [{"name": "answer", "arguments": {"text": "written"}}]}'
    plain = SCRIPTED_INFO.model_copy(update={"features": frozenset({"chat"})})
    model = ScriptedModel([PLAN, action, final, ACCEPT], info=plain)
    task = await bench(tmp_path, model)

    end = await task.run()

    assert isinstance(end, RunEnd)
    assert end.answer == "written"
    assert (tmp_path / "a.txt").read_text() == "https://example.org/#top"
    request = model.requests[1]
    assert request.tools == ()
    assert "write_file" in request.messages[0].content
