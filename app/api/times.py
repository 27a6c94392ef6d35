"""Read the times that requests name."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from app.errors import InvalidInputError

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _written(value: object) -> object:
    """Refuse a bare number, which would be read as seconds since 1970."""
    if not isinstance(value, datetime) and not _DATE.match(str(value)):
        msg = "expected a time such as 2026-01-31T12:00:00Z"
        raise ValueError(msg)
    return value


Moment = Annotated[datetime, BeforeValidator(_written)]
"""A time as people write it."""


def zoned(name: str, moment: datetime | None) -> datetime | None:
    """Return a moment in UTC.

    Raises:
        InvalidInputError: it has no zone, or lies beyond the calendar.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidInputError.of(name, "expected a time with its zone, such as a final Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError.of(name, "expected a time of the years 1 to 9999") from None
