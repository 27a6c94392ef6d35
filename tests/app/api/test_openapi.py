"""The API's description of itself holds what a client needs, and its examples are true."""

import re
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.support.service import serving

pytestmark = pytest.mark.anyio
Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture
async def client(home: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(home) as opened:
        yield opened


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    return (await client.get("/openapi.json")).json()


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what a request and each response hold."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {kind}", content
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            yield f"{status} {kind}", content


async def test_operations_have_names_of_their_own_that_do_not_hang_on_paths(
    document: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    assert {"tasks_submit", "tasks_list", "tasks_events", "keys_create"} <= set(names)


async def test_every_tag_and_operation_is_described(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used == described
    assert all(operation["description"] for _, _, operation in operations(document))
    for word in ("Authorization: Bearer", "RFC 9457", "next_cursor", "Last-Event-ID"):
        assert word in document["info"]["description"]


async def test_every_route_has_examples_that_its_schema_takes(
    document: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for method, path, operation in operations(document):
        found = list(contents(operation))
        for place, content in found:
            if place.startswith("request multipart") and any("json" in kind for kind, _ in found):
                continue  # the JSON beside it has the example
            with subtests.test(f"{method} {path} {place}"):
                assert "example" in content, "add it to app/api/examples.json"
                schema = content.get("schema", {"type": "string"})
                whole = {**schema, "components": document["components"]}
                Draft202012Validator(whole).validate(content["example"])


async def test_the_requests_of_the_examples_are_understood(
    client: httpx.AsyncClient, document: dict[str, Any], subtests: pytest.Subtests
) -> None:
    admin = {"name": "admin", "scopes": ["admin"]}
    key = (await client.post("/api/v1/keys", json=admin)).json()["key"]
    client.headers["Authorization"] = f"Bearer {key}"
    await client.post("/api/v1/namespaces", json={"name": "laboratory"})
    for method, path, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is None:
            continue
        with subtests.test(f"{method} {path}"):
            example = body["example"] | ({"files": []} if "files" in body["example"] else {})
            place = re.sub(r"\{.*?\}", "none", path)
            answer = await client.request(method, place, json=example)
            assert answer.status_code in {200, 201, 202, 404, 409}, answer.text
