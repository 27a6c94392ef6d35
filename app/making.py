"""Make task rows from requests, for whoever asks: a person, a schedule, an agent."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from agents.state import GRAPH_VERSION
from app.db import namespaces, tasks
from app.db.claims import Enqueue
from app.db.records import FileRow, TaskRow, turn_of
from app.db.types import now
from app.family import family_of
from app.schemas import TaskRequest


def new_task(
    request: TaskRequest,
    uploaded: Sequence[FileRow],
    namespace: str,
    created_by: str | None,
    *,
    not_before: datetime | None = None,
) -> TaskRow:
    """Return the row of a task that nobody has worked on."""
    task_id = f"t_{uuid.uuid4().hex}"
    return TaskRow(
        id=task_id,
        namespace=namespace,
        created_by=created_by,
        instruction=request.instruction,
        inputs=request.inputs,
        acceptance=list(request.acceptance),
        files=[{"id": row.id, "name": row.name, "size": row.size} for row in uploaded],
        task_metadata=request.metadata,
        model=request.model or "",
        budget=request.budget.model_dump(exclude_none=True),
        approval=request.approval.model_dump() if request.approval else None,
        family=family_of(request.instruction, [row.name for row in uploaded]),
        status="queued",
        artifacts=[],
        plan={},
        recalled=[],
        learned=[],
        run_id=f"{task_id}.1",
        graph_version=GRAPH_VERSION,
        priority=request.priority,
        not_before=not_before,
        created_at=now(),
    )


def create(connection: Connection, task: TaskRow, enqueue: Enqueue) -> None:
    """Insert a task and queue it.

    Raises:
        TooManyError: its namespace has used up what it may.
    """
    namespaces.admit_task(connection, task.namespace)
    tasks.create(connection, task)
    enqueue(connection, turn_of(task))
