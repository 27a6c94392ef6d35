"""Health, models, memory, the page, and who may talk to the server at all."""

import json
import sqlite3
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.main import create_app
from app.serving import check_address
from tests.support.service import RoleModel, call, client_of, ended, serving, settings_for

pytestmark = pytest.mark.anyio
LESSON = json.dumps(
    {
        "tips": [
            {
                "text": "The file data.csv uses semicolons between its columns.",
                "scope": {"level": "file", "key": "data.csv"},
                "polarity": "do",
                "error_class": None,
                "steps": [1],
            }
        ],
        "shortcut": None,
    }
)


async def test_health_and_readiness(home: Path) -> None:
    async with serving(home) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        ready = (await client.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert {check["name"] for check in ready["checks"]} == {"database", "disk", "engine"}


async def test_a_server_without_room_is_not_ready_and_takes_no_task(home: Path) -> None:
    async with serving(home, min_free_bytes=1 << 60) as client:
        ready = await client.get("/readyz")
        submitted = await client.post("/api/v1/tasks", json={"instruction": "x"})
    assert (ready.status_code, submitted.status_code) == (503, 503)
    assert ready.headers["retry-after"] == submitted.headers["retry-after"] == "5"
    assert "disk" in ready.json()["detail"]


async def test_before_it_is_open_the_server_says_that_it_starts(home: Path) -> None:
    async with client_of(create_app(settings_for(home), model=RoleModel())) as client:
        assert (await client.get("/healthz")).status_code == 200
        response = await client.get("/api/v1/tasks")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_chosen_model_comes_first_with_its_reason(home: Path) -> None:
    async with serving(home) as client:
        items = (await client.get("/api/v1/models")).json()["items"]
    assert (items[0]["name"], items[0]["chosen"]) == ("scripted", True)
    assert items[0]["reason"]
    assert sum(item["chosen"] for item in items) == 1
    assert len(items) > 1


async def test_what_was_learned_is_shown_with_its_record(home: Path) -> None:
    model = RoleModel(call("list_files", path="."), call("answer", text="42"), lessons=LESSON)
    async with serving(home, model) as client:
        for _ in range(2):
            task = (await client.post("/api/v1/tasks", json={"instruction": "look"})).json()
            await ended(client, task["id"])
        [tip] = (await client.get("/api/v1/memory/tips")).json()["items"]
        one = (await client.get(f"/api/v1/memory/tips/{tip['id']}")).json()
        receipt = (await client.get(f"/api/v1/memory/{tip['id']}/receipt")).json()
        history = (await client.get(f"/api/v1/memory/{tip['id']}/history")).json()
        shortcuts = (await client.get("/api/v1/memory/shortcuts")).json()
        other_kind = await client.get(f"/api/v1/memory/shortcuts/{tip['id']}")
    assert tip["body"]["text"].startswith("The file data.csv")
    assert one == tip
    assert receipt["note"] == "not yet known"
    assert [version["version"] for version in history] == [1]
    assert shortcuts == {"items": [], "next_cursor": None}
    assert other_kind.status_code == 404


async def test_the_description_of_the_api_is_at_the_root(home: Path) -> None:
    async with serving(home) as client:
        described = (await client.get("/openapi.json")).json()
    assert "/api/v1/tasks/{task_id}/events" in described["paths"]
    assert {"TaskRequest", "Problem"} <= set(described["components"]["schemas"])
    for operation in (one for path in described["paths"].values() for one in path.values()):
        assert {"4XX", "422", "5XX"} <= set(operation["responses"])
        assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    submitting = described["paths"]["/api/v1/tasks"]["post"]["responses"]
    assert "Location" in submitting["202"]["headers"]


async def test_the_page_may_load_nothing_from_elsewhere(home: Path) -> None:
    async with serving(home) as client:
        page = await client.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8321"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
async def test_pages_of_other_sites_cannot_drive_the_server(
    home: Path, headers: dict[str, str]
) -> None:
    async with serving(home) as client:
        response = await client.post("/api/v1/tasks", json={"instruction": "x"}, headers=headers)
        listed = (await client.get("/api/v1/tasks")).json()["items"]
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert listed == []


async def test_a_header_that_is_there_twice_must_be_right_twice(home: Path) -> None:
    async with serving(home) as client:
        for name, value in (("Host", "evil.example"), ("Origin", "http://evil.example")):
            right = {"Host": "127.0.0.1:8321", "Origin": "http://127.0.0.1:8321"}[name]
            headers = [(name, right), (name, value)]
            assert (await client.get("/api/v1/tasks", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8321"},
        {"Host": "[::1]:8321"},
        {"Origin": "http://127.0.0.1:8321", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
async def test_its_own_page_and_programs_are_let_in(home: Path, headers: dict[str, str]) -> None:
    async with serving(home) as client:
        assert (await client.get("/api/v1/tasks", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])  # noqa: S104 - it is refused
def test_without_keys_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(SettingsError, match="STROP_HOST"):
        check_address(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_addresses_are_fine(host: str) -> None:
    check_address(host)


async def test_a_database_that_fails_is_told_as_such_and_not_in_detail(home: Path) -> None:
    async with serving(home) as client:
        with sqlite3.connect(home / "strop.db") as other:
            other.execute("ALTER TABLE tasks RENAME TO hidden")
        other.close()
        responses = [
            await client.get("/api/v1/tasks"),
            await client.post("/api/v1/tasks", json={"instruction": "x"}),
        ]
    for response in responses:
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"]
        assert "SELECT" not in response.text


async def test_a_database_that_was_removed_takes_no_task_that_would_be_lost(home: Path) -> None:
    async with serving(home) as client:
        (home / "strop.db").unlink()
        submitted = await client.post("/api/v1/tasks", json={"instruction": "x"})
        ready = await client.get("/readyz")
    assert (submitted.status_code, ready.status_code) == (503, 503)
    assert not (home / "strop.db").exists()


async def test_pages_are_checked_for_change_and_large_answers_are_compressed(home: Path) -> None:
    async with serving(home) as client:
        page = await client.get("/")
        described = await client.get("/openapi.json")
        task = (await client.post("/api/v1/tasks", json={"instruction": "x"})).json()
        events = await client.get(f"/api/v1/tasks/{task['id']}/events")
    assert page.headers["cache-control"] == "no-cache"
    assert described.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in events.headers


async def test_finished_tasks_leave_no_state_of_graphs(home: Path) -> None:
    async with serving(home, drain_s=20.0) as client:
        task = (await client.post("/api/v1/tasks", json={"instruction": "x"})).json()
        await ended(client, task["id"])
    with sqlite3.connect(home / "checkpoints.db") as kept:
        assert kept.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)
        assert kept.execute("SELECT count(*) FROM writes").fetchone() == (0,)
    kept.close()
