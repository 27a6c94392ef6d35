"""Write how a claim ends: with an answer, a question, a failure, or lessons."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sqlalchemy import Connection, update

from agents.state import EndReason, Learned
from app.db import claims, events
from app.db import tasks as task_store
from app.db.records import Claim, Learning, turn_of
from app.db.tables import tasks
from app.db.types import clean, now, plain
from models.messages import Frozen, JsonObject


class Ending(Frozen):
    """How a task ended."""

    status: Literal["succeeded", "failed"]
    end_reason: EndReason
    answer: str = ""
    artifacts: tuple[JsonObject, ...] = ()
    error: str = ""


def finish(
    connection: Connection, claim: Claim, ending: Ending, *, enqueue: claims.Enqueue | None
) -> None:
    """End a task; with `enqueue`, queue the learning from it, else close its events."""
    task = claims.own(connection, claim)
    if task.over:
        return
    moment = now()
    learning: Learning = "pending" if enqueue else "done"
    connection.execute(
        update(tasks)
        .where(tasks.c.id == claim.task_id)
        .values(
            status=ending.status,
            end_reason=ending.end_reason,
            answer=clean(ending.answer) or None,
            artifacts=plain(ending.artifacts),
            error=clean(ending.error) or None,
            learning=learning,
            owner=None,
            question=None,
            reply=None,
            worked_seconds=claims.own_s(task, claim),
            finished_at=moment,
        )
    )
    task_store.end_run(connection, claim.run_id, ending.status, ending.end_reason)
    if ending.answer:
        told = {
            "answer": clean(ending.answer),
            "artifacts": [artifact["name"] for artifact in ending.artifacts],
        }
        events.append(connection, claim.task_id, "answer", told)
    status: JsonObject = {"status": ending.status, "end_reason": ending.end_reason}
    if ending.error:
        status["error"] = clean(ending.error)
    events.append(connection, claim.task_id, "task", status)
    if enqueue is None:
        events.append(connection, claim.task_id, "end", {"status": ending.status})
    else:
        enqueue(connection, turn_of(replace(task, not_before=None), "learn"))


def wait(connection: Connection, claim: Claim, question: str) -> None:
    """Let a task wait for a person; nobody holds it meanwhile."""
    task = claims.own(connection, claim)
    text = clean(question)
    connection.execute(
        update(tasks)
        .where(tasks.c.id == claim.task_id)
        .values(
            status="waiting_input",
            question=text,
            reply=None,
            owner=None,
            worked_seconds=claims.own_s(task, claim),
        )
    )
    events.append(connection, claim.task_id, "question", {"text": text})
    events.append(connection, claim.task_id, "task", {"status": "waiting_input"})


def learned(connection: Connection, claim: Claim, items: Sequence[Learned]) -> None:
    """Write what was learned and close the task's events."""
    task = claims.own(connection, claim)
    shown = [plain(item) for item in items]
    connection.execute(
        update(tasks)
        .where(tasks.c.id == claim.task_id)
        .values(learned=shown, learning="done", owner=None)
    )
    events.append(connection, claim.task_id, "learned", {"items": shown})
    events.append(connection, claim.task_id, "end", {"status": task.status})
