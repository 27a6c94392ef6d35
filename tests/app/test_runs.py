"""Whole runs through the service: real graphs, tools, memory and database, a scripted model."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from app.callers import DEFAULT_NAMESPACE
from app.errors import ConflictError
from app.files import BytesUpload
from app.schemas import Budget, TaskRequest
from app.wiring import Runtime, open_runtime
from models.base import ModelAuthError, ModelServerError
from tests.support.service import RoleModel, call, settings_for, until

pytestmark = pytest.mark.anyio
LESSON = json.dumps(
    {
        "tips": [
            {
                "text": "The file data.csv uses semicolons between its columns.",
                "scope": {"level": "file", "key": "data.csv"},
                "polarity": "do",
                "error_class": None,
                "steps": [1],
            }
        ],
        "shortcut": None,
    }
)


async def _kinds(runtime: Runtime, task_id: str) -> list[str]:
    return [event.kind async for event in runtime.tasks.follow(task_id)]


async def _submit(runtime: Runtime, **given: object) -> str:
    fields = {"instruction": "add up data.csv"} | given
    return (await runtime.tasks.submit(TaskRequest.model_validate(fields))).task.id


async def test_a_task_runs_answers_hands_over_files_and_teaches(home: Path) -> None:
    model = RoleModel(
        call("read_file", path="data.csv"),
        call("write_file", path="out/total.txt", content="42"),
        call("answer", text="The total is 42.", artifacts=["out/total.txt"]),
        lessons=LESSON,
    )
    async with open_runtime(settings_for(home), model=model) as runtime:
        file = await runtime.tasks.files.add(
            DEFAULT_NAMESPACE, "data.csv", BytesUpload(b"a;b\n40;2\n")
        )
        task_id = await _submit(runtime, files=[file.id])
        kinds = await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
        tips = await runtime.memory.list(namespace=DEFAULT_NAMESPACE, kind="tip")
        with await runtime.tasks.artifact(task_id, "out/total.txt") as handed:
            assert handed.read() == b"42"
    assert (task.status, task.end_reason, task.result) == ("succeeded", "done", "The total is 42.")
    assert task.artifacts == [{"name": "out/total.txt", "size": 2}]
    assert [subgoal.status for subgoal in task.subgoals] == ["done"]
    assert (task.usage.steps, task.usage.calls) == (3, len(model.requests))
    assert kinds[-3:] == ["model", "learned", "end"]
    assert kinds.index("answer") < kinds.index("learned")
    assert [item["outcome"] for item in task.learned] == ["new"]
    assert [tip.id for tip in tips] == [task.learned[0]["id"]]


async def test_a_question_stops_the_run_and_the_answer_goes_on_with_it(home: Path) -> None:
    model = RoleModel(call("ask_human", question="Which one?"), call("answer", text="That one."))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        async for event in runtime.tasks.follow(task_id):
            if event.kind == "question":
                assert event.data == {"text": "Which one?"}
                assert (await runtime.tasks.get(task_id)).question == "Which one?"
                await runtime.steering.say(task_id, "the blue one", namespace=DEFAULT_NAMESPACE)
        task = await runtime.tasks.get(task_id)
    assert task.result == "That one."
    assert any("the blue one" in message.content for r in model.requests for message in r.messages)


async def test_an_answer_survives_the_end_of_the_process_that_asked(home: Path) -> None:
    asking = RoleModel(call("ask_human", question="Which one?"))
    async with open_runtime(settings_for(home), model=asking) as runtime:
        task_id = await _submit(runtime)
        async for event in runtime.tasks.follow(task_id):
            if event.data.get("status") == "waiting_input":
                break
    async with open_runtime(settings_for(home), work=False) as runtime:
        await runtime.steering.say(task_id, "the blue one", namespace=DEFAULT_NAMESPACE)
    answering = RoleModel(call("answer", text="Blue."))
    async with open_runtime(settings_for(home), model=answering) as runtime:
        kinds = await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).result == "Blue."
    assert kinds.count("message") == kinds.count("question") == kinds.count("end") == 1


async def test_words_to_a_task_that_is_over_are_a_conflict(home: Path) -> None:
    async with open_runtime(settings_for(home), model=RoleModel()) as runtime:
        task_id = await _submit(runtime)
        await _kinds(runtime, task_id)
        with pytest.raises(ConflictError, match="is over"):
            await runtime.steering.say(task_id, "hello", namespace=DEFAULT_NAMESPACE)


async def test_cancelling_stops_a_model_call_and_learns_nothing(home: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
        assert (await runtime.tasks.cancel(task_id)).status == "cancelled"
        assert (await runtime.tasks.cancel(task_id)).status == "cancelled"
        kinds = await _kinds(runtime, task_id)
        calls = len(model.requests)
        model.go_on.set()
        await asyncio.sleep(0)
    assert kinds[-2:] == ["task", "end"]
    assert len(model.requests) == calls


async def test_a_stopped_process_leaves_its_task_for_the_next_without_repeating_a_step(
    home: Path,
) -> None:
    model = RoleModel(
        call("write_file", path="once.txt", content="1"), call("answer", text="never said")
    )
    model.holds_at = 2
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await asyncio.wait_for(model.held.wait(), 30)
    next_model = RoleModel(call("answer", text="42"))
    async with open_runtime(settings_for(home), model=next_model) as runtime:
        await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
        page = await runtime.tasks.events(task_id, limit=1000)
    assert (task.status, task.result, task.usage.steps) == ("succeeded", "42", 2)
    assert [event.seq for event in page.items] == list(range(1, len(page.items) + 1))
    assert not any(r.purpose == "manager.plan" for r in next_model.requests)


async def test_a_model_that_cannot_answer_ends_the_task_with_a_reason(home: Path) -> None:
    model = RoleModel(ModelAuthError("the key is wrong"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
    assert (task.status, task.end_reason) == ("failed", "model_unavailable")
    assert "the key is wrong" in (task.error or "")


async def test_retries_of_the_model_are_told_as_events(home: Path) -> None:
    model = RoleModel(ModelServerError("overloaded"), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        kinds = await _kinds(runtime, task_id)
    assert kinds.count("model_retry") == 1
    assert kinds.index("model_retry") < kinds.index("answer")


async def test_a_budget_of_the_task_ends_it(home: Path) -> None:
    model = RoleModel(call("list_files", path="."))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime, budget=Budget(steps=1).model_dump())
        await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
    assert (task.status, task.end_reason, task.usage.steps) == ("failed", "max_steps", 1)


async def test_without_a_sandbox_that_protects_no_task_runs(home: Path) -> None:
    given = {"sandbox": "unsafe-local", "sandbox_min_isolation": "namespace"}
    async with open_runtime(settings_for(home, **given), model=RoleModel()) as runtime:
        task_id = await _submit(runtime)
        await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
    assert (task.status, task.end_reason) == ("failed", "tool_unavailable")


async def test_a_process_that_does_not_work_leaves_tasks_to_one_that_does(home: Path) -> None:
    async with open_runtime(settings_for(home), work=False) as looking:
        task_id = await _submit(looking)
        following = asyncio.create_task(_kinds(looking, task_id))
        assert (await looking.tasks.get(task_id)).status == "queued"
        async with open_runtime(settings_for(home), model=RoleModel()):
            assert (await asyncio.wait_for(following, 60))[-1] == "end"


async def test_nothing_heavy_is_loaded_to_open_a_runtime(home: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from app.settings import Settings
from app.wiring import open_runtime
async def main():
    async with open_runtime(Settings(home=Path({str(home)!r})), work=False) as runtime:
        await runtime.checks.ready()
asyncio.run(main())
heavy = {{"litellm", "chromadb", "docker", "playwright", "torch", "onnxruntime", "langgraph"}}
heavy |= {{"opentelemetry"}}
print(sorted(heavy & set(sys.modules)))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert out.decode().strip() == "[]", errors.decode()


async def test_a_runtime_whose_worker_is_still_loading_stops_cleanly(home: Path) -> None:
    async with open_runtime(settings_for(home), model=RoleModel()) as runtime:
        await _submit(runtime)
    await until(lambda: not list((home / "locks").glob("*.alive")))
