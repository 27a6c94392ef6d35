"""`/api/v1/namespaces`: who shares what, and how much of it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.api.caller import Admin
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.db.namespaces import NamespaceRow
from app.db.types import now
from app.schemas import Json, NamespaceName, Number, Shape, Whole
from models.messages import JsonObject

router = APIRouter(prefix="/api/v1/namespaces", tags=["namespaces"], responses=RESPONSES)
_MOST = 2**31 - 1
Count = Annotated[Whole, Field(ge=0, le=_MOST)]
Name = Annotated[str, Field(max_length=100)]


class Quotas(Shape):
    """What a namespace may use; null means no bound."""

    tasks_per_day: Count | None = None
    """New tasks in a day of UTC."""
    tasks_at_once: Count | None = None
    """Tasks that are queued or running."""
    usd_per_day: Annotated[Number, Field(ge=0, allow_inf_nan=False)] | None = None
    """What model calls may have cost in a day of UTC for a new task to be taken."""
    stored_bytes: Annotated[Whole, Field(ge=0, le=2**53)] | None = None
    """Uploaded files, together."""
    retention_days: Annotated[Whole, Field(gt=0, le=36_500)] | None = None
    """Days after which what finished tasks left is removed."""
    approval: Json | None = None
    """Rules for approvals of all its tasks."""


class NamespaceRequest(Quotas):
    """A namespace that is wanted."""

    name: NamespaceName


class NamespaceView(BaseModel):
    """A namespace with what it may use."""

    name: str
    tasks_per_day: int | None
    tasks_at_once: int | None
    usd_per_day: float | None
    stored_bytes: int | None
    retention_days: int | None
    approval: JsonObject | None
    created_at: datetime


class NamespaceList(BaseModel):
    """Every namespace, by name."""

    items: list[NamespaceView]


@router.post("", status_code=201)
async def create(body: NamespaceRequest, runtime: RuntimeOf, _caller: Admin) -> NamespaceView:
    """Make a namespace."""
    row = NamespaceRow(**body.model_dump(), created_at=now())
    return _view(await runtime.namespaces.create(row))


@router.get("")
async def list_namespaces(runtime: RuntimeOf, _caller: Admin) -> NamespaceList:
    """List every namespace."""
    return NamespaceList(items=[_view(row) for row in await runtime.namespaces.all()])


@router.get("/{name}")
async def get(name: Name, runtime: RuntimeOf, _caller: Admin) -> NamespaceView:
    """Return a namespace with what it may use."""
    return _view(await runtime.namespaces.get(name))


@router.patch("/{name}")
async def change(name: Name, body: Quotas, runtime: RuntimeOf, _caller: Admin) -> NamespaceView:
    """Change what a namespace may use; what is left out stays."""
    values = body.model_dump(exclude_unset=True)
    return _view(await runtime.namespaces.change(name, values))


@router.delete("/{name}", status_code=204)
async def remove(name: Name, runtime: RuntimeOf, _caller: Admin) -> Response:
    """Remove a namespace in which nothing is left."""
    await runtime.namespaces.remove(name)
    return Response(status_code=204)


def _view(row: NamespaceRow) -> NamespaceView:
    return NamespaceView(**vars(row))
