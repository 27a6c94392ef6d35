"""Who comes in with which key, and what it may do there."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import serving

pytestmark = pytest.mark.anyio
METHODS = {"get", "post", "put", "patch", "delete"}
OF_TOOLS = ("/api/v1/tools", "/api/v1/staff")


async def make(client: httpx.AsyncClient, admin: str = "", **fields: Any) -> str:
    """Make a key and return what to send."""
    body = {"name": "test", **fields}
    response = await client.post("/api/v1/keys", json=body, headers=bearer(admin))
    assert response.status_code == 201, response.text
    return response.json()["key"]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


async def routes(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Return every route of the API, as the OpenAPI document lists them."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    return [
        (method, path)
        for path, operations in paths.items()
        if path.startswith("/api/")
        for method in operations.keys() & METHODS
    ]


async def test_from_the_first_key_on_every_route_asks_for_one(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with serving(tmp_path) as client:
        assert (await client.get("/api/v1/tasks")).status_code == 200
        admin = await make(client, scopes=["admin"])
        for method, path in await routes(client):
            with subtests.test(method=method, path=path):
                response = await client.request(method, path.replace("{", "").replace("}", ""))
                assert response.status_code == 401, response.text
                assert response.headers["www-authenticate"] == "Bearer"
                assert response.headers["content-type"] == "application/problem+json"
        assert (await client.get("/api/v1/tasks", headers=bearer(admin))).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code in {200, 503}
        assert (await client.get("/")).status_code == 200


async def test_a_key_without_the_scope_is_refused_on_every_route(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with serving(tmp_path) as client:
        weak = await make(client, scopes=["tools:write"])
        for method, path in await routes(client):
            if path.startswith(OF_TOOLS):
                continue
            with subtests.test(method=method, path=path):
                place = path.replace("{", "").replace("}", "")
                response = await client.request(method, place, headers=bearer(weak))
                assert response.status_code == 403, response.text
                assert "tools:write" in response.json()["detail"]


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer",
        "Bearer strop_000000000000_" + "0" * 64,
        "Bearer nonsense",
        "Basic c3Ryb3A6c3Ryb3A=",
        "Bearer \u00e9",
    ],
)
async def test_what_is_no_key_of_ours_is_refused(tmp_path: Path, sent: str) -> None:
    async with serving(tmp_path) as client:
        await make(client, scopes=["admin"])
        headers = httpx.Headers([(b"authorization", sent.encode("latin-1"))])
        response = await client.get("/api/v1/tasks", headers=headers)
        assert response.status_code == 401


async def test_a_revoked_or_expired_key_opens_nothing_and_the_server_stays_closed(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as client:
        admin = await make(client, scopes=["admin"])
        past = {"name": "old", "expires_at": "2001-01-01T00:00:00Z"}
        refused = await client.post("/api/v1/keys", json=past, headers=bearer(admin))
        assert refused.status_code == 422
        listed = (await client.get("/api/v1/keys", headers=bearer(admin))).json()["items"]
        assert [set(item) & {"hash", "key", "secret"} for item in listed] == [set()]
        gone = await client.delete(f"/api/v1/keys/{listed[0]['id']}", headers=bearer(admin))
        assert gone.json()["revoked_at"] is not None
        assert (await client.get("/api/v1/keys", headers=bearer(admin))).status_code == 401
        assert (await client.get("/api/v1/tasks")).status_code == 401


async def test_too_many_requests_of_a_key_are_put_off(tmp_path: Path) -> None:
    async with serving(tmp_path, rate_limit=0.01, rate_burst=2) as client:
        key = bearer(await make(client))
        answers = [await client.get("/api/v1/tasks", headers=key) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-limit"] == "2"
        assert answers[0].headers["ratelimit-remaining"] == "1"
        assert int(answers[2].headers["retry-after"]) > 50


async def test_a_key_is_not_made_for_a_namespace_that_does_not_exist(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        body = {"name": "x", "namespace": "nowhere"}
        response = await client.post("/api/v1/keys", json=body)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "namespace"
        assert (await client.get("/api/v1/tasks")).status_code == 200


async def test_the_audit_log_tells_who_did_what_without_secrets_or_texts(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        admin = await make(client, scopes=["admin"])
        headers = bearer(admin)
        task = {"instruction": "the private matter"}
        made = (await client.post("/api/v1/tasks", json=task, headers=headers)).json()
        await client.get("/api/v1/tasks", headers=bearer("strop_000000000000_" + "0" * 64))
        response = await client.get("/api/v1/audit", headers=headers)
        lines = response.json()["items"]
        assert [line["action"] for line in lines] == [
            "key.refused",
            "task.submitted",
            "key.created",
        ]
        assert lines[1]["object"] == made["id"]
        assert lines[1]["key_id"] == admin.split("_")[1]
        assert lines[1]["address"] == "127.0.0.1"
        assert lines[2]["key_id"] is None
        assert "private" not in response.text
        assert admin.split("_")[2] not in response.text
        page = (await client.get("/api/v1/audit?limit=1", headers=headers)).json()
        rest = await client.get(f"/api/v1/audit?cursor={page['next_cursor']}", headers=headers)
        assert [line["id"] for line in rest.json()["items"]] == [line["id"] for line in lines[1:]]
        only = (await client.get("/api/v1/audit?action=key", headers=headers)).json()["items"]
        assert {line["action"] for line in only} == {"key.refused", "key.created"}
