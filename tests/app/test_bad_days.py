"""A locked database and clocks that jump: clear errors meanwhile, and nothing accepted is lost."""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app.db.types import now
from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio
AT_ONCE = 12
"""More than there are threads for transactions."""


@contextmanager
def _held(path: Path) -> Generator[None]:
    """Hold the write lock of a database, as a process that hangs would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_locked_database_refuses_writes_soon_serves_reads_and_loses_nothing(
    tmp_path: Path,
) -> None:
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    async with serving(tmp_path, model, database_wait_s=0.2) as client:
        first = await client.post("/api/v1/tasks", json={"instruction": "add it up"})
        task_id = first.json()["id"]
        await model.held.wait()
        with _held(tmp_path / "strop.db"):
            model.go_on.set()
            writes = [
                asyncio.create_task(client.post("/api/v1/tasks", json={"instruction": "more"}))
                for _ in range(AT_ONCE)
            ]
            while not all(write.done() for write in writes):
                seen = await client.get(f"/api/v1/tasks/{task_id}")
                assert seen.status_code == 200
            for write in writes:
                refused = write.result()
                assert refused.status_code == 503, refused.text
                assert refused.headers["content-type"] == "application/problem+json"
                assert refused.headers["retry-after"]
                assert "busy" in refused.json()["detail"]
        again = await client.post("/api/v1/tasks", json={"instruction": "once more"})
        assert again.status_code == 202
        for accepted in (task_id, again.json()["id"]):
            assert (await ended(client, accepted))[-1]["event"] == "end"
            assert (await client.get(f"/api/v1/tasks/{accepted}")).json()["result"] == "42"
        listed = (await client.get("/api/v1/tasks")).json()["items"]
        assert [item["id"] for item in listed] == [again.json()["id"], task_id]


async def test_a_key_that_only_reads_is_let_in_while_its_use_cannot_be_noted(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as client:
        made = await client.post("/api/v1/keys", json={"name": "reader", "scopes": ["tasks:read"]})
        assert made.status_code == 201, made.text
        with _held(tmp_path / "strop.db"):
            key = {"Authorization": f"Bearer {made.json()['key']}"}
            assert (await client.get("/api/v1/tasks", headers=key)).status_code == 200


async def test_a_clock_that_jumps_by_hours_uses_up_none_of_a_task_s_seconds(tmp_path: Path) -> None:
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    async with serving(tmp_path, model) as client:
        task = {"instruction": "add it up", "budget": {"seconds": 60}}
        task_id = (await client.post("/api/v1/tasks", json=task)).json()["id"]
        await model.held.wait()
        with closing(sqlite3.connect(tmp_path / "strop.db")) as other, other:
            other.execute("UPDATE tasks SET claimed_at = ?", (str(now() - timedelta(hours=3)),))
        model.go_on.set()
        await ended(client, task_id)
        seen = (await client.get(f"/api/v1/tasks/{task_id}")).json()
        assert seen["status"] == "succeeded", seen
        assert seen["usage"]["seconds"] < 60
