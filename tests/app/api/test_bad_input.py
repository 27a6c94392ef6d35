"""Whatever comes in, a problem document goes out, and nothing is lost or half done."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.schemas import MAX_INSTRUCTION_CHARS, TaskRequest
from tests.support.service import ended, serving

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}


@pytest.fixture
async def client(home: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(home, json_limit_bytes=100_000, upload_limit_bytes=50_000) as opened:
        yield opened


def _problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


async def _nothing_was_made(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/tasks")).json() == {"items": [], "next_cursor": None}


NO_JSON = [
    b"",
    b"{",
    b"nonsense",
    b"\xff\xfe",
    b'{"instruction": "\xff"}',
    b"[" * 50_000,
    b'{"instruction": "x", "inputs": {"n": NaN}}',
    b'{"instruction": "x", "inputs": {"n": ' + b"9" * 5000 + b"}}",
]


async def test_a_body_that_is_no_json(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for body in NO_JSON:
        with subtests.test(body=body[:60]):
            problem = _problem(await client.post("/api/v1/tasks", content=body, headers=JSON), 422)
            assert problem["errors"][0]["message"].startswith("expected JSON")
    await _nothing_was_made(client)


WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, "instruction"),
    ({"instruction": ""}, "instruction"),
    ({"instruction": " \n\u200b"}, "instruction"),
    ({"instruction": 7}, "instruction"),
    ({"instruction": None}, "instruction"),
    ({"instruction": "nul \0 byte"}, "instruction"),
    ({"instruction": "half \ud800 pair"}, "instruction"),
    ({"instruction": "x" * (MAX_INSTRUCTION_CHARS + 1)}, "instruction"),
    ({"instruction": "x", "instructions": "y"}, "instructions"),
    ({"instruction": "x", "files": "a.csv"}, "files"),
    ({"instruction": "x", "files": ["../../etc/passwd"]}, "files.0"),
    ({"instruction": "x", "files": ["f"] * 51}, "files"),
    ({"instruction": "x", "inputs": []}, "inputs"),
    ({"instruction": "x", "inputs": {"a": "nul\0"}}, "inputs"),
    ({"instruction": "x", "inputs": {"a": ["\ud800"]}}, "inputs"),
    ({"instruction": "x", "acceptance": ["", "ok"]}, "acceptance.0"),
    ({"instruction": "x", "acceptance": ["half \ud800 pair"]}, "acceptance.0"),
    ({"instruction": "x", "model": "no-such-model"}, "model"),
    ({"instruction": "x", "model": ""}, "model"),
    ({"instruction": "x", "budget": {"usd": -1}}, "budget.usd"),
    ({"instruction": "x", "budget": {"usd": "much"}}, "budget.usd"),
    ({"instruction": "x", "budget": {"steps": 0}}, "budget.steps"),
    ({"instruction": "x", "budget": {"euros": 1}}, "budget.euros"),
    ({"instruction": "x", "budget": {"steps": True}}, "budget.steps"),
    ({"instruction": "x", "budget": {"usd": "1"}}, "budget.usd"),
    ({"instruction": "x", "priority": "1"}, "priority"),
    ({"instruction": "x", "schedule": "daily"}, "schedule"),
    ({"instruction": "x", "namespace": "Not A Name"}, "namespace"),
    ({"instruction": "x", "metadata": "m"}, "metadata"),
]


async def test_a_field_that_is_wrong_is_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for fields, field in WRONG_FIELDS:
        with subtests.test(fields=ascii(fields)[:60]):
            response = await client.post("/api/v1/tasks", content=json.dumps(fields), headers=JSON)
            problem = _problem(response, 422)
            assert [error["field"] for error in problem["errors"]] == [field]
            assert field.split(".")[0] in problem["detail"]
    await _nothing_was_made(client)


async def test_values_nested_beyond_reason(client: httpx.AsyncClient) -> None:
    nested: Any = "x"
    for _ in range(50):
        nested = {"a": nested}
    fields = {"instruction": "x", "inputs": nested}
    _problem(await client.post("/api/v1/tasks", json=fields), 422)


async def test_another_kind_of_body(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "text/plain"}
    _problem(await client.post("/api/v1/tasks", content=b"hello", headers=headers), 422)
    _problem(await client.post("/api/v1/files", json={}), 422)


async def test_a_body_that_says_it_is_too_large(client: httpx.AsyncClient) -> None:
    content = json.dumps({"instruction": "x" * 200_000})
    _problem(await client.post("/api/v1/tasks", content=content, headers=JSON), 413)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/tasks", "application/json"),
        ("/api/v1/files", "multipart/form-data; boundary=b"),
        ("/api/v1/tasks/t/messages", "application/json"),
    ],
)
async def test_a_body_that_never_ends_is_not_read_to_its_end(
    client: httpx.AsyncClient, path: str, kind: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        if kind.startswith("multipart"):
            yield b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        while sent < 1 << 30:
            sent += 10_000
            yield b" " * 10_000

    response = await client.post(path, content=endless(), headers={"content-type": kind})
    _problem(response, 413)
    assert sent <= 200_000


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--b\r\nnonsense", "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
    ],
)
async def test_a_broken_form(client: httpx.AsyncClient, body: bytes, kind: str) -> None:
    for path in ("/api/v1/files", "/api/v1/tasks"):
        response = await client.post(path, content=body, headers={"content-type": kind})
        _problem(response, 422)
    await _nothing_was_made(client)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\\..\\..\\b"])
async def test_a_file_whose_name_climbs_out(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/api/v1/files", files={"file": (name, b"x")})
    assert _problem(response, 422)["errors"][0]["field"] == "files"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"instruction": "x"}, ["good", "../bad"]),
        ({"instruction": "x"}, ["same", "same"]),
        ({"instruction": "x", "model": "no-such-model"}, ["good"]),
    ],
)
async def test_the_files_of_a_refused_task_are_not_kept(
    client: httpx.AsyncClient, home: Path, fields: dict[str, str], names: list[str]
) -> None:
    uploads = [("file", (name, b"x")) for name in names]
    _problem(await client.post("/api/v1/tasks", data=fields, files=uploads), 422)
    assert list((home / "files").iterdir()) == []


async def test_the_files_of_a_task_that_is_there_already_are_kept_once(
    client: httpx.AsyncClient, home: Path
) -> None:
    sent: dict[str, Any] = {
        "data": {"instruction": "x"},
        "files": {"file": ("a", b"x")},
        "headers": {"Idempotency-Key": "k"},
    }
    statuses = [(await client.post("/api/v1/tasks", **sent)).status_code for _ in range(2)]
    assert statuses == [202, 200]
    assert len(list((home / "files").iterdir())) == 1


async def test_a_task_whose_file_is_refused_is_not_made(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/api/v1/tasks", data={"instruction": "x"}, files={"file": ("../a", b"x")}
    )
    _problem(response, 422)
    await _nothing_was_made(client)


WRONG_ADDRESSES = [
    ("GET", "/api/v1/tasks/t_none", 404),
    ("GET", "/api/v1/tasks/t_none/events", 404),
    ("GET", "/api/v1/tasks/%00", 404),
    ("GET", "/api/v1/tasks/t_none/artifacts/a", 404),
    ("POST", "/api/v1/tasks/t_none/cancel", 404),
    ("GET", "/api/v1/memory/tips/none", 404),
    ("GET", "/api/v1/memory/none/receipt", 404),
    ("GET", "/api/v1/memory/none/history", 404),
    ("GET", "/api/v1/nothing", 404),
    ("POST", "/api/v2/tasks", 404),
    ("GET", "/nothing.html", 404),
    ("DELETE", "/api/v1/tasks", 405),
    ("PUT", "/api/v1/tasks/t_none", 405),
    ("POST", "/healthz", 405),
    ("GET", "/api/v1/tasks?text=%00", 422),
    ("GET", "/api/v1/tasks?limit=0", 422),
    ("GET", "/api/v1/tasks?limit=x", 422),
    ("GET", "/api/v1/tasks?status=done", 422),
    ("GET", "/api/v1/tasks?colour=red", 422),
    ("GET", "/api/v1/tasks?cursor=nonsense", 422),
    ("GET", "/api/v1/tasks?created_after=yesterday", 422),
    ("GET", "/api/v1/tasks?created_after=0.5", 422),
    ("GET", "/api/v1/tasks?created_after=2026-01-01T00:00:00", 422),
    ("GET", "/api/v1/tasks?created_before=0001-01-01T00:00:00%2B14:00", 422),
    ("GET", "/api/v1/tasks/t_none/events?after=-1", 422),
    ("GET", f"/api/v1/tasks/t_none/events?after={10**30}", 422),
]


async def test_an_address_or_query_that_is_wrong(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path, status in WRONG_ADDRESSES:
        with subtests.test(f"{method} {path}"):
            response = await client.request(method, path)
            _problem(response, status)
            assert status != 405 or response.headers["allow"]


async def test_a_refused_method_is_answered_with_all_that_are_taken(
    client: httpx.AsyncClient,
) -> None:
    for path, methods in (("/api/v1/tasks", "GET, POST"), ("/api/v1/tasks/t/cancel", "POST")):
        assert (await client.delete(path)).headers["allow"] == methods


@pytest.mark.parametrize("value", ["x", "-1", str(10**30), "1.5"])
async def test_a_last_event_id_that_is_no_number(client: httpx.AsyncClient, value: str) -> None:
    headers = {"Last-Event-ID": value}
    _problem(await client.get("/api/v1/tasks/t_none/events", headers=headers), 422)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_an_idempotency_key_of_no_use(client: httpx.AsyncClient, key: str) -> None:
    response = await client.post(
        "/api/v1/tasks", json={"instruction": "x"}, headers={"Idempotency-Key": key}
    )
    _problem(response, 422)


async def test_a_message_that_is_wrong_or_not_asked_for(client: httpx.AsyncClient) -> None:
    task_id = (await client.post("/api/v1/tasks", json={"instruction": "x"})).json()["id"]
    await ended(client, task_id)
    path = f"/api/v1/tasks/{task_id}/messages"
    _problem(await client.post(path, json={"text": "a\0"}), 422)
    for body in NO_JSON:
        _problem(await client.post(path, content=body, headers=JSON), 422)
    _problem(await client.post(path, json={"text": "hello"}), 409)
    _problem(await client.post(f"/api/v1/tasks/{task_id}/cancel"), 409)


def _seen(value: object) -> str:
    try:
        TaskRequest.model_validate(value)
    except ValidationError:
        return "refused"
    return "taken"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_value_is_taken_or_refused_but_never_a_fault(value: object) -> None:
    assert _seen(value) == "refused"
    assert _seen({"instruction": "x", "inputs": value}) in {"taken", "refused"}
