"""Append and read the events of tasks: gapless numbers, written with the fact they tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Connection, Update, bindparam, insert, select, update

from app.db import alarms, webhooks
from app.db.records import EventRow, columns
from app.db.tables import events, tasks
from app.db.types import now, plain
from app.errors import Fenced
from models.messages import Usage


@dataclass(frozen=True)
class Appended:
    """What an appended event got, and what its task has cost by then."""

    seq: int
    usage: Usage


_INSERT = insert(events)


def bumping(**changes: Any) -> Update:  # noqa: ANN401 - whatever SQLAlchemy takes as a value
    """Return the statement that numbers an event and changes its task, built once and reused."""
    any_writer = bindparam("b_any", type_=Boolean)
    return (
        update(tasks)
        .where(tasks.c.id == bindparam("b_task"))
        .where(any_writer | (tasks.c.epoch == bindparam("b_epoch")))
        .values(last_seq=tasks.c.last_seq + 1, version=tasks.c.version + 1, **changes)
        .returning(
            tasks.c.last_seq,
            tasks.c.run_id,
            tasks.c.prompt_tokens,
            tasks.c.completion_tokens,
            tasks.c.usd,
            tasks.c.model_seconds,
            tasks.c.model_calls,
        )
    )


_BUMP = bumping()


def append(
    connection: Connection,
    task_id: str,
    kind: str,
    data: Mapping[str, Any],
    *,
    epoch: int | None = None,
    bump: Update | None = None,
    values: Mapping[str, Any] | None = None,
) -> Appended:
    """Append an event and return its number.

    Args:
        connection: the transaction of the fact that the event tells.
        task_id: whose event it is.
        kind: such as `step`.
        data: what happened.
        epoch: the writer's claim; None for a writer that holds none, such as a user.
        bump: a statement of `bumping`, when more changes in the task's row.
        values: of the parameters of `bump`.

    Raises:
        Fenced: the claim is not the newest one.
    """
    mine = {"b_task": task_id, "b_epoch": epoch, "b_any": epoch is None}
    row = connection.execute(bump if bump is not None else _BUMP, mine | dict(values or {})).first()
    if row is None:
        raise Fenced(task_id)
    connection.execute(
        _INSERT,
        {
            "task_id": task_id,
            "seq": row.last_seq,
            "run_id": row.run_id,
            "kind": kind,
            "at": now(),
            "data": plain(data),
        },
    )
    if kind == "task":
        webhooks.tell(connection, task_id, int(row.last_seq), dict(data))
        if data.get("status") == "failed":
            alarms.failed(connection, task_id)
    usage = Usage(
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        usd=row.usd,
        seconds=row.model_seconds,
        calls=row.model_calls,
    )
    return Appended(seq=int(row.last_seq), usage=usage)


def after(connection: Connection, task_id: str, seq: int, limit: int) -> list[EventRow]:
    """Return the events that follow number `seq`, oldest first."""
    statement = (
        select(events)
        .where(events.c.task_id == task_id, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [EventRow(**columns(row)) for row in connection.execute(statement).mappings()]


_CHUNK = 500


def heads(connection: Connection, task_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of each task's last event."""
    found: dict[str, int] = {}
    for start in range(0, len(task_ids), _CHUNK):
        some = tasks.c.id.in_(task_ids[start : start + _CHUNK])
        for row in connection.execute(select(tasks.c.id, tasks.c.last_seq).where(some)):
            found[row.id] = row.last_seq
    return found
