"""Keep what a person is asked about calls, and what was decided."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from agents.approvals import ApprovalRequest, Kind, Verdict
from app.db import audit, events, turns
from app.db.records import TaskRow, Turn, columns
from app.db.steering_tables import approvals
from app.db.tables import tasks
from app.db.types import clean, now, plain
from models.messages import JsonObject

ApprovalStatus = Literal["pending", "approved", "edited", "rejected", "withdrawn"]


@dataclass(frozen=True, kw_only=True)
class ApprovalRow:
    """A call that a person decides about."""

    id: str
    namespace: str
    task_id: str
    run_id: str
    key: str
    kind: Kind
    tool: str
    risk: str
    arguments: JsonObject
    digest: str
    status: ApprovalStatus
    note: str | None = None
    edited: JsonObject | None = None
    created_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True)
class ApprovalFilter:
    """Which approvals to list."""

    namespace: str
    statuses: tuple[ApprovalStatus, ...] = ()
    task_id: str = ""
    before: tuple[datetime, str] | None = None
    limit: int = 50


def request(
    connection: Connection, task: TaskRow, wanted: ApprovalRequest, approval_id: str
) -> None:
    """Ask about a call, with its event; one that was asked about is not asked about twice."""
    same = of_call(task.run_id, wanted.key, wanted.kind)
    if connection.execute(select(approvals.c.id).where(same)).first() is not None:
        return
    shown = wanted.model_dump() | {"arguments": plain(wanted.arguments)}
    connection.execute(
        insert(approvals).values(
            id=approval_id,
            namespace=task.namespace,
            task_id=task.id,
            run_id=task.run_id,
            status="pending",
            created_at=now(),
            **shown,
        )
    )
    told = {name: shown[name] for name in ("kind", "tool", "risk", "arguments")}
    events.append(connection, task.id, "approval", {"id": approval_id, "status": "pending"} | told)


def get(connection: Connection, approval_id: str, namespace: str) -> ApprovalRow | None:
    """Return an approval of the namespace, or None."""
    mine = (approvals.c.id == approval_id) & (approvals.c.namespace == namespace)
    row = connection.execute(select(approvals).where(mine)).mappings().first()
    return None if row is None else ApprovalRow(**columns(row))


def find(connection: Connection, wanted: ApprovalFilter) -> list[ApprovalRow]:
    """Return a page of approvals, newest first."""
    conditions = [approvals.c.namespace == wanted.namespace]
    if wanted.statuses:
        conditions.append(approvals.c.status.in_(wanted.statuses))
    if wanted.task_id:
        conditions.append(approvals.c.task_id == wanted.task_id)
    if wanted.before is not None:
        at, approval_id = wanted.before
        same_moment = and_(approvals.c.created_at == at, approvals.c.id < approval_id)
        conditions.append(or_(approvals.c.created_at < at, same_moment))
    statement = (
        select(approvals)
        .where(*conditions)
        .order_by(approvals.c.created_at.desc(), approvals.c.id.desc())
        .limit(wanted.limit)
    )
    return [ApprovalRow(**columns(row)) for row in connection.execute(statement).mappings()]


def decide(
    connection: Connection,
    row: ApprovalRow,
    status: ApprovalStatus,
    *,
    note: str = "",
    edited: JsonObject | None = None,
    by: str | None = None,
) -> bool:
    """Write a decision and its event; False when another was faster."""
    statement = (
        update(approvals)
        .where(approvals.c.id == row.id, approvals.c.status == "pending")
        .values(
            status=status,
            note=clean(note) or None,
            edited=None if edited is None else plain(edited),
            decided_at=now(),
            decided_by=by,
        )
    )
    if not connection.execute(statement).rowcount:
        return False
    told: JsonObject = {"id": row.id, "status": status, "tool": row.tool, "note": clean(note)}
    if edited is not None:
        told["edited"] = plain(edited)
    events.append(connection, row.task_id, "approval", told)
    audit.note(connection, f"approval.{status}", row.id, namespace=row.namespace)
    return True


def release(connection: Connection, task: TaskRow) -> Turn | None:
    """Let a locked task go on once nothing of its run is undecided.

    Hand the turn to `Engine.enqueue` in the same transaction.
    """
    pending = (approvals.c.run_id == task.run_id) & (approvals.c.status == "pending")
    if connection.execute(select(approvals.c.id).where(pending).limit(1)).first() is not None:
        return None
    if task.status == "paused" and task.paused_from == "waiting_approval":
        mine = update(tasks).where(tasks.c.id == task.id)
        connection.execute(mine.values(paused_from=None))
        return None
    return turns.requeue(connection, task.id, statuses=["waiting_approval"])


def withdraw(connection: Connection, task_id: str) -> None:
    """Ask no more about the calls of a task that is over."""
    pending = (approvals.c.task_id == task_id) & (approvals.c.status == "pending")
    connection.execute(
        update(approvals).where(pending).values(status="withdrawn", decided_at=now())
    )


def verdict(connection: Connection, run_id: str, key: str, kind: Kind) -> Verdict | None:
    """Return what was decided about a call of a run, or None."""
    decided = approvals.c.status.in_(("approved", "edited", "rejected"))
    row = (
        connection.execute(select(approvals).where(of_call(run_id, key, kind), decided))
        .mappings()
        .first()
    )
    if row is None:
        return None
    found = ApprovalRow(**columns(row))
    return Verdict(
        approved=found.status != "rejected",
        digest=found.digest,
        note=found.note or "",
        edited=found.edited,
    )


def of_call(run_id: str, key: str, kind: Kind) -> ColumnElement[bool]:
    """Return the condition for what is asked about a call."""
    return and_(approvals.c.run_id == run_id, approvals.c.key == key, approvals.c.kind == kind)
