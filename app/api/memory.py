"""`/api/v1/memory`: what was learned, how it came to be, and what it is worth."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from app.api.caller import Reader
from app.api.paging import Limit
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.callers import Caller
from app.errors import NotFoundError
from app.wiring import Runtime
from memory.receipts.records import Receipt
from memory.records import Entry, Kind, Status

router = APIRouter(prefix="/api/v1/memory", tags=["memory"], responses=RESPONSES)


class EntryPage(BaseModel):
    """Some entries, newest first."""

    items: list[Entry]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


Statuses = Annotated[list[Status] | None, Query()]
Cursor = Annotated[str, Query(max_length=100)]


@router.get("/tips")
async def tips(
    runtime: RuntimeOf,
    caller: Reader,
    status: Statuses = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> EntryPage:
    """List Tips, newest first."""
    return await _page(runtime, caller, "tip", status or [], cursor, limit)


@router.get("/shortcuts")
async def shortcuts(
    runtime: RuntimeOf,
    caller: Reader,
    status: Statuses = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> EntryPage:
    """List Shortcuts, newest first."""
    return await _page(runtime, caller, "shortcut", status or [], cursor, limit)


@router.get("/tips/{entry_id}")
async def tip(entry_id: str, runtime: RuntimeOf, caller: Reader) -> Entry:
    """Return a Tip as it stands."""
    return await _entry(runtime, caller, entry_id, "tip")


@router.get("/shortcuts/{entry_id}")
async def shortcut(entry_id: str, runtime: RuntimeOf, caller: Reader) -> Entry:
    """Return a Shortcut as it stands."""
    return await _entry(runtime, caller, entry_id, "shortcut")


@router.get("/{entry_id}/receipt")
async def receipt(entry_id: str, runtime: RuntimeOf, caller: Reader) -> Receipt:
    """Return how runs fared with an entry and without it, and what that proves so far."""
    await _entry(runtime, caller, entry_id)
    return await runtime.memory.receipt(entry_id)


@router.get("/{entry_id}/history")
async def history(entry_id: str, runtime: RuntimeOf, caller: Reader) -> list[Entry]:
    """Return every version of an entry, oldest first."""
    await _entry(runtime, caller, entry_id)
    return await runtime.memory.history(entry_id)


async def _page(
    runtime: Runtime, caller: Caller, kind: Kind, statuses: list[Status], cursor: str, limit: int
) -> EntryPage:
    found = await runtime.memory.list(
        namespace=caller.namespace, kind=kind, statuses=statuses, after=cursor, limit=limit + 1
    )
    more = len(found) > limit
    shown = found[:limit]
    return EntryPage(items=shown, next_cursor=shown[-1].id if more else None)


async def _entry(
    runtime: Runtime, caller: Caller, entry_id: str, kind: Kind | None = None
) -> Entry:
    entry = await runtime.memory.get(entry_id)
    if entry.namespace != caller.namespace or (kind is not None and entry.kind != kind):
        message = f"there is no {kind or 'entry'} {entry_id[:100]!r}"
        raise NotFoundError(message)
    return entry
