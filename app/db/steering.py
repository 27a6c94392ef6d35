"""Pause, resume and retry tasks; whoever works on one meanwhile may write nothing more."""

from sqlalchemy import Connection, exists, func, insert, select, update

from app.db import audit, claims, events, turns
from app.db.records import Status, TaskRow, Turn, columns
from app.db.tables import events as events_of
from app.db.tables import runs, tasks
from app.db.types import now
from models.messages import JsonObject

WORKED_ON: frozenset[Status] = frozenset({"queued", "running"})
WAITING: frozenset[Status] = frozenset({"waiting_approval", "waiting_input", "waiting_budget"})
RETRIED: frozenset[Status] = frozenset({"failed", "cancelled"})


def locked(connection: Connection, task_id: str, namespace: str) -> TaskRow | None:
    """Return a task of the namespace, locked for this transaction, or None."""
    statement = (
        update(tasks)
        .where(tasks.c.id == task_id, tasks.c.namespace == namespace)
        .values(version=tasks.c.version)
        .returning(*tasks.c)
    )
    row = connection.execute(statement).mappings().first()
    return None if row is None else TaskRow(**columns(row))


def pause(connection: Connection, task: TaskRow) -> bool:
    """Stop a locked task where it stands; False when it is over or paused already."""
    if task.status not in WORKED_ON | WAITING:
        return False
    worked = claims.worked_s(task, now()) if task.owner else task.worked_seconds
    connection.execute(
        update(tasks)
        .where(tasks.c.id == task.id)
        .values(
            status="paused",
            paused_from=task.status if task.status in WAITING else None,
            epoch=tasks.c.epoch + 1,
            owner=None,
            worked_seconds=worked,
        )
    )
    events.append(connection, task.id, "task", {"status": "paused"})
    audit.note(connection, "task.paused", task.id, namespace=task.namespace)
    return True


def resume(connection: Connection, task: TaskRow) -> Turn | None:
    """Let a locked, paused task go on; None when it goes back to waiting.

    Hand the turn to `Engine.enqueue` in the same transaction.
    """
    audit.note(connection, "task.resumed", task.id, namespace=task.namespace)
    if task.paused_from is None:
        return turns.requeue(connection, task.id, statuses=["paused"])
    connection.execute(
        update(tasks).where(tasks.c.id == task.id).values(status=task.paused_from, paused_from=None)
    )
    events.append(connection, task.id, "task", {"status": task.paused_from})
    return None


def rebudget(connection: Connection, task: TaskRow, budget: JsonObject) -> Turn | None:
    """Give a locked task another budget; one that waits for it is queued, paused ones stay so.

    Hand the turn to `Engine.enqueue` in the same transaction.
    """
    left = None if task.paused_from == "waiting_budget" else task.paused_from
    mine = update(tasks).where(tasks.c.id == task.id)
    connection.execute(mine.values(budget=budget, paused_from=left))
    events.append(connection, task.id, "budget", {"budget": budget})
    return turns.requeue(connection, task.id, statuses=["waiting_budget"])


def has_remains(connection: Connection, task_id: str) -> bool:
    """Whether retention has left a task what a retry needs: every task has events until then."""
    return bool(connection.execute(select(exists().where(events_of.c.task_id == task_id))).scalar())


def retry(connection: Connection, task: TaskRow) -> Turn | None:
    """Begin a new run of a locked task that failed or was cancelled; its events go on.

    The figures of the task are those of its newest run, and so is what its budget counts.
    """
    newest = select(func.max(runs.c.number)).where(runs.c.task_id == task.id)
    number = int(connection.execute(newest).scalar_one()) + 1
    run_id = f"{task.id}.{number}"
    connection.execute(
        insert(runs).values(id=run_id, task_id=task.id, number=number, status="queued")
    )
    audit.note(connection, "task.retried", task.id, namespace=task.namespace)
    return turns.requeue(
        connection, task.id, statuses=RETRIED, run_id=run_id, **_CLEARED, **_COUNTED_ANEW
    )


_CLEARED: dict[str, object] = {
    "end_reason": None,
    "answer": None,
    "artifacts": [],
    "error": None,
    "question": None,
    "reply": None,
    "plan": {},
    "recalled": [],
    "learned": [],
    "learning": "none",
    "claimed_at": None,
    "started_at": None,
    "finished_at": None,
    "paused_from": None,
}
_COUNTED_ANEW: dict[str, object] = dict.fromkeys(
    (
        "steps",
        "prompt_tokens",
        "completion_tokens",
        "usd",
        "model_seconds",
        "model_calls",
        "worked_seconds",
        "deaths",
        "death_steps",
    ),
    0,
)
