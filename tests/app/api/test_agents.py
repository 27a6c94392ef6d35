"""Standing agents over REST, on a server that works."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import RoleModel, ended, serving

pytestmark = pytest.mark.anyio
URL = "/api/v1/agents"
BODY: dict[str, Any] = {"name": "on call", "instruction": "Help whoever asks."}


async def _make(client: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    response = await client.post(URL, json=BODY | given)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"{URL}/{response.json()['id']}"
    return response.json()


async def _report(client: httpx.AsyncClient, agent_id: str, number: int) -> dict[str, Any]:
    """Wait for an agent's report of this number, from 1, and for the end of its task."""
    async with asyncio.timeout(30):
        while True:
            items = (await client.get(f"{URL}/{agent_id}/reports")).json()["items"]
            if len(items) >= number:
                await ended(client, items[-number]["task_id"])
                items = (await client.get(f"{URL}/{agent_id}/reports")).json()["items"]
                return items[-number]
            await asyncio.sleep(0.02)  # what is waited for lies in a database


async def test_an_agent_wakes_when_asked_works_reports_and_outlives_its_server(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as client:
        made = await _make(client)
        place = f"{URL}/{made['id']}"
        assert (made["state"], made["next_at"]) == ("asleep", None)
        assert (await client.post(f"{place}/wake")).status_code == 202
        report = await _report(client, made["id"], 1)
        assert (report["status"], report["text"]) == ("succeeded", "42")
        task = (await client.get(f"/api/v1/tasks/{report['task_id']}")).json()
        assert task["agent"] == made["id"]
        listed = (await client.get("/api/v1/tasks", params={"agent": made["id"]})).json()
        assert [one["id"] for one in listed["items"]] == [task["id"]]
        asked = {"instruction": "add up", "agent": made["id"]}
        behalf = (await client.post("/api/v1/tasks", json=asked)).json()
        await ended(client, behalf["id"])
        reports = (await client.get(f"{place}/reports")).json()["items"]
        assert [one["task_id"] for one in reports] == [behalf["id"], task["id"]]
        refused = await client.post("/api/v1/tasks", json=asked | {"agent": "ag_nobody"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "agent")
    model = RoleModel()
    async with serving(tmp_path, model) as client:
        assert (await client.get(place)).json()["last_task_id"] == report["task_id"]
        told = await client.post(f"{place}/inbox", json={"text": "look at Tuesday"})
        assert (told.status_code, told.json()["seq"]) == (202, 1)
        second = await _report(client, made["id"], 3)
        assert (await client.get(f"{place}/inbox")).json()["items"][0]["task_id"] == second[
            "task_id"
        ]
        said = str(next(one for one in model.requests if one.purpose == "solver.operate").messages)
        assert "look at Tuesday" in said
        assert "last_report" in said


async def test_an_agent_wakes_by_its_timing(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        made = await _make(client, timing={"interval_s": 1})
        assert (await _report(client, made["id"], 1))["status"] == "succeeded"


async def test_pausing_an_agent_stops_its_task_and_removing_it_cancels_it(tmp_path: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with serving(tmp_path, model) as client:
        made = await _make(client)
        place = f"{URL}/{made['id']}"
        await client.post(f"{place}/wake")
        await asyncio.wait_for(model.held.wait(), 30)
        task_id = (await client.get(place)).json()["task_id"]
        assert (await client.post(f"{place}/pause")).json()["state"] == "paused"
        assert (await client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == "paused"
        assert (await client.post(f"{place}/wake")).status_code == 409
        assert (await client.post(f"{place}/resume")).json()["state"] == "working"
        assert (await client.delete(place)).status_code == 204
        assert (await client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == "cancelled"
        assert (await client.get(place)).status_code == 404
        model.go_on.set()


async def test_agents_are_listed_in_pages_and_changed(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        first, second = await _make(client), await _make(client, name="second")
        page = (await client.get(URL, params={"limit": 1})).json()
        assert [one["id"] for one in page["items"]] == [second["id"]]
        rest = await client.get(URL, params={"cursor": page["next_cursor"]})
        assert [one["id"] for one in rest.json()["items"]] == [first["id"]]
        body = {"timing": {"cron": "0 7 * * *"}, "usd_per_day": 2.5}
        changed = await client.patch(f"{URL}/{first['id']}", json=body)
        assert changed.json()["usd_per_day"] == 2.5
        assert changed.json()["next_at"] is not None


_USELESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": " "}, "visible"),
    ({"instruction": "x" * 10_001}, "10000"),
    ({"timing": {"cron": "sometimes"}}, "comes true"),
    ({"timing": {"at": "2001-01-01T00:00:00Z"}}, "still to come"),
    ({"usd_per_day": 0}, "usd_per_day"),
    ({"tokens_per_day": True}, "tokens_per_day"),
    ({"task": {"model": "no-such-model"}}, "no-such-model"),
    ({"task": {"instruction": "x"}}, "instruction"),
    ({"colour": "red"}, "colour"),
)


async def test_an_agent_of_no_use_is_refused_in_words(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with serving(tmp_path) as client:
        for given, says in _USELESS:
            with subtests.test(says):
                response = await client.post(URL, json=BODY | given)
                assert response.status_code == 422, response.text
                assert says in response.text
        assert (await client.get(URL)).json()["items"] == []
