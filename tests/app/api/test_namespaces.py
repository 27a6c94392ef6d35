"""Things of one namespace do not exist for callers of another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.api.caller import caller_of
from app.callers import Caller
from app.main import create_app
from tests.support.service import RoleModel, client_of, settings_for

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _serving_as(home: Path, caller: list[Caller]) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client whose caller is whoever is in the list."""
    app = create_app(settings_for(home), model=RoleModel())
    app.dependency_overrides[caller_of] = lambda: caller[0]
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


async def test_the_same_idempotency_key_makes_a_task_in_each_namespace(tmp_path: Path) -> None:
    caller = [Caller("red", "k_1", frozenset({"tasks:write", "tasks:read"}))]
    async with _serving_as(tmp_path, caller) as client:
        made: list[httpx.Response] = []
        for namespace in ("red", "blue"):
            caller[0] = Caller(namespace, "k_1", caller[0].scopes)
            made.append(
                await client.post(
                    "/api/v1/tasks",
                    json={"instruction": "add it up"},
                    headers={"Idempotency-Key": "one"},
                )
            )
        assert [response.status_code for response in made] == [202, 202]
        tasks = [response.json() for response in made]
        assert tasks[0]["id"] != tasks[1]["id"]
        listed = (await client.get("/api/v1/tasks")).json()["items"]
        assert [task["id"] for task in listed] == [tasks[1]["id"]]
        for path in ("", "/events", "/artifacts", "/artifacts/a.txt"):
            response = await client.get(f"/api/v1/tasks/{tasks[0]['id']}{path}")
            assert response.status_code == 404
        assert (await client.post(f"/api/v1/tasks/{tasks[0]['id']}/cancel")).status_code == 404


async def test_only_an_admin_may_name_another_namespace(tmp_path: Path) -> None:
    caller = [Caller("red", "k_1", frozenset({"tasks:write"}))]
    body = {"instruction": "add it up", "namespace": "default"}
    async with _serving_as(tmp_path, caller) as client:
        refused = await client.post("/api/v1/tasks", json=body)
        assert refused.status_code == 403
        assert "'red'" in refused.json()["detail"]
        caller[0] = Caller("red", "k_2", frozenset({"admin"}))
        made = await client.post("/api/v1/tasks", json=body)
        assert made.status_code == 202
        assert made.json()["namespace"] == "default"


async def test_a_file_of_another_namespace_is_not_known(tmp_path: Path) -> None:
    caller = [Caller("red", "k_1")]
    async with _serving_as(tmp_path, caller) as client:
        upload = {"file": ("a.txt", b"hello")}
        file_id = (await client.post("/api/v1/files", files=upload)).json()["id"]
        caller[0] = Caller("blue", "k_2")
        body = {"instruction": "read it", "files": [file_id]}
        assert (await client.post("/api/v1/tasks", json=body)).status_code == 422
        caller[0] = Caller("red", "k_1")
        assert (await client.post("/api/v1/tasks", json=body)).status_code == 202
