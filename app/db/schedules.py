"""Read and write schedules and what came of their due times."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.db.automation_tables import occurrences, schedules
from app.db.records import TERMINAL, columns
from app.db.tables import tasks
from app.db.types import now
from models.messages import JsonObject


@dataclass(frozen=True, kw_only=True)
class ScheduleRow:
    """A schedule as it stands."""

    id: str
    namespace: str
    name: str
    timing: JsonObject
    task: JsonObject
    """The request of the tasks that it makes."""
    missed: str
    overlap: str
    enabled: bool
    created_by: str | None
    created_at: datetime
    next_at: datetime | None
    """None once nothing is due any more."""
    last_at: datetime | None = None
    last_task_id: str | None = None
    error_count: int = 0
    """Due times at which no task could be made, since the last that could."""
    last_error: str | None = None


def add(connection: Connection, row: ScheduleRow) -> None:
    """Insert a schedule."""
    connection.execute(insert(schedules).values(**vars(row)))


def get(connection: Connection, schedule_id: str, namespace: str) -> ScheduleRow | None:
    """Return a schedule of the namespace, or None."""
    mine = (schedules.c.id == schedule_id) & (schedules.c.namespace == namespace)
    row = connection.execute(select(schedules).where(mine)).mappings().first()
    return None if row is None else ScheduleRow(**columns(row))


def find(
    connection: Connection, namespace: str, before: tuple[datetime, str] | None, limit: int
) -> list[ScheduleRow]:
    """Return a page of schedules, newest first."""
    statement = select(schedules).where(schedules.c.namespace == namespace)
    if before is not None:
        at, id_ = before
        same = and_(schedules.c.created_at == at, schedules.c.id < id_)
        statement = statement.where(or_(schedules.c.created_at < at, same))
    page = statement.order_by(schedules.c.created_at.desc(), schedules.c.id.desc()).limit(limit)
    return [ScheduleRow(**columns(row)) for row in connection.execute(page).mappings()]


def change(connection: Connection, schedule_id: str, values: dict[str, Any]) -> None:
    """Set columns of a schedule."""
    connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(**values))


def remove(connection: Connection, schedule_id: str) -> None:
    """Delete a schedule and what is kept of its due times; its tasks stay."""
    connection.execute(delete(occurrences).where(occurrences.c.schedule_id == schedule_id))
    connection.execute(delete(schedules).where(schedules.c.id == schedule_id))


def due(connection: Connection, moment: datetime, limit: int) -> list[ScheduleRow]:
    """Return schedules whose time has come, the most overdue first."""
    statement = (
        select(schedules)
        .where(schedules.c.enabled.is_(True), schedules.c.next_at <= moment)
        .order_by(schedules.c.next_at, schedules.c.id)
        .limit(limit)
    )
    return [ScheduleRow(**columns(row)) for row in connection.execute(statement).mappings()]


def next_due(connection: Connection) -> datetime | None:
    """Return when the next schedule is due."""
    statement = select(func.min(schedules.c.next_at)).where(schedules.c.enabled.is_(True))
    return connection.execute(statement).scalar()


def take(connection: Connection, row: ScheduleRow, next_at: datetime | None) -> bool:
    """Move a schedule on from the due time that was read; False when another was faster."""
    statement = (
        update(schedules)
        .where(schedules.c.id == row.id, schedules.c.enabled.is_(True))
        .where(schedules.c.next_at == row.next_at)
        .values(next_at=next_at)
    )
    return connection.execute(statement).rowcount > 0


def happened(
    connection: Connection, schedule_id: str, due_at: datetime, task_id: str | None, error: str
) -> bool:
    """Write down what came of a due time; False when something did before."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = (
        dialect.insert(occurrences)
        .values(
            schedule_id=schedule_id,
            due_at=due_at,
            task_id=task_id,
            error=error or None,
            created_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(occurrences.c.schedule_id)
    )
    return connection.execute(statement).first() is not None


def still_working(connection: Connection, task_id: str | None) -> bool:
    """Whether the task that a schedule made last is not over."""
    if task_id is None:
        return False
    status = connection.execute(select(tasks.c.status).where(tasks.c.id == task_id)).scalar()
    return status is not None and status not in TERMINAL
