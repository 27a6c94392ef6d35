"""Cursors of pages that go by time: opaque to callers, exact about where a page ended."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from app.errors import InvalidInputError


class Placed(Protocol):
    """A row that pages by time can be cut at."""

    @property
    def id(self) -> str:
        """Its name, which tells rows of one moment apart."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        ...


R = TypeVar("R", bound=Placed)


def page_of(rows: Sequence[R], limit: int) -> tuple[Sequence[R], str | None]:
    """Return the rows of a page and the cursor of the next page, None on the last one.

    Args:
        rows: in the page's order, read to one more than `limit`.
        limit: how many rows a page has.
    """
    shown = rows[:limit]
    if len(rows) <= limit:
        return shown, None
    return shown, cursor_of(shown[-1].created_at, shown[-1].id)


def cursor_of(at: datetime, id_: str) -> str:
    """Return the cursor that follows the row of this time and id."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {id_}".encode()).decode()


def position_of(cursor: str | None) -> tuple[datetime, str] | None:
    """Return time and id of the row that a cursor follows; None without one, on a first page.

    Raises:
        InvalidInputError: no page gave it out.
    """
    if not cursor:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not id_:
            raise ValueError(cursor)
        return moment.astimezone(UTC), id_
    except (ValueError, OverflowError, binascii.Error):
        message = "expected a cursor that a page before gave as `next_cursor`"
        raise InvalidInputError.of("cursor", message) from None
