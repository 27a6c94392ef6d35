"""What `/openapi.json` says beyond what FastAPI sees in the routes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.problems import MEDIA_TYPE, Problem
from app.schemas import TaskRequest

_REF = "#/components/schemas/{model}"
_HERE = Path(__file__).parent
_TAGS = {
    "tasks": "Submit tasks, follow them, steer them, and take what they made.",
    "approvals": "Tool calls that wait for a person's decision.",
    "schedules": "Tasks that come by themselves: cron in a time zone, an interval, or once.",
    "webhooks": "Tell other programs how tasks fare.",
    "agents": "Standing agents, which wake, work, report and sleep.",
    "files": "Hand files in before the task that needs them.",
    "memory": "What was learned, where it came from, and what it is worth.",
    "models": "Which model answers, and which can be named.",
    "keys": "Who may come in. Needs the scope `admin`.",
    "namespaces": "Who shares what, and how much of it. Needs the scope `admin`.",
    "audit": "Who did what. Needs the scope `admin`.",
    "health": "Whether the process lives and works, and its figures.",
}
_OPEN = {"/healthz", "/readyz"}
_PROBLEM = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "budget.steps: Input should be greater than 0; got 0",
    "errors": [{"field": "budget.steps", "message": "Input should be greater than 0; got 0"}],
}


def operation_id(route: APIRoute) -> str:
    """Return a name such as `tasks_submit`, which stays when paths change."""
    tag = str(route.tags[0]) if route.tags else "page"
    name = route.name.removesuffix(f"_{tag}").removesuffix(f"_{tag.removesuffix('s')}")
    return f"{tag}_{'list' if name == tag else name}"


def install(app: FastAPI) -> None:
    """Let the application describe itself in full, once it is asked to."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate())
        return generate()

    app.openapi = described


def _complete(document: dict[str, Any]) -> None:
    """Add words, examples, and the schemas of what is read from JSON and forms alike."""
    document["info"]["description"] = (_HERE / "description.md").read_text(encoding="utf-8")
    known = document.setdefault("components", {}).setdefault("schemas", {})
    for shape in (TaskRequest, Problem):
        schema = shape.model_json_schema(ref_template=_REF)
        known |= schema.pop("$defs", {}) | {shape.__name__: schema}
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "needed once a key was made"}
    }
    examples = json.loads((_HERE / "examples.json").read_text(encoding="utf-8"))
    used: set[str] = set()
    for path, operation in _operations(document):
        used |= set(operation["tags"])
        if path not in _OPEN:
            operation["security"] = [{"key": []}, {}]
        for parameter in operation.get("parameters", ()):
            _without_null(parameter["schema"])
        _illustrate(operation, examples.get(operation["operationId"], {}))
    document["tags"] = [
        {"name": name, "description": words} for name, words in _TAGS.items() if name in used
    ]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _illustrate(operation: dict[str, Any], example: dict[str, Any]) -> None:
    """Put the examples where a request or a response is described."""
    bodies = operation.get("requestBody", {}).get("content", {})
    for kind in list(bodies)[:1]:
        if "request" in example:
            bodies[kind]["example"] = example["request"]
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            if kind == MEDIA_TYPE:
                content["example"] = _PROBLEM
            elif status.startswith("2") and (said := _said(kind, example)) is not None:
                content["example"] = said


def _said(kind: str, example: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON of any kind
    return example.get("stream" if kind == "text/event-stream" else "response")


def _without_null(schema: dict[str, Any]) -> None:
    """Take `null` out of a parameter's schema: no query and no header can carry it."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]
