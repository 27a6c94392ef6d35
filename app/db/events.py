"""Append and read the events of tasks: gapless numbers, written with the fact they tell."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.db.records import EventRow, columns
from app.db.tables import events, tasks
from app.db.types import now, plain
from app.errors import Fenced


def append(
    connection: Connection,
    task_id: str,
    kind: str,
    data: Mapping[str, Any],
    *,
    epoch: int | None = None,
) -> int:
    """Append an event and return its number.

    Args:
        connection: the transaction of the fact that the event tells.
        task_id: whose event it is.
        kind: such as `step`.
        data: what happened.
        epoch: the writer's claim; None for a writer that holds none, such as a user.

    Raises:
        Fenced: the claim is not the newest one.
    """
    mine = tasks.c.id == task_id
    if epoch is not None:
        mine &= tasks.c.epoch == epoch
    statement = (
        update(tasks)
        .where(mine)
        .values(last_seq=tasks.c.last_seq + 1, version=tasks.c.version + 1)
        .returning(tasks.c.last_seq, tasks.c.run_id)
    )
    row = connection.execute(statement).first()
    if row is None:
        raise Fenced(task_id)
    connection.execute(
        insert(events).values(
            task_id=task_id,
            seq=row.last_seq,
            run_id=row.run_id,
            kind=kind,
            at=now(),
            data=plain(data),
        )
    )
    return int(row.last_seq)


def after(connection: Connection, task_id: str, seq: int, limit: int) -> list[EventRow]:
    """Return the events that follow number `seq`, oldest first."""
    statement = (
        select(events)
        .where(events.c.task_id == task_id, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [EventRow(**columns(row)) for row in connection.execute(statement).mappings()]
