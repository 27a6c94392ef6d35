"""Submit a task in the name of a standing agent: by its rules, and out of its day."""

from dataclasses import replace

from pydantic import ValidationError
from sqlalchemy import Connection

from app.day import UNREADABLE, used_of_day, within_day
from app.db import standing
from app.db.records import TaskRow
from app.db.types import now
from app.errors import ConflictError, InvalidInputError
from app.schemas import TaskRequest

_OWN = {"model", "acceptance", "budget", "approval", "priority"}
"""What a task has from its agent unless it says so itself."""


def on_behalf(connection: Connection, task: TaskRow, request: TaskRequest) -> TaskRow:
    """Return the task as one of the agent that its request names.

    Raises:
        InvalidInputError: its namespace has no such agent.
        ConflictError: the agent is paused, or another version of Strop made it.
        TooManyError: the agent has used up its day.
    """
    if request.agent is None:
        return task
    row = standing.lock(connection, request.agent, task.namespace)
    if row is None:
        message = f"there is no agent {request.agent!r} in this namespace"
        raise InvalidInputError.of("agent", message)
    if row.paused:
        message = "the agent is paused; resume it first"
        raise ConflictError(message)
    used = used_of_day(connection, row, now())
    whole = _filled(request, row)
    budget = whole.budget.model_dump(exclude_none=True)
    return replace(
        task,
        agent_id=row.id,
        model=whole.model or "",
        acceptance=list(whole.acceptance),
        approval=whole.approval.model_dump() if whole.approval else None,
        priority=whole.priority,
        budget=within_day(budget, row, used),
    )


def _filled(request: TaskRequest, row: standing.AgentRow) -> TaskRequest:
    """Return the request with what the agent says of its tasks where it says nothing."""
    said = request.model_dump(mode="json", exclude_unset=True, include=_OWN)
    fields = {**row.task, **said, "instruction": request.instruction}
    try:
        return TaskRequest.model_validate(fields)
    except ValidationError:
        raise ConflictError(UNREADABLE) from None
