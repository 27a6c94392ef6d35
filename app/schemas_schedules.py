"""What the API takes and gives about schedules."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.db.schedules import ScheduleRow
from app.schemas import Shape, TaskRequest, Words
from app.timing import Missed, Timing

Overlap = Literal["skip", "allow"]
"""Whether a due time makes a task while the one before is not over."""


class ScheduleRequest(Shape):
    """A task that is to be done at certain times."""

    name: Words = Field(min_length=1, max_length=200)
    timing: Timing
    task: TaskRequest
    """What each due time submits; without files, and without a schedule of its own."""
    missed: Missed = "run_once"
    """Due times that passed while no process was there: none, the newest, or all (up to 100)."""
    overlap: Overlap = "skip"
    enabled: bool = True


class SchedulePatch(Shape):
    """What of a schedule is to be other; what is left out stays."""

    name: Words | None = Field(default=None, min_length=1, max_length=200)
    timing: Timing | None = None
    task: TaskRequest | None = None
    missed: Missed | None = None
    overlap: Overlap | None = None
    enabled: bool | None = None


class ScheduleView(BaseModel):
    """A schedule as it stands."""

    id: str
    name: str
    namespace: str
    timing: Timing
    task: TaskRequest
    missed: Missed
    overlap: Overlap
    enabled: bool
    next_at: datetime | None
    """When it is due next; None when never again."""
    last_at: datetime | None
    """The newest due time that came."""
    last_task_id: str | None
    error_count: int
    """Due times at which no task could be made, since the last at which one could."""
    last_error: str | None
    created_at: datetime


class SchedulePage(BaseModel):
    """Some schedules, newest first."""

    items: list[ScheduleView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


def schedule_view(row: ScheduleRow) -> ScheduleView:
    """Return a schedule as the API gives it."""
    return ScheduleView.model_validate(row, from_attributes=True)
