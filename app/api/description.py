"""What `/openapi.json` says beyond what FastAPI sees in the routes."""

from typing import Any

from fastapi import FastAPI

from app.api.problems import Problem
from app.schemas import TaskRequest

_REF = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Add the schemas of errors, and of a task request, which is read from JSON and forms."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        document = generate()
        known = document.setdefault("components", {}).setdefault("schemas", {})
        for shape in (TaskRequest, Problem):
            schema = shape.model_json_schema(ref_template=_REF)
            known |= schema.pop("$defs", {}) | {shape.__name__: schema}
        return document

    app.openapi = described
