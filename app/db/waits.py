"""Let a task wait for an approval or for more budget; nobody holds it meanwhile."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, update

from agents.approvals import ApprovalRequest
from app.db import approvals, claims, events
from app.db.records import Claim, Status, TaskRow
from app.db.steering_tables import approvals as approval_rows
from app.db.tables import tasks
from app.db.types import clean


def for_approval(connection: Connection, claim: Claim, wanted: Sequence[ApprovalRequest]) -> None:
    """Ask a person about calls, and let the task wait for what they decide.

    Raises:
        Fenced: the claim is not the newest one.
    """
    task = claims.own(connection, claim)
    for request in wanted:
        approvals.request(connection, task, request, f"a_{uuid.uuid4().hex}")
    _wait(connection, task, claim, "waiting_approval")


def for_budget(connection: Connection, claim: Claim, spent: str) -> None:
    """Let a task that has spent its budget wait for more.

    Raises:
        Fenced: the claim is not the newest one.
    """
    task = claims.own(connection, claim)
    told = {"text": clean(spent), "usd": task.usd, "tokens": task.usage.tokens}
    events.append(connection, task.id, "budget", told)
    _wait(connection, task, claim, "waiting_budget")


def spend(connection: Connection, claim: Claim, key: str) -> None:
    """Take the verdict that a call may be repeated away from the call; the row stays.

    Raises:
        Fenced: the claim is not the newest one.
    """
    claims.fence(connection, claim)
    mine = approvals.of_call(claim.run_id, key, "repeat")
    spent = approval_rows.c.key + "#" + approval_rows.c.id
    connection.execute(update(approval_rows).where(mine).values(key=spent))


def _wait(connection: Connection, task: TaskRow, claim: Claim, status: Status) -> None:
    connection.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(status=status, owner=None, worked_seconds=claims.own_s(task, claim))
    )
    events.append(connection, task.id, "task", {"status": status})
