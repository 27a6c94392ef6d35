"""What every route that gives pages takes in its query."""

from typing import Annotated

from fastapi import Query

Cursor = Annotated[str | None, Query(max_length=500)]
"""What the page before gave as `next_cursor`."""
Limit = Annotated[int, Query(ge=1, le=200)]
"""The most items of a page."""
