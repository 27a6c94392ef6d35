"""Event streams that move between servers, outlive restarts, and end with the key."""

import asyncio
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from app.main import create_app
from tests.support.served import Served, served
from tests.support.service import RoleModel, parse_events, serving, settings_for

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

LIMIT_S = 60.0


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Generator[str]:
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.fresh() as url:
        yield url


@contextmanager
def _server(home: Path, url: str, model: RoleModel, *, works: bool) -> Generator[Served]:
    settings = settings_for(home, database_url=url, server_works=works)
    with served(create_app(settings, model=model)) as running:
        yield running


def _events(running: Served, path: str, after: int, count: int = 1000) -> list[Mapping[str, Any]]:
    """Read events after a number, up to so many or to the end, and hang up."""
    text = ""
    headers = {"Last-Event-ID": str(after)}
    with httpx.stream("GET", running.url + path, headers=headers, timeout=LIMIT_S) as response:
        for part in response.iter_text():
            text += part
            if text.endswith("\n\n") and len(parse_events(text)) >= count:
                break
    return parse_events(text)[:count]


def test_a_reader_goes_on_at_another_server_and_after_a_restart_without_loss_or_repetition(
    tmp_path: Path, database_url: str
) -> None:
    held, free = RoleModel(), RoleModel()
    held.holds_at = 1
    with (
        ThreadPoolExecutor(1) as apart,
        _server(tmp_path, database_url, free, works=False) as second,
    ):
        with _server(tmp_path, database_url, held, works=True) as first:
            submitted = httpx.post(
                first.url + "api/v1/tasks", json={"instruction": "add it up"}, timeout=LIMIT_S
            )
            path = f"api/v1/tasks/{submitted.json()['id']}/events"
            begun = _events(first, path, 0, count=3)
            seen = int(begun[-1]["id"])
            moved = apart.submit(_events, second, path, seen)
        with _server(tmp_path, database_url, free, works=True) as restarted:
            rest = moved.result()
            again = _events(restarted, path, seen)
            whole = _events(restarted, path, 0)
    assert rest[-1]["event"] == "end"
    assert [int(event["id"]) for event in begun + rest] == list(range(1, len(whole) + 1))
    assert begun + rest == whole
    assert again == rest


@pytest.mark.anyio
async def test_a_key_that_is_taken_back_reads_no_further(tmp_path: Path) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with serving(tmp_path, model, keep_alive_s=0.05) as client:
        admin = await _key(client, "")
        reader = await _key(client, admin["key"], scopes=["tasks:read"])
        task = await client.post(
            "/api/v1/tasks", json={"instruction": "add it up"}, headers=_bearer(admin["key"])
        )
        path = f"/api/v1/tasks/{task.json()['id']}/events"
        reading = asyncio.create_task(client.get(path, headers=_bearer(reader["key"])))
        other = asyncio.create_task(client.get(path, headers=_bearer(admin["key"])))
        await asyncio.wait_for(model.held.wait(), LIMIT_S)
        await client.delete(f"/api/v1/keys/{reader['id']}", headers=_bearer(admin["key"]))
        cut = await asyncio.wait_for(reading, LIMIT_S)
        assert "event: end" not in cut.text
        assert (await client.get(path, headers=_bearer(reader["key"]))).status_code == 401
        model.go_on.set()
        assert parse_events((await other).text)[-1]["event"] == "end"


@pytest.mark.anyio
async def test_whoever_reads_without_a_key_reads_no_further_once_there_is_one(
    tmp_path: Path,
) -> None:
    model = RoleModel()
    model.holds_at = 1
    async with serving(tmp_path, model, keep_alive_s=0.05) as client:
        task = await client.post("/api/v1/tasks", json={"instruction": "add it up"})
        path = f"/api/v1/tasks/{task.json()['id']}/events"
        reading = asyncio.create_task(client.get(path))
        await asyncio.wait_for(model.held.wait(), LIMIT_S)
        await _key(client, "")
        assert "event: end" not in (await asyncio.wait_for(reading, LIMIT_S)).text


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def _key(client: httpx.AsyncClient, admin: str, **fields: Any) -> dict[str, Any]:
    body = {"name": "k", "scopes": ["admin", "tasks:read", "tasks:write"]} | fields
    headers = _bearer(admin) if admin else {}
    response = await client.post("/api/v1/keys", json=body, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()
