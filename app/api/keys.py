"""`/api/v1/keys`: make keys, list them, take them back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.caller import Admin
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.api.times import Moment, zoned
from app.callers import DEFAULT_NAMESPACE, Scope
from app.db.keys import KeyRow
from app.schemas import NamespaceName, Shape, Words

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], responses=RESPONSES)


class KeyRequest(Shape):
    """A key that is wanted."""

    name: Words = Field(min_length=1, max_length=200)
    """For people: what uses it."""
    namespace: NamespaceName = DEFAULT_NAMESPACE
    scopes: tuple[Scope, ...] = Field(default=("tasks:read", "tasks:write"), min_length=1)
    expires_at: Moment | None = None


class KeyView(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    namespace: str
    scopes: list[str]
    created_at: datetime
    created_by: str | None
    """Id of the key with which it was made."""
    expires_at: datetime | None
    last_used_at: datetime | None
    """To within five minutes."""
    revoked_at: datetime | None


class NewKey(KeyView):
    """A key that was just made."""

    key: str
    """What to send as `Authorization: Bearer ...`; it is shown this once."""


class KeyList(BaseModel):
    """Every key, newest first."""

    items: list[KeyView]


@router.post("", status_code=201)
async def create(body: KeyRequest, runtime: RuntimeOf, caller: Admin) -> NewKey:
    """Make a key; from the first one on every request needs one."""
    made = await runtime.access.create(
        body.name,
        body.namespace,
        body.scopes,
        expires_at=zoned("expires_at", body.expires_at),
        created_by=caller.key_id,
    )
    return NewKey(**key_view(made.row).model_dump(), key=made.token)


@router.get("")
async def list_keys(runtime: RuntimeOf, _caller: Admin) -> KeyList:
    """List every key of every namespace, newest first."""
    return KeyList(items=[key_view(row) for row in await runtime.access.keys()])


@router.delete("/{key_id}")
async def revoke(
    key_id: Annotated[str, Field(max_length=64)], runtime: RuntimeOf, _caller: Admin
) -> KeyView:
    """Take a key back, at once and for good."""
    return key_view(await runtime.access.revoke(key_id))


def key_view(row: KeyRow) -> KeyView:
    """Return a key as it may be shown."""
    return KeyView(**{name: getattr(row, name) for name in KeyView.model_fields})
