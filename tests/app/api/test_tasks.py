import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from tests.support.service import (
    RoleModel,
    call,
    client_of,
    ended,
    parse_events,
    serving,
    settings_for,
)

pytestmark = pytest.mark.anyio
KEY = {"Idempotency-Key": "k-1"}
SHAPE = {
    "id", "status", "instruction", "result", "error", "plan", "subgoals", "usage", "budget",
    "recalled", "learned", "artifacts", "created_at", "started_at", "finished_at", "version",
    "end_reason", "model",
}  # fmt: skip


async def _submit(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/tasks", json={"instruction": "add up"} | fields)
    assert response.status_code == 202, response.text
    return response.json()


async def test_a_submitted_task_is_accepted_and_found_at_its_location(home: Path) -> None:
    async with serving(home) as client:
        response = await client.post("/api/v1/tasks", json={"instruction": "add up"})
        assert response.status_code == 202
        task = (await client.get(response.headers["location"])).json()
        assert set(task) >= SHAPE
        assert set(task["usage"]) == {"tokens", "usd", "seconds", "steps", "calls"}
        await ended(client, task["id"])
        done = (await client.get(response.headers["location"])).json()
    assert (done["status"], done["result"], done["end_reason"]) == ("succeeded", "42", "done")
    assert done["version"] > task["version"]
    assert done["finished_at"] >= done["started_at"] >= done["created_at"]


async def test_a_key_brings_the_same_task_and_refuses_another_request(home: Path) -> None:
    async with serving(home) as client:
        body = {"instruction": "add up", "inputs": {"a": 1, "b": 2}}
        first = await client.post("/api/v1/tasks", json=body, headers=KEY)
        turned: dict[str, Any] = {"inputs": {"b": 2, "a": 1}, "instruction": "add up", "files": []}
        second = await client.post("/api/v1/tasks", json=turned, headers=KEY)
        third = await client.post("/api/v1/tasks", json={"instruction": "else"}, headers=KEY)
        listed = (await client.get("/api/v1/tasks")).json()["items"]
    assert (first.status_code, second.status_code, third.status_code) == (202, 200, 409)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["location"] == first.headers["location"]
    assert third.headers["content-type"] == "application/problem+json"
    assert len(listed) == 1


async def test_many_requests_with_one_key_make_one_task(home: Path) -> None:
    async with serving(home) as client:
        body = {"instruction": "add up"}
        posts = [client.post("/api/v1/tasks", json=body, headers=KEY) for _ in range(8)]
        responses = await asyncio.gather(*posts)
    assert sorted(r.status_code for r in responses) == [200] * 7 + [202]
    assert len({r.json()["id"] for r in responses}) == 1


async def test_a_form_carries_files_whose_content_counts_for_the_key(home: Path) -> None:
    async with serving(home) as client:

        async def post(content: bytes) -> httpx.Response:
            return await client.post(
                "/api/v1/tasks",
                data={"instruction": "add up"},
                files={"file": ("sales.csv", content, "text/csv")},
                headers=KEY,
            )

        first, same, other = await post(b"1\n"), await post(b"1\n"), await post(b"2\n")
        await ended(client, first.json()["id"])
    assert (first.status_code, same.status_code, other.status_code) == (202, 200, 409)
    assert [file["name"] for file in first.json()["files"]] == ["sales.csv"]
    workspace = home / "workspaces" / first.json()["id"]
    assert (workspace / "sales.csv").read_bytes() == b"1\n"


async def test_a_file_can_be_handed_in_before_its_task(home: Path) -> None:
    async with serving(home) as client:
        made = await client.post("/api/v1/files", files={"file": ("a.csv", b"1\n")})
        assert made.status_code == 201
        task = await _submit(client, files=[made.json()["id"]])
    assert task["files"] == [{"id": made.json()["id"], "name": "a.csv", "size": 2}]


async def test_the_whole_request_can_be_one_part_of_a_form(home: Path) -> None:
    async with serving(home) as client:
        response = await client.post(
            "/api/v1/tasks",
            data={"task": '{"instruction": "add up", "budget": {"steps": 3}}'},
            files={"file": ("a.csv", b"1\n")},
        )
    assert response.status_code == 202
    assert response.json()["budget"]["steps"] == 3


async def test_artifacts_are_listed_and_handed_out_as_downloads(home: Path) -> None:
    model = RoleModel(
        call("write_file", path="a b/page.html", content="<script>alert(1)</script>"),
        call("answer", text="done", artifacts=["a b/page.html"]),
    )
    async with serving(home, model) as client:
        task = await _submit(client)
        await ended(client, task["id"])
        [listed] = (await client.get(f"/api/v1/tasks/{task['id']}/artifacts")).json()
        got = await client.get(listed["url"])
        other = await client.get(f"/api/v1/tasks/{task['id']}/artifacts/..%2F..%2Fstrop.db")
    assert (listed["name"], listed["size"]) == ("a b/page.html", 25)
    assert got.text == "<script>alert(1)</script>"
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert other.status_code == 404


async def test_events_have_gapless_numbers_and_close_with_end(home: Path) -> None:
    async with serving(home) as client:
        task = await _submit(client)
        events = await ended(client, task["id"])
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    assert [event["event"] for event in events].count("end") == 1
    assert events[-1]["event"] == "end"


async def test_a_follower_that_comes_back_anywhere_misses_and_repeats_nothing(
    home: Path,
) -> None:
    async with serving(home) as client:
        task = await _submit(client)
        path = f"/api/v1/tasks/{task['id']}/events"
        whole = await ended(client, task["id"])
        for seen in range(len(whole)):
            rest = await client.get(path, headers={"Last-Event-ID": str(seen)})
            assert parse_events(rest.text) == whole[seen:]
            after = await client.get(path, params={"after": seen})
            assert parse_events(after.text) == whole[seen:]
        done = await client.get(path, headers={"Last-Event-ID": str(len(whole))})
    assert done.status_code == 204


async def test_pages_of_events_are_the_same_events(home: Path) -> None:
    async with serving(home) as client:
        task = await _submit(client)
        path = f"/api/v1/tasks/{task['id']}/events"
        whole = await ended(client, task["id"])
        after, seqs, done = 0, list[int](), False
        while not done:
            page = (
                await client.get(
                    path,
                    params={"after": after, "limit": 4},
                    headers={"Accept": "application/json"},
                )
            ).json()
            seqs += [item["seq"] for item in page["items"]]
            after, done = page["after"], page["ended"]
    assert seqs == [int(event["id"]) for event in whole]


async def test_a_silent_stream_is_kept_alive_and_wakes_at_once(home: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    app = create_app(settings_for(home, keep_alive_s=0.02), model=model)
    async with app.router.lifespan_context(app), client_of(app) as client:
        task = await _submit(client)
        reading = asyncio.create_task(client.get(f"/api/v1/tasks/{task['id']}/events"))
        await asyncio.wait_for(model.held.wait(), 30)
        await asyncio.wait({reading}, timeout=0.1)
        model.go_on.set()
        text = (await reading).text
    assert ": still here" in text
    assert parse_events(text)[-1]["event"] == "end"


async def test_a_cancelled_task_says_so_and_ends(home: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with serving(home, model) as client:
        task = await _submit(client)
        await asyncio.wait_for(model.held.wait(), 30)
        cancelled = await client.post(f"/api/v1/tasks/{task['id']}/cancel")
        events = await ended(client, task["id"])
    assert cancelled.json()["status"] == "cancelled"
    assert [event["event"] for event in events][-2:] == ["task", "end"]


async def test_the_list_pages_and_filters(home: Path) -> None:
    async with serving(home) as client:
        made = [(await _submit(client, instruction=f"task {n}"))["id"] for n in range(5)]
        for task_id in made:
            await ended(client, task_id)
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/api/v1/tasks", params=params)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
        found = (await client.get("/api/v1/tasks", params={"text": "TASK 3"})).json()["items"]
        none = (await client.get("/api/v1/tasks", params={"status": ["failed"]})).json()["items"]
    assert seen == made[::-1]
    assert [item["id"] for item in found] == [made[3]]
    assert none == []
