"""What `/openapi.json` says beyond what FastAPI sees in the routes."""

from typing import Any

from fastapi import FastAPI

from app.schemas import TaskRequest

_REF = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    """Add the schema of a task request, which is read from JSON and from forms alike."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        document = generate()
        schema = TaskRequest.model_json_schema(ref_template=_REF)
        known = document.setdefault("components", {}).setdefault("schemas", {})
        known |= schema.pop("$defs", {}) | {"TaskRequest": schema}
        return document

    app.openapi = described
