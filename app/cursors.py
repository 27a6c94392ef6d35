"""Cursors of pages that go by time: opaque to callers, exact about where a page ended."""

import base64
import binascii
from datetime import UTC, datetime

from app.errors import InvalidInputError


def cursor_of(at: datetime, id_: str) -> str:
    """Return the cursor that follows the row of this time and id."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {id_}".encode()).decode()


def position_of(cursor: str) -> tuple[datetime, str]:
    """Return time and id of the row that a cursor follows.

    Raises:
        InvalidInputError: no page gave it out.
    """
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not id_:
            raise ValueError(cursor)
        return moment.astimezone(UTC), id_
    except (ValueError, OverflowError, binascii.Error):
        message = "expected a cursor that a page before gave as `next_cursor`"
        raise InvalidInputError.of("cursor", message) from None
