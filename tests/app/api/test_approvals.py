import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.messages import Usage
from models.scripted import as_reply
from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio
ASK = {"rules": [{"tool": "shell", "decision": "ask"}]}
APPROVALS = "/api/v1/approvals"


async def _asked(client: httpx.AsyncClient, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Submit a task that asks, and return its address and the approval."""
    made = await client.post("/api/v1/tasks", json={"instruction": "add up"} | fields)
    assert made.status_code == 202, made.text
    task = f"/api/v1/tasks/{made.json()['id']}"
    async with asyncio.timeout(30):
        while True:
            pending = (await client.get(APPROVALS, params={"status": "pending"})).json()["items"]
            if pending:
                return task, pending[0]
            await asyncio.sleep(0.02)


async def test_an_approval_is_listed_decided_once_and_lets_the_task_go_on(home: Path) -> None:
    model = RoleModel(call("shell", command="echo yes > said.txt"), call("answer", text="42"))
    async with serving(home, model) as client:
        task, asked = await _asked(client, approval=ASK)
        assert (await client.get(task)).json()["status"] == "waiting_approval"
        assert asked["arguments"] == {"command": "echo yes > said.txt"}
        place = f"{APPROVALS}/{asked['id']}"
        assert (await client.get(place)).json() == asked
        decided = await client.post(place, json={"decision": "approve"})
        again = await client.post(place, json={"decision": "reject"})
        await ended(client, asked["task_id"])
        assert (await client.get(task)).json()["status"] == "succeeded"
    assert (decided.status_code, decided.json()["status"]) == (200, "approved")
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")


async def test_the_rules_of_a_namespace_hold_for_its_tasks(home: Path) -> None:
    model = RoleModel(call("shell", command="true"), call("answer", text="42"))
    async with serving(home, model) as client:
        changed = await client.patch("/api/v1/namespaces/default", json={"approval": ASK})
        assert changed.status_code == 200, changed.text
        _, asked = await _asked(client)
        rejected = await client.post(
            f"{APPROVALS}/{asked['id']}", json={"decision": "reject", "note": "not on this day"}
        )
        await ended(client, asked["task_id"])
    assert rejected.json()["note"] == "not on this day"
    seen = "\n".join(m.content for request in model.requests for m in request.messages)
    assert "not on this day" in seen


@pytest.mark.parametrize(
    "body",
    [{}, {"decision": "maybe"}, {"decision": "edit"}, {"decision": "edit", "edited": {"x": 1}}],
)
async def test_a_decision_that_makes_no_sense_is_refused_and_nothing_changes(
    home: Path, body: dict[str, Any]
) -> None:
    async with serving(home, RoleModel(call("shell", command="true"))) as client:
        _, asked = await _asked(client, approval=ASK)
        refused = await client.post(f"{APPROVALS}/{asked['id']}", json=body)
        assert refused.status_code == 422
        assert (await client.get(f"{APPROVALS}/{asked['id']}")).json()["status"] == "pending"


async def test_an_unknown_approval_is_not_found(home: Path) -> None:
    async with serving(home) as client:
        assert (await client.get(f"{APPROVALS}/a_nope")).status_code == 404
        decided = await client.post(f"{APPROVALS}/a_nope", json={"decision": "approve"})
        assert decided.status_code == 404


class Costly(RoleModel):
    """Reports what its calls cost."""

    async def complete(self, request: Any, *, on_text: Any = None) -> Any:
        reply = await super().complete(request, on_text=on_text)
        usage = Usage(prompt_tokens=60, completion_tokens=40, usd=0.5, calls=1)
        return as_reply(reply.message).model_copy(update={"usage": usage})


@pytest.mark.parametrize("cap", ["usd", "tokens"])
async def test_a_task_that_spent_its_budget_waits_and_goes_on_with_more(
    home: Path, cap: str
) -> None:
    async with serving(home, Costly(call("answer", text="42"))) as client:
        first, more = (
            ({"usd": 0.6}, {"usd": 90})
            if cap == "usd"
            else (
                {"tokens": 120},
                {"tokens": 9000},
            )
        )
        made = await client.post("/api/v1/tasks", json={"instruction": "add up", "budget": first})
        task = f"/api/v1/tasks/{made.json()['id']}"
        async with asyncio.timeout(30):
            while (await client.get(task)).json()["status"] != "waiting_budget":  # noqa: ASYNC110 - what is waited for lies in a database
                await asyncio.sleep(0.02)
        raised = await client.patch(task, json={"budget": more})
        assert raised.status_code == 200, raised.text
        await ended(client, made.json()["id"])
        assert (await client.get(task)).json()["status"] == "succeeded"
