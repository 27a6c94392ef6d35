"""`/api/v1/audit`: who did what."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.caller import Admin
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.api.times import Moment, zoned
from app.db.audit import AuditFilter
from app.schemas import Shape, Text

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=RESPONSES)


class AuditQuery(Shape):
    """Which lines are wanted."""

    namespace: Text | None = Field(default=None, max_length=64)
    action: Text = Field(default="", max_length=64)
    """An action such as `key.revoked`, or the start of several, such as `key`."""
    key_id: Text = Field(default="", max_length=64)
    after: Moment | None = None
    before: Moment | None = None
    cursor: int | None = Field(default=None, ge=0, le=2**31 - 1)
    limit: int = Field(default=50, ge=1, le=200)


class AuditLine(BaseModel):
    """One thing that was done, or refused."""

    id: int
    at: datetime
    key_id: str | None
    """None for the command line, and for a server without keys."""
    namespace: str
    action: str
    object: str
    """Id or name of what it was done to."""
    result: str
    address: str | None


class AuditPage(BaseModel):
    """Some lines, newest first."""

    items: list[AuditLine]
    next_cursor: int | None
    """Pass it as `cursor` for the next page; None on the last one."""


@router.get("")
async def audit(
    query: Annotated[AuditQuery, Query()], runtime: RuntimeOf, _caller: Admin
) -> AuditPage:
    """List what was done, newest first."""
    wanted = AuditFilter(
        namespace=query.namespace,
        action=query.action,
        key_id=query.key_id,
        after=zoned("after", query.after),
        before=zoned("before", query.before),
        before_id=query.cursor,
        limit=query.limit + 1,
    )
    rows = await runtime.namespaces.audit(wanted)
    shown = [AuditLine(**vars(row)) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return AuditPage(items=shown, next_cursor=shown[-1].id if more else None)
