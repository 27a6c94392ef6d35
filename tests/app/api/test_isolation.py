"""No route gives, changes or betrays what belongs to another namespace."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from memory.records import Provenance, Tip
from tests.support.service import RoleModel, call, client_of, ended, settings_for

if TYPE_CHECKING:
    from app.wiring import Runtime

pytestmark = pytest.mark.anyio
METHODS = {"get", "post", "put", "patch", "delete"}
WRITES = call("write_file", path="secret.txt", content="crimson")
ANSWERS = call("answer", text="crimson", artifacts=["secret.txt"])
SCOPES = ["tasks:read", "tasks:write", "memory:write", "tools:write"]


async def _key(client: httpx.AsyncClient, admin: dict[str, str], **fields: Any) -> dict[str, str]:
    response = await client.post("/api/v1/keys", json={"name": "x", **fields}, headers=admin)
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['key']}"}


async def _things(
    app: FastAPI, client: httpx.AsyncClient, red: dict[str, str]
) -> tuple[str, str, str]:
    """Let the namespace red have a task with events and a file, an upload and a Tip."""
    upload = {"file": ("a.txt", b"crimson")}
    file_id = (await client.post("/api/v1/files", files=upload, headers=red)).json()["id"]
    body = {"instruction": "crimson business", "files": [file_id]}
    task_id = (await client.post("/api/v1/tasks", json=body, headers=red)).json()["id"]
    client.headers.update(red)
    await ended(client, task_id)
    del client.headers["Authorization"]
    runtime: Runtime = app.state.runtime
    tip = Tip(text="Look at the crimson column before the others.")
    provenance = Provenance(run_id=f"{task_id}.1", task_id=task_id)
    kept = await runtime.memory.propose(tip, namespace="red", provenance=provenance)
    assert kept.entry is not None
    return task_id, file_id, kept.entry.id


async def _schedule(client: httpx.AsyncClient, red: dict[str, str]) -> str:
    """Let the namespace red have a schedule."""
    task = {"instruction": "crimson business"}
    body = {"name": "crimson", "timing": {"cron": "0 0 1 1 *"}, "task": task}
    made = await client.post("/api/v1/schedules", json=body, headers=red)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _watchers(client: httpx.AsyncClient, red: dict[str, str]) -> dict[str, str]:
    """Let the namespace red have a webhook and an agent; return their ids by path parameter."""
    hook = {"url": "https://example.org/crimson"}
    agent = {"name": "crimson", "instruction": "crimson business"}
    ids: dict[str, str] = {}
    for name, what, body in (("{webhook_id}", "webhooks", hook), ("{agent_id}", "agents", agent)):
        made = await client.post(f"/api/v1/{what}", json=body, headers=red)
        assert made.status_code == 201, made.text
        ids[name] = made.json()["id"]
    return ids


async def test_no_route_betrays_what_another_namespace_has(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    app = create_app(settings_for(tmp_path), model=RoleModel(WRITES, ANSWERS))
    async with app.router.lifespan_context(app), client_of(app) as client:
        admin = await _key(client, {}, scopes=["admin"])
        for name in ("red", "blue"):
            await client.post("/api/v1/namespaces", json={"name": name}, headers=admin)
        red = await _key(client, admin, namespace="red", scopes=SCOPES)
        blue = await _key(client, admin, namespace="blue", scopes=SCOPES)
        task_id, file_id, entry_id = await _things(app, client, red)
        schedule_id = await _schedule(client, red)
        others = await _watchers(client, red)
        seen = await client.get(f"/api/v1/tasks/{task_id}", headers=red)
        assert seen.status_code == 200
        assert (await client.get(f"/api/v1/memory/tips/{entry_id}", headers=red)).status_code == 200
        paths = (await client.get("/openapi.json")).json()["paths"]
        for path, operations in paths.items():
            if not path.startswith("/api/"):
                continue
            place = path.replace("{task_id}", task_id).replace("{entry_id}", entry_id)
            place = place.replace("{name}", "secret.txt").replace("{schedule_id}", schedule_id)
            for name, value in others.items():
                place = place.replace(name, value)
            for method in operations.keys() & METHODS:
                with subtests.test(method=method, path=path):
                    told = path.endswith(("/messages", "/inbox"))
                    body = {"text": "hello"} if told else None
                    response = await client.request(method, place, json=body, headers=blue)
                    assert response.status_code < 500
                    said = json.dumps(response.text.replace(task_id, "").replace(entry_id, ""))
                    assert "crimson" not in said
                    if any(name in path for name in ("{task_id}", "{schedule_id}", *others)):
                        assert response.status_code in {404, 422}, response.text
                    if response.status_code == 200:
                        assert task_id not in response.text
                        assert entry_id not in response.text
        stolen = {"instruction": "x", "files": [file_id]}
        assert (await client.post("/api/v1/tasks", json=stolen, headers=blue)).status_code == 422
        after = await client.get(f"/api/v1/tasks/{task_id}", headers=red)
        assert after.json() == seen.json()
