import asyncio
from pathlib import Path

import httpx
import pytest

from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio


async def _held(client: httpx.AsyncClient, model: RoleModel) -> str:
    response = await client.post("/api/v1/tasks", json={"instruction": "add up"})
    await asyncio.wait_for(model.held.wait(), 30)
    return f"/api/v1/tasks/{response.json()['id']}"


async def test_a_task_is_paused_told_something_and_resumed_over_http(home: Path) -> None:
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    async with serving(home, model) as client:
        task = await _held(client, model)
        paused = await client.post(f"{task}/pause")
        told = await client.post(f"{task}/messages", json={"text": "In euros."})
        model.go_on.set()
        resumed = await client.post(f"{task}/resume")
        await ended(client, task.rpartition("/")[2])
        done = (await client.get(task)).json()
    assert (paused.status_code, paused.json()["status"]) == (200, "paused")
    assert (told.status_code, told.json()["status"]) == (202, "paused")
    assert resumed.status_code == 200
    assert done["result"] == "42"


async def test_what_cannot_be_done_now_is_a_conflict_that_names_the_status(home: Path) -> None:
    async with serving(home) as client:
        made = await client.post("/api/v1/tasks", json={"instruction": "add up"})
        task = f"/api/v1/tasks/{made.json()['id']}"
        await ended(client, made.json()["id"])
        answers = [await client.post(f"{task}/{verb}") for verb in ("pause", "resume", "retry")]
        answers.append(await client.post(f"{task}/messages", json={"text": "more"}))
        missing = await client.post("/api/v1/tasks/t_none/pause")
    assert [answer.status_code for answer in answers] == [409] * 4
    assert all("succeeded" in answer.json()["detail"] for answer in answers)
    assert missing.status_code == 404


async def test_a_cancelled_task_can_be_retried_at_once(home: Path) -> None:
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    async with serving(home, model) as client:
        task = await _held(client, model)
        await client.post(f"{task}/cancel")
        model.go_on.set()
        retried = await client.post(f"{task}/retry")
        events = await ended(client, task.rpartition("/")[2])
        done = (await client.get(task)).json()
    assert retried.status_code == 200
    assert (done["status"], done["run_id"]) == ("succeeded", f"{done['id']}.2")
    assert [event["event"] for event in events].count("end") == 2
