"""The service for standing agents: make them, tell them things, watch them, stop them."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection

from app.cursors import page_of, position_of
from app.day import day_of
from app.db import audit, standing, steering, tasks
from app.db.standing import AgentMessageRow, AgentRow
from app.db.tasks import TaskFilter
from app.db.types import clean, now
from app.engine import Engine
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.rousing import Rouser
from app.schemas_agents import (
    AgentMessageView,
    AgentPage,
    AgentPatch,
    AgentRequest,
    AgentTask,
    AgentView,
    ReportPage,
    agent_view,
    message_view,
    report_view,
)
from app.tasks import ModelCheck
from app.timing import Timing
from memory.database import Database

T = TypeVar("T")
MOST = 1000
"""Agents of a namespace."""
MOST_WAITING = 200
"""Messages that wait in an inbox."""
_MOST_FAILURES = 20
_MAY_BE_NULL = frozenset({"timing", "usd_per_day", "tokens_per_day", "wakes_per_day"})


class AgentService:
    """The standing agents of each namespace."""

    def __init__(
        self, database: Database, engine: Engine, rouser: Rouser, models: ModelCheck
    ) -> None:
        self._database = database
        self._engine = engine
        self._rouser = rouser
        self._models = models

    async def create(
        self, request: AgentRequest, *, namespace: str, created_by: str | None = None
    ) -> AgentView:
        """Make an agent, asleep until it is due, told something or asked to wake.

        Raises:
            InvalidInputError: its model is not known, or its timing is never due.
            ConflictError: the namespace has as many as it may.
        """
        await self._check(request.task)
        moment = now()
        fields = request.model_dump(exclude={"task", "timing"})
        row = AgentRow(
            id=f"ag_{uuid.uuid4().hex}",
            namespace=namespace,
            task=_stored(request.task),
            timing=request.timing.model_dump(mode="json") if request.timing else None,
            next_at=_first(request.timing, moment, moment),
            created_by=created_by,
            created_at=moment,
            **fields,
        )

        def work(connection: Connection) -> AgentView:
            if standing.count(connection, namespace) >= MOST:
                message = f"a namespace may have {MOST} agents, and this one has; remove some first"
                raise ConflictError(message)
            standing.add(connection, row)
            audit.note(connection, "agent.created", row.id, namespace=namespace)
            return _view(connection, row)

        return await self._changed(work)

    async def list(self, namespace: str, *, cursor: str | None, limit: int) -> AgentPage:
        """Return a page of agents, newest first.

        Raises:
            InvalidInputError: the cursor is not one that was given out.
        """
        before = position_of(cursor)

        def work(connection: Connection) -> AgentPage:
            rows = standing.find(connection, namespace, before, limit + 1)
            shown, following = page_of(rows, limit)
            return AgentPage(items=[_view(connection, row) for row in shown], next_cursor=following)

        return await self._database.read(work)

    async def get(self, agent_id: str, *, namespace: str) -> AgentView:
        """Return an agent.

        Raises:
            NotFoundError: the namespace has none of that id.
        """

        def work(connection: Connection) -> AgentView:
            row = _there(standing.get(connection, agent_id, namespace), agent_id)
            return _view(connection, row)

        return await self._database.read(work)

    async def change(self, agent_id: str, patch: AgentPatch, *, namespace: str) -> AgentView:
        """Change an agent; the task that it works on stays as it is.

        Raises:
            NotFoundError: the namespace has none of that id.
            InvalidInputError: see `create`.
        """
        if patch.task is not None:
            await self._check(patch.task)

        def work(connection: Connection) -> AgentView:
            row = _locked(connection, agent_id, namespace)
            values = _changes(patch, row)
            if values:
                values = _roused(row) | values
                standing.change(connection, row.id, values)
                audit.note(connection, "agent.changed", row.id, namespace=namespace)
            return _view(connection, replace(row, **values))

        return await self._changed(work)

    async def remove(self, agent_id: str, *, namespace: str) -> None:
        """Stop an agent for good: what it works on is cancelled; its tasks stay.

        Raises:
            NotFoundError: the namespace has none of that id.
        """

        def work(connection: Connection) -> list[str]:
            row = _locked(connection, agent_id, namespace)
            stopped = [task.id for task in standing.live(connection, row.id)]
            for task_id in stopped:
                tasks.cancel(connection, task_id)
            standing.remove(connection, row.id)
            audit.note(connection, "agent.removed", row.id, namespace=namespace)
            return stopped

        for task_id in await self._database.run(work):
            await self._engine.cancel(task_id)

    async def pause(self, agent_id: str, *, namespace: str) -> AgentView:
        """Let an agent sleep until it is resumed; what it works on is paused with it.

        Raises:
            NotFoundError: the namespace has none of that id.
        """
        stopped: list[str] = []

        def work(connection: Connection) -> AgentView:
            row = _locked(connection, agent_id, namespace)
            for live in standing.live(connection, row.id):
                task = steering.locked(connection, live.id, namespace)
                if task is not None and steering.pause(connection, task):
                    stopped.append(task.id)
            return self._switch(connection, row, paused=True)

        view = await self._changed(work)
        for task_id in stopped:
            await self._engine.cancel(task_id)
        return view

    async def resume(self, agent_id: str, *, namespace: str) -> AgentView:
        """Let a paused agent and its paused task go on; what was due meanwhile is left out.

        Raises:
            NotFoundError: the namespace has none of that id.
        """
        resumed: list[str] = []

        def work(connection: Connection) -> AgentView:
            row = _locked(connection, agent_id, namespace)
            for live in standing.live(connection, row.id):
                task = steering.locked(connection, live.id, namespace)
                if task is None or task.status != "paused":
                    continue
                turn = steering.resume(connection, task)
                if turn is not None:
                    self._engine.enqueue(connection, turn)
                resumed.append(task.id)
            return self._switch(connection, row, paused=False)

        view = await self._changed(work)
        for task_id in resumed:
            await self._engine.submit(task_id)
        return view

    async def wake(self, agent_id: str, *, namespace: str) -> AgentView:
        """Let an agent wake as soon as it can: at once, or when its present task is over.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: it is paused.
        """

        def work(connection: Connection) -> AgentView:
            row = _locked(connection, agent_id, namespace)
            if row.paused:
                message = "the agent is paused; resume it first"
                raise ConflictError(message)
            values = _roused(row) | {"wanted": True}
            standing.change(connection, row.id, values)
            audit.note(connection, "agent.woken", row.id, namespace=namespace)
            return _view(connection, replace(row, **values))

        return await self._changed(work)

    async def tell(
        self, agent_id: str, text: str, *, namespace: str, created_by: str | None = None
    ) -> AgentMessageView:
        """Put a message into an agent's inbox.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: too many messages wait.
        """

        def work(connection: Connection) -> AgentMessageRow:
            row = _locked(connection, agent_id, namespace)
            if standing.count_waiting(connection, row.id) >= MOST_WAITING:
                message = f"{MOST_WAITING} messages wait already; let the agent wake first"
                raise ConflictError(message)
            told = AgentMessageRow(
                agent_id=row.id, seq=0, text=clean(text), created_by=created_by, created_at=now()
            )
            if row.wake_on_message:
                standing.change(connection, row.id, {"wanted": True})
            audit.note(connection, "agent.told", row.id, namespace=namespace)
            return standing.tell(connection, told)

        return message_view(await self._changed(work))

    async def inbox(
        self, agent_id: str, *, namespace: str, before: int | None, limit: int
    ) -> "tuple[AgentMessageView, ...]":
        """Return some of what an agent was told, newest first.

        Raises:
            NotFoundError: the namespace has none of that id.
        """

        def work(connection: Connection) -> tuple[AgentMessageView, ...]:
            row = _there(standing.get(connection, agent_id, namespace), agent_id)
            return tuple(map(message_view, standing.inbox(connection, row.id, before, limit)))

        return await self._database.read(work)

    async def reports(
        self, agent_id: str, *, namespace: str, cursor: str | None, limit: int
    ) -> ReportPage:
        """Return what an agent's wake-ups came to, newest first.

        Raises:
            NotFoundError: the namespace has none of that id.
            InvalidInputError: the cursor is not one that was given out.
        """
        before = position_of(cursor)

        def work(connection: Connection) -> ReportPage:
            row = _there(standing.get(connection, agent_id, namespace), agent_id)
            wanted = TaskFilter(namespace, agent_id=row.id, before=before, limit=limit + 1)
            shown, following = page_of(tasks.find(connection, wanted), limit)
            return ReportPage(items=[report_view(task) for task in shown], next_cursor=following)

        return await self._database.read(work)

    async def _check(self, task: AgentTask) -> None:
        if task.model:
            await self._models.check(task.model)

    async def _changed(self, work: Callable[[Connection], T]) -> T:
        """Do the work and let the rouser of this process look."""
        result = await self._database.run(work)
        self._rouser.look()
        return result

    def _switch(self, connection: Connection, row: AgentRow, *, paused: bool) -> AgentView:
        values: dict[str, Any] = {"paused": paused, **_roused(row)}
        if row.paused and not paused and row.timing is not None:
            timing = Timing.model_validate(row.timing)
            values["next_at"] = timing.following(now(), row.created_at)
        standing.change(connection, row.id, values)
        if row.paused != paused:
            action = "agent.paused" if paused else "agent.resumed"
            audit.note(connection, action, row.id, namespace=row.namespace)
        return _view(connection, replace(row, **values))


def _view(connection: Connection, row: AgentRow) -> AgentView:
    return agent_view(
        row,
        standing.live(connection, row.id),
        standing.spent(connection, row.id, day_of(now())),
        inbox=standing.count_waiting(connection, row.id),
        failures=standing.failures(connection, row.id, _MOST_FAILURES),
    )


def _roused(row: AgentRow) -> dict[str, Any]:
    """Return what ends an agent's rest, during which its due times were left out."""
    values: dict[str, Any] = {"rest_until": None, "error_count": 0, "last_error": None}
    if row.rest_until is not None and row.timing is not None:
        timing = Timing.model_validate(row.timing)
        values["next_at"] = timing.following(now(), row.created_at)
    return values


def _changes(patch: AgentPatch, row: AgentRow) -> dict[str, Any]:
    given = patch.model_dump(exclude_unset=True, exclude={"task", "timing"})
    values: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None or name in _MAY_BE_NULL
    }
    if patch.task is not None:
        values["task"] = _stored(patch.task)
    if "timing" in patch.model_fields_set:
        values["timing"] = patch.timing.model_dump(mode="json") if patch.timing else None
        values["next_at"] = _first(patch.timing, now(), row.created_at)
    return values


def _stored(task: AgentTask) -> dict[str, Any]:
    return task.model_dump(mode="json", exclude_unset=True)


def _first(timing: Timing | None, moment: datetime, anchor: datetime) -> datetime | None:
    if timing is None:
        return None
    first = timing.following(moment, anchor)
    if first is None:
        message = "expected a time that is still to come"
        raise InvalidInputError.of("timing.at", message)
    return first


def _locked(connection: Connection, agent_id: str, namespace: str) -> AgentRow:
    return _there(standing.lock(connection, agent_id, namespace), agent_id)


def _there(row: AgentRow | None, agent_id: str) -> AgentRow:
    if row is None:
        message = f"there is no agent {agent_id[:100]!r}"
        raise NotFoundError(message)
    return row
