"""Read and write tasks as their users see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from app.db import approvals, audit, events, turns
from app.db.records import TERMINAL, Status, TaskRow, Turn, columns, values_of
from app.db.tables import idempotency_keys, runs, tasks
from app.db.types import clean, now

_AT_ONCE = 500
"""Values in one statement."""


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list."""

    namespace: str
    statuses: tuple[Status, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    text: str = ""
    """Part of the instruction, in any case."""
    agent_id: str | None = None
    """The standing agent that made them."""
    before: tuple[datetime, str] | None = None
    """The last task of the page before: its time and id."""
    limit: int = 50


def create(connection: Connection, task: TaskRow) -> None:
    """Insert a queued task, its first run and its first event."""
    connection.execute(insert(tasks).values(**values_of(task)))
    connection.execute(
        insert(runs).values(id=task.run_id, task_id=task.id, number=1, status=task.status)
    )
    events.append(connection, task.id, "task", {"status": task.status})
    audit.note(connection, "task.submitted", task.id, namespace=task.namespace)


def get(connection: Connection, task_id: str) -> TaskRow | None:
    """Return a task, or None."""
    row = connection.execute(select(tasks).where(tasks.c.id == task_id)).mappings().first()
    return None if row is None else TaskRow(**columns(row))


def find(connection: Connection, wanted: TaskFilter) -> list[TaskRow]:
    """Return a page of tasks, newest first."""
    statement = (
        select(tasks)
        .where(and_(*_conditions(wanted)))
        .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
        .limit(wanted.limit)
    )
    return [TaskRow(**columns(row)) for row in connection.execute(statement).mappings()]


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [tasks.c.namespace == wanted.namespace]
    if wanted.statuses:
        conditions.append(tasks.c.status.in_(wanted.statuses))
    if wanted.created_after is not None:
        conditions.append(tasks.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(tasks.c.created_at < wanted.created_before)
    if wanted.text:
        conditions.append(tasks.c.instruction.icontains(wanted.text, autoescape=True))
    if wanted.agent_id is not None:
        conditions.append(tasks.c.agent_id == wanted.agent_id)
    if wanted.before is not None:
        at, task_id = wanted.before
        same_moment = and_(tasks.c.created_at == at, tasks.c.id < task_id)
        conditions.append(or_(tasks.c.created_at < at, same_moment))
    return conditions


def cancel(connection: Connection, task_id: str) -> bool:
    """End a task at once; whoever works on it may write nothing more.

    Returns:
        False when it was over already.
    """
    statement = (
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.status.not_in(TERMINAL))
        .values(
            status="cancelled",
            end_reason="cancelled",
            error="cancelled by the user",
            question=None,
            reply=None,
            epoch=tasks.c.epoch + 1,
            owner=None,
            finished_at=now(),
        )
        .returning(tasks.c.run_id, tasks.c.namespace)
    )
    ended = connection.execute(statement).first()
    if ended is None:
        return False
    audit.note(connection, "task.cancelled", task_id, namespace=ended.namespace)
    end_run(connection, ended.run_id, "cancelled", "cancelled")
    approvals.withdraw(connection, task_id)
    events.append(connection, task_id, "task", {"status": "cancelled", "end_reason": "cancelled"})
    events.append(connection, task_id, "end", {"status": "cancelled"})
    return True


def answer(connection: Connection, task_id: str, text: str) -> Turn | None:
    """Hand a person's words to a task that asked; None when it did not."""
    turn = turns.requeue(
        connection, task_id, statuses=["waiting_input"], question=None, reply=clean(text)
    )
    if turn is not None:
        events.append(connection, task_id, "message", {"text": text})
        audit.note(connection, "task.answered", task_id, namespace=turn.namespace)
    return turn


def end_run(connection: Connection, run_id: str, status: Status, end_reason: str) -> None:
    """Note how a run ended."""
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(status=status, end_reason=end_reason, finished_at=now())
    )


def remember_key(
    connection: Connection, namespace: str, key: str, body_hash: str, task_id: str
) -> None:
    """Keep which task an idempotency key made."""
    connection.execute(
        insert(idempotency_keys).values(
            namespace=namespace, key=key, body_hash=body_hash, task_id=task_id, created_at=now()
        )
    )


def known_key(connection: Connection, namespace: str, key: str) -> tuple[str, str] | None:
    """Return the body's hash and the task of an idempotency key, or None."""
    row = connection.execute(
        select(idempotency_keys.c.body_hash, idempotency_keys.c.task_id).where(
            idempotency_keys.c.namespace == namespace, idempotency_keys.c.key == key
        )
    ).first()
    return None if row is None else (row.body_hash, row.task_id)


def finished_runs(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Return those of the runs that nobody will go on with, not even to learn from them."""
    found: list[str] = []
    for start in range(0, len(run_ids), _AT_ONCE):
        over = and_(tasks.c.status.in_(TERMINAL), tasks.c.learning != "pending")
        retried = tasks.c.run_id != runs.c.id
        statement = (
            select(runs.c.id)
            .join(tasks, tasks.c.id == runs.c.task_id)
            .where(runs.c.id.in_(run_ids[start : start + _AT_ONCE]), or_(over, retried))
        )
        found.extend(connection.execute(statement).scalars())
    return found
