"""Column types and plain values that every table shares."""

import json
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return with the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


def clean(text: str) -> str:
    """Return the text without what a database cannot keep: NULs and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value as JSON in UTF-8 knows it: no models, no NaN, no lone surrogates."""
    text = json.dumps(value, default=to_jsonable_python, ensure_ascii=False)
    storable = text.encode("utf-8", "replace").decode("utf-8")
    return json.loads(storable, parse_constant=lambda _name: None)
