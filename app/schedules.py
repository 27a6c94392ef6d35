"""The service for schedules, and the ticker that turns due times into tasks."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.callers import Caller
from app.cursors import page_of, position_of
from app.db import audit, schedules
from app.db.schedules import ScheduleRow
from app.db.types import now
from app.engine import Engine
from app.errors import InvalidInputError, NotFoundError, TooManyError
from app.making import create, new_task
from app.naps import Nap
from app.schemas import TaskRequest
from app.schemas_schedules import (
    SchedulePage,
    SchedulePatch,
    ScheduleRequest,
    ScheduleView,
    schedule_view,
)
from app.timing import MAX_CAUGHT_UP, Timing
from memory.database import Database

_LOG = logging.getLogger(__name__)
_LONGEST_NAP_S = 5.0
"""How soon a schedule that another process made or changed is noticed."""
_AT_ONCE = 50
_UNLIKELY = "the task before is not over; this due time was left out"
Clock = Callable[[], datetime]


class ScheduleService:
    """Make, look at and change schedules."""

    def __init__(self, database: Database, engine: Engine, ticker: "Ticker") -> None:
        self._database = database
        self._engine = engine
        self._ticker = ticker

    async def create(self, request: ScheduleRequest, *, caller: Caller) -> ScheduleView:
        """Make a schedule.

        Raises:
            InvalidInputError: its task has what a schedule cannot give, or it is never due.
        """
        _check(request.task)
        moment = now()
        row = ScheduleRow(
            id=f"s_{uuid.uuid4().hex}",
            namespace=caller.place(request.task.namespace),
            name=request.name,
            timing=request.timing.model_dump(mode="json"),
            task=request.task.model_dump(mode="json", exclude_unset=True),
            missed=request.missed,
            overlap=request.overlap,
            enabled=request.enabled,
            created_by=caller.key_id,
            created_at=moment,
            next_at=_first(request.timing, moment),
        )

        def work(connection: Connection) -> None:
            schedules.add(connection, row)
            audit.note(connection, "schedule.created", row.id, namespace=row.namespace)

        await self._database.run(work)
        self._ticker.look()
        return schedule_view(row)

    async def list(self, namespace: str, *, cursor: str | None, limit: int) -> SchedulePage:
        """Return a page of schedules, newest first.

        Raises:
            InvalidInputError: the cursor is not one that was given out.
        """
        before = position_of(cursor)
        page = partial(schedules.find, namespace=namespace, before=before, limit=limit + 1)
        shown, following = page_of(await self._database.read(page), limit)
        return SchedulePage(items=[schedule_view(row) for row in shown], next_cursor=following)

    async def get(self, schedule_id: str, *, namespace: str) -> ScheduleView:
        """Return a schedule.

        Raises:
            NotFoundError: the namespace has none of that id.
        """
        return schedule_view(await self._database.read(partial(_found, schedule_id, namespace)))

    async def change(
        self, schedule_id: str, patch: SchedulePatch, *, namespace: str
    ) -> ScheduleView:
        """Change a schedule; with another timing, or enabled again, it is due from now on.

        Raises:
            NotFoundError: the namespace has none of that id.
            InvalidInputError: see `create`.
        """
        if patch.task is not None:
            _check(patch.task)

        def work(connection: Connection) -> None:
            row = _found(schedule_id, namespace, connection)
            given = patch.model_dump(mode="json", exclude_none=True, exclude={"task"})
            values: dict[str, Any] = dict(given)
            if patch.task is not None:
                values["task"] = patch.task.model_dump(mode="json", exclude_unset=True)
            if patch.timing is not None or patch.enabled:
                timing = patch.timing or Timing.model_validate(row.timing)
                values["next_at"] = _first(timing, now(), anchor=row.created_at)
            if values:
                schedules.change(connection, row.id, values)
                audit.note(connection, "schedule.changed", row.id, namespace=namespace)

        await self._database.run(work)
        self._ticker.look()
        return await self.get(schedule_id, namespace=namespace)

    async def remove(self, schedule_id: str, *, namespace: str) -> None:
        """Delete a schedule; the tasks that it made stay.

        Raises:
            NotFoundError: the namespace has none of that id.
        """

        def work(connection: Connection) -> None:
            row = _found(schedule_id, namespace, connection)
            schedules.remove(connection, row.id)
            audit.note(connection, "schedule.removed", row.id, namespace=namespace)

        await self._database.run(work)

    async def run(self, schedule_id: str, *, namespace: str) -> str:
        """Make the schedule's task now, beside its due times, and return the task's id.

        Raises:
            NotFoundError: the namespace has none of that id.
            TooManyError: the namespace has used up what it may.
        """

        def work(connection: Connection) -> str:
            row = _found(schedule_id, namespace, connection)
            return _make(connection, row, self._engine)

        task_id = await self._database.run(work)
        await self._engine.submit(task_id)
        return task_id


class Ticker:
    """Makes the tasks of due schedules; any number of processes may tick on one database."""

    def __init__(self, database: Database, engine: Engine, clock: Clock = now) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._nap = Nap()

    def look(self) -> None:
        """Look at once: a schedule was made or changed."""
        self._nap.look()

    async def run(self) -> None:
        """Tick until cancelled, asleep while nothing is due."""
        while True:
            self._nap.begin()
            try:
                await self.tick()
                next_at = await self._database.read(schedules.next_due)
            except (SQLAlchemyError, OSError) as error:
                _LOG.error("schedules cannot be looked at, trying again: %s", error)
                next_at = None
            nap_s = _LONGEST_NAP_S
            if next_at is not None:
                nap_s = min(nap_s, max(0.01, (next_at - self._clock()).total_seconds()))
            await self._nap.rest(nap_s)

    async def tick(self) -> list[str]:
        """Make the tasks of what is due now and return their ids."""
        moment = self._clock()
        made: list[str] = []
        rows = await self._database.read(partial(schedules.due, moment=moment, limit=_AT_ONCE))
        for row in rows:
            made += await self._database.run(
                partial(_come_due, row=row, moment=moment, engine=self._engine)
            )
        for task_id in made:
            await self._engine.submit(task_id)
        return made


def _come_due(
    connection: Connection, row: ScheduleRow, moment: datetime, engine: Engine
) -> list[str]:
    """Move a schedule on and make what is due; all of it or nothing."""
    timing = Timing.model_validate(row.timing)
    if row.next_at is None or not schedules.take(
        connection, row, timing.following(moment, row.created_at)
    ):
        return []
    made: list[str] = []
    for due_at in _to_run(row, timing, row.next_at, moment):
        row = _one(connection, row, due_at, engine, made)
    return made


def _to_run(row: ScheduleRow, timing: Timing, first: datetime, moment: datetime) -> list[datetime]:
    """Return the due times that have come and are run, by the policy for missed ones."""
    limit = MAX_CAUGHT_UP if row.missed == "run_all" else 1
    came = timing.recent(first - timedelta(microseconds=1), moment, row.created_at, limit)
    if row.missed != "skip":
        return came or [first]
    return [at for at in came or [first] if moment - at <= timedelta(seconds=2 * _LONGEST_NAP_S)]


def _one(
    connection: Connection, row: ScheduleRow, due_at: datetime, engine: Engine, made: list[str]
) -> ScheduleRow:
    """Make the task of one due time, or write down why there is none."""
    task_id: str | None = None
    error = ""
    if row.overlap == "skip" and schedules.still_working(connection, row.last_task_id):
        error = _UNLIKELY
    else:
        try:
            with connection.begin_nested():
                task_id = _make(connection, row, engine, due_at=due_at)
        except TooManyError as refused:
            error = str(refused)
        except _TwiceError:
            return row
    if task_id is None:
        schedules.happened(connection, row.id, due_at, None, error)
        values: dict[str, Any] = {"error_count": row.error_count + 1, "last_error": error}
    else:
        made.append(task_id)
        values = {"last_task_id": task_id, "error_count": 0, "last_error": None}
    values["last_at"] = due_at
    schedules.change(connection, row.id, values)
    return replace(row, **values)


class _TwiceError(Exception):
    """A due time came before: clocks were set back."""


def _make(
    connection: Connection, row: ScheduleRow, engine: Engine, *, due_at: datetime | None = None
) -> str:
    """Insert the schedule's task and queue it, once for each due time."""
    request = TaskRequest.model_validate(row.task)
    task = new_task(request, (), row.namespace, row.created_by)
    note = {"schedule_id": row.id} | ({"due_at": due_at.isoformat()} if due_at else {})
    task = replace(task, task_metadata={**task.task_metadata, "schedule": note})
    if due_at is not None and not schedules.happened(connection, row.id, due_at, task.id, ""):
        raise _TwiceError(row.id)
    create(connection, task, engine.enqueue)
    return task.id


def _first(timing: Timing, moment: datetime, *, anchor: datetime | None = None) -> datetime:
    first = timing.following(moment, anchor or moment)
    if first is None:
        message = "expected a time that is still to come"
        raise InvalidInputError.of("timing.at", message)
    return first


def _check(task: TaskRequest) -> None:
    for field in ("files", "schedule", "agent"):
        if getattr(task, field):
            message = "a schedule's task cannot have this"
            raise InvalidInputError.of(f"task.{field}", message)


def _found(schedule_id: str, namespace: str, connection: Connection) -> ScheduleRow:
    row = schedules.get(connection, schedule_id, namespace)
    if row is None:
        message = f"there is no schedule {schedule_id[:100]!r}"
        raise NotFoundError(message)
    return row
