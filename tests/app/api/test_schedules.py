import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio
PLACE = "/api/v1/schedules"
WANTED: dict[str, Any] = {
    "name": "every second",
    "timing": {"interval_s": 1},
    "task": {"instruction": "add up"},
}


async def test_a_schedule_is_made_makes_tasks_and_is_removed(home: Path) -> None:
    async with serving(home, RoleModel(call("answer", text="42"))) as client:
        made = await client.post(PLACE, json=WANTED)
        assert made.status_code == 201, made.text
        place = made.headers["location"]
        async with asyncio.timeout(30):
            while (await client.get(place)).json()["last_task_id"] is None:  # noqa: ASYNC110 - what is waited for lies in a database
                await asyncio.sleep(0.05)
        task_id = (await client.get(place)).json()["last_task_id"]
        await ended(client, task_id)
        held = await client.patch(place, json={"enabled": False})
        by_hand = await client.post(f"{place}/run")
        listed = (await client.get(PLACE)).json()
        gone = await client.delete(place)
        assert (await client.get(place)).status_code == 404
    assert held.json()["enabled"] is False
    assert by_hand.status_code == 202
    assert [item["id"] for item in listed["items"]] == [made.json()["id"]]
    assert gone.status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        {"timing": {"cron": "no"}},
        {"timing": {}},
        {"timing": {"cron": "* * * * *", "timezone": "Nowhere"}},
        {"timing": {"interval_s": 10**30}},
        {"timing": {"at": "2001-01-01T00:00:00Z"}},
        {"task": {"instruction": ""}},
        {"name": ""},
        {"overlap": "maybe"},
        {"more": 1},
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(
    home: Path, change: dict[str, Any]
) -> None:
    async with serving(home) as client:
        refused = await client.post(PLACE, json=WANTED | change)
    assert (refused.status_code, refused.headers["content-type"]) == (
        422,
        "application/problem+json",
    )


async def test_a_task_for_later_waits_and_recurring_ones_are_pointed_to_schedules(
    home: Path,
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    async with serving(home) as client:
        task = {"instruction": "add up", "schedule": {"at": later}}
        made = await client.post("/api/v1/tasks", json=task)
        soon = await client.post("/api/v1/tasks", json={"instruction": "add up"})
        await ended(client, soon.json()["id"])
        waits = (await client.get(made.headers["location"])).json()
        cron = task | {"schedule": {"cron": "* * * * *"}}
        refused = await client.post("/api/v1/tasks", json=cron)
    assert (made.status_code, waits["status"]) == (202, "queued")
    assert refused.status_code == 422
    assert "/schedules" in refused.text
