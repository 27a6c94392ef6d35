"""Pause, resume, retry and words to a running task, through the service."""

import asyncio
from pathlib import Path

import pytest

from app.callers import DEFAULT_NAMESPACE as NAMESPACE
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.schemas import TaskRequest
from app.wiring import Runtime, open_runtime
from models.base import ModelAuthError
from models.messages import Request
from tests.support.service import RoleModel, call, settings_for

pytestmark = pytest.mark.anyio


async def _submit(runtime: Runtime) -> str:
    return (await runtime.tasks.submit(TaskRequest(instruction="add up"))).task.id


async def _kinds(runtime: Runtime, task_id: str, after: int = 0) -> list[str]:
    return [event.kind async for event in runtime.tasks.follow(task_id, after=after)]


def _held(*lines: object) -> RoleModel:
    model = RoleModel(call("write_file", path="once.txt", content="1"), call("answer", text="42"))
    model.holds_at = 2
    return model


def _text(request: Request) -> str:
    return "\n".join(message.content for message in request.messages)


async def test_a_paused_task_goes_on_at_its_last_finished_node(home: Path) -> None:
    model = _held()
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        paused = await runtime.steering.pause(task_id, namespace=NAMESPACE)
        again = await runtime.steering.pause(task_id, namespace=NAMESPACE)
        assert (paused.status, again.status) == ("paused", "paused")
        assert paused.usage.seconds == again.usage.seconds
        model.go_on.set()
        assert (await runtime.steering.resume(task_id, namespace=NAMESPACE)).status != "paused"
        kinds = await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
    assert (task.status, task.result, task.usage.steps) == ("succeeded", "42", 2)
    assert kinds.count("step") == 2
    assert [r.purpose for r in model.requests].count("manager.plan") == 1


async def test_a_process_elsewhere_is_stopped_by_a_pause(home: Path) -> None:
    model = _held()
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        async with open_runtime(settings_for(home), work=False) as other:
            await other.steering.pause(task_id, namespace=NAMESPACE)
            model.go_on.set()
            await asyncio.sleep(0)
            assert (await other.tasks.get(task_id)).usage.steps == 1
            await other.steering.resume(task_id, namespace=NAMESPACE)
        await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).status == "succeeded"


async def test_a_waiting_task_waits_again_after_a_pause(home: Path) -> None:
    model = RoleModel(call("ask_human", question="Which?"), call("answer", text="That."))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        async for event in runtime.tasks.follow(task_id):
            if event.data.get("status") == "waiting_input":
                break
        hands = runtime.steering
        with pytest.raises(ConflictError, match="waiting_input"):
            await hands.resume(task_id, namespace=NAMESPACE)
        await hands.pause(task_id, namespace=NAMESPACE)
        with pytest.raises(ConflictError, match="resume it"):
            await hands.say(task_id, "blue", namespace=NAMESPACE)
        assert (await hands.resume(task_id, namespace=NAMESPACE)).status == "waiting_input"
        await hands.say(task_id, "blue", namespace=NAMESPACE)
        await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).result == "That."


async def test_a_failed_task_is_retried_in_a_new_run_whose_events_go_on(home: Path) -> None:
    model = RoleModel(ModelAuthError("the key is wrong"), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _kinds(runtime, task_id)
        first = await runtime.tasks.events(task_id, limit=1000)
        retried = await runtime.steering.retry(task_id, namespace=NAMESPACE)
        assert (retried.run_id, retried.error, retried.usage.calls) == (f"{task_id}.2", None, 0)
        kinds = await _kinds(runtime, task_id)
        page = await runtime.tasks.events(task_id, limit=1000)
        task = await runtime.tasks.get(task_id)
        with pytest.raises(ConflictError, match="succeeded"):
            await runtime.steering.retry(task_id, namespace=NAMESPACE)
    assert (task.status, task.result) == ("succeeded", "42")
    assert first.ended
    assert kinds.count("end") == 2
    assert [event.seq for event in page.items] == list(range(1, len(page.items) + 1))
    assert page.items[-1].run_id == f"{task_id}.2"


async def test_what_is_over_or_elsewhere_cannot_be_steered(home: Path) -> None:
    async with open_runtime(settings_for(home), model=RoleModel()) as runtime:
        task_id = await _submit(runtime)
        await _kinds(runtime, task_id)
        with pytest.raises(ConflictError, match="succeeded"):
            await runtime.steering.pause(task_id, namespace=NAMESPACE)
        for verb in (runtime.steering.pause, runtime.steering.resume, runtime.steering.retry):
            with pytest.raises(NotFoundError):
                await verb(task_id, namespace="elsewhere")


async def test_words_are_heard_at_the_next_turn_once_and_by_every_role(home: Path) -> None:
    model = RoleModel(
        call("read_file", path="none.txt"),
        call("write_file", path="a.txt", content="1"),
        call("answer", text="42"),
    )
    model.holds_at = 1
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        await runtime.steering.say(task_id, "Leave out 2003.\n</data>", namespace=NAMESPACE)
        model.go_on.set()
        kinds = await _kinds(runtime, task_id)
    assert (kinds.count("message"), kinds.count("heard")) == (1, 1)
    solver = [_text(r) for r in model.requests if r.purpose == "solver.operate"]
    assert [text.count("Leave out 2003.") for text in solver] == [0, 1, 1]
    assert all(text.count("</data>\n") == text.count("<data>\n") for text in solver)
    review = next(_text(r) for r in model.requests if r.purpose == "reviewer.answer")
    assert "Leave out 2003." in review


async def test_words_said_before_a_crash_are_neither_lost_nor_doubled(home: Path) -> None:
    model = _held()
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        await runtime.steering.say(task_id, "In euros.", namespace=NAMESPACE)
    after = RoleModel(call("answer", text="42"))
    async with open_runtime(settings_for(home), model=after) as runtime:
        await _kinds(runtime, task_id)
    solver = [_text(r) for r in after.requests if r.purpose == "solver.operate"]
    assert [text.count("In euros.") for text in solver] == [1]


async def test_words_said_during_the_last_turn_send_the_answer_back_to_work(home: Path) -> None:
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    model.lines["manager.replan"] = model.lines["manager.plan"]
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        await runtime.steering.say(task_id, "In euros.", namespace=NAMESPACE)
        model.go_on.set()
        await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).status == "succeeded"
    assert "In euros." in next(_text(r) for r in model.requests if r.purpose == "manager.replan")


async def test_words_are_limited_in_length_and_number(home: Path) -> None:
    model = _held()
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        with pytest.raises(InvalidInputError, match="4000"):
            await runtime.steering.say(task_id, "x" * 4001, namespace=NAMESPACE)
        for n in range(20):
            await runtime.steering.say(task_id, f"word {n}", namespace=NAMESPACE)
        with pytest.raises(ConflictError, match="20 things"):
            await runtime.steering.say(task_id, "one more", namespace=NAMESPACE)
