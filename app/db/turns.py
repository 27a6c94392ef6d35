"""Queue a task again: each time is a new turn, and work on an older turn ends by itself."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, update

from app.db import events
from app.db.records import Status, TaskRow, Turn, columns, turn_of
from app.db.tables import tasks


def requeue(
    connection: Connection,
    task_id: str,
    *,
    statuses: Collection[Status],
    **values: Any,  # noqa: ANN401 - whatever SQLAlchemy takes
) -> Turn | None:
    """Queue a task that is in one of `statuses`; None when it is not.

    Hand the turn to `Engine.enqueue` in the same transaction.

    Args:
        connection: the transaction.
        task_id: which task.
        statuses: what it may be in now.
        values: further columns of the task to set.
    """
    statement = (
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.status.in_(statuses))
        .values(
            status="queued", owner=None, turn=tasks.c.turn + 1, epoch=tasks.c.epoch + 1, **values
        )
        .returning(*tasks.c)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    events.append(connection, task_id, "task", {"status": "queued"})
    return turn_of(TaskRow(**columns(row)))
