"""Who works on which task: claims, their release, and what becomes of a dead process's."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, update

from app.db import events, tasks
from app.db.records import TERMINAL, Claim, Phase, TaskRow, Turn, columns, turn_of
from app.db.tables import runs
from app.db.tables import tasks as task_rows
from app.db.types import now
from app.errors import Fenced

MAX_SUSPICION = 12
"""How far a task may be suspected of stopping its processes before it is given up."""
_ALONE = 4
"""For a process that died in the midst of this task and had no other: three are too many."""
_AMONG_OTHERS = 1
"""For one that had other tasks, or had not begun with this one: it may be quite innocent."""
_CRASHED = "its process died again and again at the same point of the task, which was given up"


class Enqueue(Protocol):
    """Queues a turn in the transaction that makes it; see `app.engine.Engine`."""

    def __call__(self, connection: Connection, turn: Turn) -> None:
        """Queue it."""
        ...


def begin(
    connection: Connection,
    task_id: str,
    number: int,
    phase: Phase,
    *,
    owner: str,
    graph_versions: Collection[int],
) -> Claim | None:
    """Claim a turn that the engine gave out.

    Returns:
        None when it is not to be worked on: another turn came after it, the task was cancelled
        or paused, somebody else holds it, or this process lacks the graphs it began with.
    """
    waits = task_rows.c.status == "queued" if phase == "run" else task_rows.c.learning == "pending"
    moment = now()
    statement = (
        update(task_rows)
        .where(task_rows.c.id == task_id, task_rows.c.turn == number, waits)
        .where(task_rows.c.owner.is_(None), task_rows.c.graph_version.in_(graph_versions))
        .values(owner=owner, epoch=task_rows.c.epoch + 1, claimed_at=moment)
        .returning(task_rows.c.id, task_rows.c.run_id, task_rows.c.epoch)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    if phase == "run":
        _start(connection, row.id, row.run_id, moment)
    return Claim(task_id=row.id, run_id=row.run_id, epoch=row.epoch, phase=phase)


def pass_on(
    connection: Connection,
    task_id: str,
    number: int,
    phase: Phase,
    *,
    not_before: datetime,
    enqueue: Enqueue,
) -> bool:
    """Give a turn that this process cannot take to the next one; a later turn is left alone.

    Returns:
        Whether the turn was still waited for.
    """
    statement = (
        update(task_rows)
        .where(task_rows.c.id == task_id, task_rows.c.turn == number, waiting_work(phase))
        .values(turn=task_rows.c.turn + 1)
        .returning(*task_rows.c)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        return False
    turn = turn_of(TaskRow(**columns(row)), phase)
    enqueue(connection, replace(turn, not_before=not_before))
    return True


def waiting_work(phase: Phase) -> ColumnElement[bool]:
    """Return the condition under which a task waits to be worked on."""
    if phase == "run":
        return and_(task_rows.c.status == "queued", task_rows.c.owner.is_(None))
    return and_(task_rows.c.learning == "pending", task_rows.c.owner.is_(None))


def waiting(connection: Connection, phase: Phase, limit: int) -> list[TaskRow]:
    """Return the tasks that have waited longest."""
    statement = (
        select(task_rows)
        .where(waiting_work(phase))
        .order_by(task_rows.c.created_at, task_rows.c.id)
        .limit(limit)
    )
    return [TaskRow(**columns(row)) for row in connection.execute(statement).mappings()]


def _start(connection: Connection, task_id: str, run_id: str, moment: datetime) -> None:
    connection.execute(
        update(task_rows)
        .where(task_rows.c.id == task_id)
        .values(status="running", started_at=func.coalesce(task_rows.c.started_at, moment))
    )
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(status="running", started_at=func.coalesce(runs.c.started_at, moment))
    )
    events.append(connection, task_id, "task", {"status": "running"})


def held(connection: Connection, task_ids: Sequence[str]) -> dict[str, int]:
    """Return the newest epoch of each task."""
    statement = select(task_rows.c.id, task_rows.c.epoch).where(task_rows.c.id.in_(task_ids))
    return {row.id: row.epoch for row in connection.execute(statement)}


def owners(connection: Connection) -> set[str]:
    """Return the boot ids of the processes that hold tasks."""
    statement = select(task_rows.c.owner).where(task_rows.c.owner.is_not(None)).distinct()
    return set(connection.execute(statement).scalars())


_FENCE = (
    update(task_rows)
    .where(task_rows.c.id == bindparam("b_task"), task_rows.c.epoch == bindparam("b_epoch"))
    .values(epoch=task_rows.c.epoch)
)


def fence(connection: Connection, claim: Claim) -> None:
    """Refuse to go on with a claim that is not the newest one; locks the task's row.

    Raises:
        Fenced: it is not.
    """
    mine = {"b_task": claim.task_id, "b_epoch": claim.epoch}
    if not connection.execute(_FENCE, mine).rowcount:
        raise Fenced(claim.task_id)


def own(connection: Connection, claim: Claim) -> TaskRow:
    """Return the claimed task, locked for this transaction.

    Raises:
        Fenced: the claim is not the newest one.
    """
    statement = (
        update(task_rows)
        .where(task_rows.c.id == claim.task_id, task_rows.c.epoch == claim.epoch)
        .values(epoch=claim.epoch)
        .returning(*task_rows.c)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise Fenced(claim.task_id)
    return TaskRow(**columns(row))


def release(connection: Connection, claim: Claim, enqueue: Enqueue) -> None:
    """Put a task back unharmed, for any process to go on with; a lost claim is no error."""
    mine = (task_rows.c.id == claim.task_id) & (task_rows.c.epoch == claim.epoch)
    row = connection.execute(select(task_rows).where(mine).with_for_update()).mappings().first()
    if row is not None:
        task = TaskRow(**columns(row))
        _put_back(connection, task, own_s(task, claim), enqueue)


def put_back(connection: Connection, owner: str, enqueue: Enqueue) -> list[str]:
    """Put back what a dead process held; give up what takes down process after process.

    A task that somebody is writing is left for the next time: it may be the last words of the
    process, which end the task, or those of one that is frozen and keeps it locked for a while.

    Returns:
        The ids of the tasks that were put back or given up.
    """
    statement = select(task_rows).where(task_rows.c.owner == owner)
    free = connection.execute(statement.with_for_update(skip_locked=True))
    dropped = [TaskRow(**columns(row)) for row in free.mappings()]
    for task in dropped:
        newest = events.after(connection, task.id, task.last_seq - 1, 1)
        begun = bool(newest) and newest[0].kind != "task"
        weight = _ALONE if begun and len(dropped) == 1 else _AMONG_OTHERS
        worked = worked_s(task, newest[0].at if newest else now())
        _suspect(connection, task, worked, weight, enqueue)
    return [task.id for task in dropped]


def stumble(connection: Connection, claim: Claim, enqueue: Enqueue) -> None:
    """Put a task back after something under it failed, which is hardly its fault.

    Raises:
        Fenced: the claim is not the newest one.
    """
    task = own(connection, claim)
    _suspect(connection, task, own_s(task, claim), _AMONG_OTHERS, enqueue)


def _suspect(
    connection: Connection, task: TaskRow, worked: float, weight: int, enqueue: Enqueue
) -> None:
    suspicion = weight if task.steps > task.death_steps else task.deaths + weight
    if suspicion < MAX_SUSPICION:
        _put_back(connection, task, worked, enqueue)
    else:
        _give_up(connection, task)
    connection.execute(
        update(task_rows)
        .where(task_rows.c.id == task.id)
        .values(deaths=suspicion, death_steps=task.steps)
    )


def _put_back(connection: Connection, task: TaskRow, worked: float, enqueue: Enqueue) -> None:
    values: dict[str, object] = {"owner": None, "epoch": task.epoch + 1, "turn": task.turn + 1}
    if not task.over:
        values |= {"status": "queued", "worked_seconds": worked}
    connection.execute(update(task_rows).where(task_rows.c.id == task.id).values(**values))
    if not task.over:
        events.append(connection, task.id, "task", {"status": "queued"})
    again = replace(task, turn=task.turn + 1, not_before=None)
    enqueue(connection, turn_of(again, "learn" if task.over else "run"))


def _give_up(connection: Connection, task: TaskRow) -> None:
    values: dict[str, object] = {"owner": None, "epoch": task.epoch + 1, "learning": "done"}
    if not task.over:
        values |= {
            "status": "failed",
            "end_reason": "internal",
            "error": _CRASHED,
            "finished_at": now(),
        }
        tasks.end_run(connection, task.run_id, "failed", "internal")
    connection.execute(update(task_rows).where(task_rows.c.id == task.id).values(**values))
    if not task.over:
        told = {"status": "failed", "end_reason": "internal", "error": _CRASHED}
        events.append(connection, task.id, "task", told)
    status = task.status if task.status in TERMINAL else "failed"
    events.append(connection, task.id, "end", {"status": status})


def own_s(task: TaskRow, claim: Claim) -> float:
    """Return how long a task has been worked on up to now, by a clock that nobody sets."""
    if task.over:
        return task.worked_seconds
    return task.worked_seconds + time.monotonic() - claim.began


def worked_s(task: TaskRow, until: datetime) -> float:
    """Return the same at `until` where the claim is another process's, by the clock of the wall."""
    if task.over or task.claimed_at is None:
        return task.worked_seconds
    return task.worked_seconds + max(0.0, (until - task.claimed_at).total_seconds())
