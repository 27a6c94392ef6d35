"""Things of one namespace do not exist for callers of another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.api.caller import caller_of
from app.callers import Caller
from app.main import create_app
from tests.support.service import RoleModel, client_of, ended, serving, settings_for

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


async def test_namespaces_are_made_changed_and_removed(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        made = await client.post("/api/v1/namespaces", json={"name": "red", "tasks_per_day": 5})
        assert made.status_code == 201
        assert (await client.post("/api/v1/namespaces", json={"name": "red"})).status_code == 409
        assert (await client.post("/api/v1/namespaces", json={"name": "No!"})).status_code == 422
        changed = await client.patch("/api/v1/namespaces/red", json={"usd_per_day": 1.5})
        assert (changed.json()["tasks_per_day"], changed.json()["usd_per_day"]) == (5, 1.5)
        names = [item["name"] for item in (await client.get("/api/v1/namespaces")).json()["items"]]
        assert names == ["default", "red"]
        assert (await client.delete("/api/v1/namespaces/default")).status_code == 409
        await client.post("/api/v1/tasks", json={"instruction": "x", "namespace": "red"})
        refused = await client.delete("/api/v1/namespaces/red")
        assert (refused.status_code, "tasks" in refused.json()["detail"]) == (409, True)
        await client.post("/api/v1/namespaces", json={"name": "blue"})
        assert (await client.delete("/api/v1/namespaces/blue")).status_code == 204
        assert (await client.get("/api/v1/namespaces/blue")).status_code == 404
        nowhere = {"instruction": "x", "namespace": "blue"}
        assert (await client.post("/api/v1/tasks", json=nowhere)).status_code == 422


@pytest.mark.parametrize(
    ("quota", "words"),
    [({"tasks_per_day": 1}, "1 tasks a day"), ({"usd_per_day": 0}, "$0 a day")],
)
async def test_a_task_beyond_a_quota_is_put_off_with_the_reason(
    tmp_path: Path, quota: dict[str, float], words: str
) -> None:
    async with serving(tmp_path) as client:
        await client.patch("/api/v1/namespaces/default", json=quota)
        body = {"instruction": "add it up"}
        answers = [await client.post("/api/v1/tasks", json=body) for _ in range(2)]
        assert answers[1].status_code == 429
        assert words in answers[1].json()["detail"]
        assert 0 < int(answers[1].headers["retry-after"]) <= 86_401


async def test_only_so_many_tasks_are_taken_at_once(tmp_path: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with serving(tmp_path, model) as client:
        await client.patch("/api/v1/namespaces/default", json={"tasks_at_once": 1})
        body = {"instruction": "add it up"}
        first = (await client.post("/api/v1/tasks", json=body)).json()
        refused = await client.post("/api/v1/tasks", json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "15")
        model.go_on.set()
        await ended(client, first["id"])
        assert (await client.post("/api/v1/tasks", json=body)).status_code == 202


async def test_files_beyond_the_quota_are_refused_and_not_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.patch("/api/v1/namespaces/default", json={"stored_bytes": 8})
        answers = [
            await client.post("/api/v1/files", files={"file": ("a.txt", b"hello")})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [201, 429]
        assert len(list((tmp_path / "files").iterdir())) == 1
