from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_monitor_sees_what_became_of_tasks_calls_and_requests(home: Path) -> None:
    model = RoleModel(call("write_file", path="a.txt", content="x"), call("answer", text="42"))
    async with serving(home, model) as client:
        task = (await client.post("/api/v1/tasks", json={"instruction": "add it up"})).json()
        await ended(client, task["id"])
        await client.get("/api/v1/tasks/t_of_nobody")
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    seen = samples(response.text)
    done = frozenset({("status", "succeeded"), ("reason", "done")})
    missing = {("method", "GET"), ("route", "/api/v1/tasks/{task_id}"), ("status", "404")}
    assert seen["strop_tasks_ended_total", done] == 1
    assert seen["strop_tasks_submitted_total", frozenset()] == 1
    assert seen["strop_tasks", frozenset({("status", "succeeded")})] == 1
    assert seen["strop_http_requests_total", frozenset(missing)] == 1
    assert seen["strop_event_stream_readers", frozenset()] == 0
    listed = frozenset({("tool", "write_file"), ("outcome", "ok")})
    assert seen["strop_tool_calls_total", listed] == 1
    assert seen["strop_steps_total", frozenset()] >= 1
    assert any(name == "strop_model_tokens_total" for name, _ in seen)
    assert any(name == "process_resident_memory_bytes" for name, _ in seen)
    assert "t_of_nobody" not in response.text


async def test_counters_of_the_database_survive_a_restart(home: Path) -> None:
    async with serving(home) as client:
        task = (await client.post("/api/v1/tasks", json={"instruction": "add it up"})).json()
        await ended(client, task["id"])
    async with serving(home) as client:
        seen = samples((await client.get("/metrics")).text)
    assert seen["strop_tasks_submitted_total", frozenset()] == 1
    assert sum(n for (name, _), n in seen.items() if name == "strop_model_calls_total") > 0


async def test_only_an_admin_sees_the_figures_of_all_namespaces_once_there_are_keys(
    home: Path,
) -> None:
    async with serving(home) as client:
        body = {"name": "monitor", "scopes": ["admin"]}
        admin = (await client.post("/api/v1/keys", json=body)).json()["key"]
        as_admin = {"Authorization": f"Bearer {admin}"}
        made = await client.post("/api/v1/keys", json={"name": "reader"}, headers=as_admin)
        as_reader = {"Authorization": f"Bearer {made.json()['key']}"}
        statuses = [
            (await client.get("/metrics", headers=headers)).status_code
            for headers in ({}, as_reader, as_admin)
        ]
    assert statuses == [401, 403, 200]


async def test_a_request_keeps_its_id_and_a_strange_one_is_replaced(home: Path) -> None:
    async with serving(home) as client:
        kept = await client.get("/healthz", headers={"X-Request-ID": "abc-1"})
        strange = await client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert kept.headers["x-request-id"] == "abc-1"
    assert len(strange.headers["x-request-id"]) == 32
