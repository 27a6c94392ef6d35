"""Read the times that requests name."""

from datetime import UTC, datetime

from app.errors import InvalidInputError


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
