"""The person's hands on a task: pause, resume, retry, speak."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from agents.state import RunLimits
from app.db import claims, messages, steering, tasks
from app.db.records import TaskRow, Turn
from app.db.types import now
from app.engine import Engine
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.schemas import Budget, TaskView, task_view
from memory.database import Database
from models.messages import JsonObject

T = TypeVar("T")


class SteeringService:
    """Change how a task goes on, whichever process works on it."""

    def __init__(self, database: Database, engine: Engine, default_limits: RunLimits) -> None:
        self._database = database
        self._engine = engine
        self._limits = default_limits

    async def pause(self, task_id: str, *, namespace: str) -> TaskView:
        """Stop a task where it stands; a paused one is returned as it is.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it is over.
        """

        def work(connection: Connection) -> None:
            task = _locked(connection, task_id, namespace)
            if not steering.pause(connection, task) and task.status != "paused":
                message = f"a task that is {task.status} cannot be paused: it is over"
                raise ConflictError(message)

        await self._database.run(work)
        await self._engine.cancel(task_id)
        return await self.view(task_id, namespace=namespace)

    async def resume(self, task_id: str, *, namespace: str) -> TaskView:
        """Let a paused task go on; one that is worked on is returned as it is.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it waits for something else, or is over.
        """

        def work(connection: Connection) -> Turn | None:
            task = _locked(connection, task_id, namespace)
            if task.status == "paused":
                return self._enqueued(connection, steering.resume(connection, task))
            if task.status not in steering.WORKED_ON:
                message = f"only a paused task can be resumed; this one is {task.status}"
                raise ConflictError(message)
            return None

        return await self._queued(work, task_id, namespace)

    async def retry(self, task_id: str, *, namespace: str) -> TaskView:
        """Begin a new run of a task that failed or was cancelled.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it is in another state, still being learned from, or too old.
        """

        def work(connection: Connection) -> Turn | None:
            task = _locked(connection, task_id, namespace)
            if task.status not in steering.RETRIED:
                message = f"only a failed or cancelled task can be retried; it is {task.status}"
                raise ConflictError(message)
            if task.learning == "pending":
                message = f"the task is {task.status} and is being learned from; try again shortly"
                raise ConflictError(message)
            if not steering.has_remains(connection, task.id):
                message = "what the task left was removed, since it is old; submit it anew"
                raise ConflictError(message)
            return self._enqueued(connection, steering.retry(connection, task))

        return await self._queued(work, task_id, namespace)

    async def say(self, task_id: str, text: str, *, namespace: str) -> TaskView:
        """Answer a task's question, or tell it something while it is worked on.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it is over, or was told too much.
            InvalidInputError: the message is too long.
        """

        def work(connection: Connection) -> Turn | None:
            task = _locked(connection, task_id, namespace)
            if task.status == "waiting_input":
                return self._enqueued(connection, tasks.answer(connection, task_id, text))
            _check_message(connection, task, text)
            messages.add(connection, task, text)
            return None

        return await self._queued(work, task_id, namespace)

    async def rebudget(self, task_id: str, budget: Budget, *, namespace: str) -> TaskView:
        """Change what a task may use, and let it go on if it waits for that.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it is worked on, or over.
            InvalidInputError: it has used more than that already.
        """
        given = budget.model_dump(exclude_none=True)

        def work(connection: Connection) -> Turn | None:
            task = _locked(connection, task_id, namespace)
            if task.over or task.status == "running":
                hint = "pause it first" if task.status == "running" else "it is over"
                message = f"the budget of a task that is {task.status} cannot be changed: {hint}"
                raise ConflictError(message)
            waits = "waiting_budget" in {task.status, task.paused_from}
            changed = task.budget | given
            if waits:
                _check_enough(task, self._limits.model_copy(update=_limits(changed)))
            turn = steering.rebudget(connection, task, changed)
            return self._enqueued(connection, turn)

        return await self._queued(work, task_id, namespace)

    async def view(self, task_id: str, *, namespace: str) -> TaskView:
        """Return a task of the namespace.

        Raises:
            NotFoundError: it has none of that id.
        """
        task = await self._database.read(partial(tasks.get, task_id=task_id))
        if task is None or task.namespace != namespace:
            raise _unknown(task_id)
        worked = claims.worked_s(task, now()) if task.owner else task.worked_seconds
        return task_view(task, worked_s=worked)

    async def _queued(
        self, work: Callable[[Connection], Turn | None], task_id: str, namespace: str
    ) -> TaskView:
        """Do the work, and wake who works and who follows."""
        await self._database.run(work)
        await self._engine.submit(task_id)
        return await self.view(task_id, namespace=namespace)

    def _enqueued(self, connection: Connection, turn: Turn | None) -> Turn | None:
        if turn is not None:
            self._engine.enqueue(connection, turn)
        return turn


def _locked(connection: Connection, task_id: str, namespace: str) -> TaskRow:
    task = steering.locked(connection, task_id, namespace)
    if task is None:
        raise _unknown(task_id)
    return task


def _unknown(task_id: str) -> NotFoundError:
    return NotFoundError(f"there is no task {task_id[:100]!r}")


def _limits(budget: JsonObject) -> JsonObject:
    return {name: budget[name] for name in ("usd", "tokens") if name in budget}


def _check_enough(task: TaskRow, limits: RunLimits) -> None:
    """Refuse a budget with which the task would wait again at once."""
    if limits.usd is not None and task.usd >= limits.usd:
        message = f"expected more than the ${task.usd:.4f} that the task has spent"
        raise InvalidInputError.of("budget.usd", message)
    if limits.tokens is not None and task.usage.tokens >= limits.tokens:
        message = f"expected more than the {task.usage.tokens} tokens that the task has used"
        raise InvalidInputError.of("budget.tokens", message)


def _check_message(connection: Connection, task: TaskRow, text: str) -> None:
    if task.over:
        message = f"the task is over ({task.status}) and hears nothing more; retry it or make a new"
        raise ConflictError(message)
    if task.paused_from == "waiting_input":
        message = "the task is paused at its question; resume it, then answer"
        raise ConflictError(message)
    if len(text) > messages.MAX_CHARS:
        message = f"expected at most {messages.MAX_CHARS} characters, got {len(text)}"
        raise InvalidInputError.of("text", message)
    if messages.count(connection, task.run_id, task.id) >= messages.MAX_MESSAGES:
        message = f"the task is {task.status} and was told {messages.MAX_MESSAGES} things already"
        raise ConflictError(message)
