"""What `/openapi.json` says beyond what FastAPI sees in the routes."""

from typing import Any

from fastapi import FastAPI

from app.api.problems import Problem
from app.schemas import TaskRequest

_REF = "#/components/schemas/{model}"


def _without_null(schema: dict[str, Any]) -> None:
    """Take `null` out of a parameter's schema: no query and no header can carry it."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]


def install(app: FastAPI) -> None:
    """Add the schemas of errors, and of a task request, which is read from JSON and forms."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        document = generate()
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for shape in (TaskRequest, Problem):
            schema = shape.model_json_schema(ref_template=_REF)
            known |= schema.pop("$defs", {}) | {shape.__name__: schema}
        for operations in document["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    _without_null(parameter["schema"])
        return document

    app.openapi = described
