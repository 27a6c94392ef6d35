"""Wake standing agents: each wake-up is one ordinary task, and never two at once."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.day import UNREADABLE, DaySpentError, used_of_day, within_day
from app.db import alarms, standing, tasks
from app.db.claims import Enqueue
from app.db.records import TaskRow
from app.db.standing import AgentMessageRow, AgentRow
from app.db.types import now
from app.engine import Engine
from app.errors import TooManyError
from app.family import family_of
from app.making import create, new_task
from app.naps import Nap
from app.schemas import TaskRequest
from app.timing import Timing
from memory.database import Database

_LOG = logging.getLogger(__name__)
_LONGEST_NAP_S = 5.0
"""How soon an agent that another process made, changed or told something is noticed."""
_AT_ONCE = 50
_MOST_MESSAGES = 20
_MOST_MESSAGE_CHARS = 8000
"""Of the messages that one wake-up takes in."""
_MOST_REPORT_CHARS = 4000
_REST_S = 300
"""The longest rest after a refusal by the namespace, whose quotas may be changed meanwhile."""
_MANY_REFUSALS = 3
"""By a quota, which may well be free again soon, until webhooks are told."""
Clock = Callable[[], datetime]


class Rouser:
    """Wakes agents that are due, told something, or asked to; any number of processes may."""

    def __init__(self, database: Database, engine: Engine, clock: Clock = now) -> None:
        self._database = database
        self._engine = engine
        self._clock = clock
        self._nap = Nap()

    def look(self) -> None:
        """Look at once: an agent was made, changed or told something."""
        self._nap.look()

    async def run(self) -> None:
        """Wake agents until cancelled, asleep while nothing is due."""
        while True:
            self._nap.begin()
            nap_s = _LONGEST_NAP_S
            try:
                if len(await self.tick()) == _AT_ONCE:
                    continue
                next_at = await self._database.read(standing.next_due)
                if next_at is not None and next_at > self._clock():
                    nap_s = min(nap_s, (next_at - self._clock()).total_seconds())
            except (SQLAlchemyError, OSError) as error:
                _LOG.error("agents cannot be looked at, trying again: %s", error)
            await self._nap.rest(nap_s)

    async def tick(self) -> list[str]:
        """Wake what is to wake now and return the ids of the tasks."""
        moment = self._clock()
        found = partial(standing.ready, moment=moment, limit=_AT_ONCE)
        made: list[str] = []
        for agent_id in await self._database.read(found):
            try:
                work = partial(
                    rouse, agent_id=agent_id, moment=moment, enqueue=self._engine.enqueue
                )
                task_id = await self._database.run(work)
            except SQLAlchemyError:
                raise
            except Exception:  # noqa: BLE001 - the edge of an agent: the others must go on
                _LOG.exception("agent %s failed by a fault of Strop", agent_id)
                continue
            if task_id is not None:
                made.append(task_id)
                await self._engine.submit(task_id)
        return made


def rouse(connection: Connection, agent_id: str, moment: datetime, enqueue: Enqueue) -> str | None:
    """Wake an agent if it still is to wake and does not work; return the task's id."""
    row = standing.lock_ready(connection, agent_id, moment)
    if row is None:
        return None
    due = row.next_at is not None and row.next_at <= moment
    values: dict[str, Any] = {"next_at": _next(row, moment)} if due else {}
    task_id: str | None = None
    if not standing.live(connection, row.id):
        try:
            task, messages = _woken(connection, row, moment, due=due)
            with connection.begin_nested():
                create(connection, task, enqueue)
        except TooManyError as refused:
            values |= _refused(row, moment, refused)
            before = 0 if isinstance(refused, DaySpentError) else _MANY_REFUSALS - 1
            if row.error_count == before:
                alarms.rests(connection, replace(row, **values))
        else:
            task_id = task.id
            seqs = [message.seq for message in messages]
            standing.take_in(connection, row.id, seqs, task_id)
            values |= _awake(connection, row, moment, task_id)
    standing.change(connection, row.id, values)
    return task_id


def _next(row: AgentRow, moment: datetime) -> datetime | None:
    if row.timing is None:
        return None
    return Timing.model_validate(row.timing).following(moment, row.created_at)


def _awake(connection: Connection, row: AgentRow, moment: datetime, task_id: str) -> dict[str, Any]:
    more = row.wake_on_message and standing.count_waiting(connection, row.id) > 0
    return {
        "wanted": more,
        "rest_until": None,
        "last_at": moment,
        "last_task_id": task_id,
        "error_count": 0,
        "last_error": None,
    }


def _refused(row: AgentRow, moment: datetime, refused: TooManyError) -> dict[str, Any]:
    own = isinstance(refused, DaySpentError)
    rest_s = refused.retry_after_s if own else min(refused.retry_after_s, _REST_S)
    rest_until = moment + timedelta(seconds=rest_s)
    values: dict[str, Any] = {
        "rest_until": rest_until,
        "error_count": row.error_count + 1,
        "last_error": str(refused),
    }
    if row.timing is not None:
        # What comes due meanwhile is left out, but for what is due only once.
        values["next_at"] = _next(row, rest_until)
        values["wanted"] = row.wanted or values["next_at"] is None
    return values


def _woken(
    connection: Connection, row: AgentRow, moment: datetime, *, due: bool
) -> tuple[TaskRow, list[AgentMessageRow]]:
    """Return the task of a wake-up, and the messages that it takes in.

    Raises:
        TooManyError: the agent has used up its day.
    """
    used = used_of_day(connection, row, moment)
    messages = _fitting(standing.waiting(connection, row.id, _MOST_MESSAGES))
    woken_by = "schedule" if due else "message" if messages else "request"
    inputs: dict[str, Any] = {"woken_by": woken_by, "woken_at": moment.isoformat()}
    if (report := _last_report(connection, row)) is not None:
        inputs["last_report"] = report
    fields = {**row.task, "instruction": _said(row, messages), "inputs": inputs}
    try:
        request = TaskRequest.model_validate(fields)
    except ValidationError:
        # Written by another version; nothing here mends it, and it must not be tried all day.
        raise TooManyError(UNREADABLE, retry_after_s=_REST_S) from None
    task = new_task(request, (), row.namespace, row.created_by)
    return (
        replace(
            task,
            agent_id=row.id,
            family=family_of(row.instruction, []),
            budget=within_day(task.budget, row, used),
            task_metadata={"agent": {"id": row.id, "name": row.name, "woken_by": woken_by}},
        ),
        messages,
    )


def _fitting(messages: list[AgentMessageRow]) -> list[AgentMessageRow]:
    """Return the oldest messages that fit together; the first always does."""
    taken, chars = messages[:1], len(messages[0].text) if messages else 0
    for message in messages[1:]:
        chars += len(message.text)
        if chars > _MOST_MESSAGE_CHARS:
            break
        taken.append(message)
    return taken


def _said(row: AgentRow, messages: list[AgentMessageRow]) -> str:
    if not messages:
        return row.instruction
    told = "\n".join(f"{n}. {message.text}" for n, message in enumerate(messages, 1))
    return f"{row.instruction}\n\nYou were told since you last woke, oldest first:\n{told}"


def _last_report(connection: Connection, row: AgentRow) -> dict[str, Any] | None:
    """Return what the wake-up before came to: data for the model, not words to obey."""
    last = tasks.get(connection, row.last_task_id) if row.last_task_id else None
    if last is None:
        return None
    text = (last.answer or last.error or "")[:_MOST_REPORT_CHARS]
    at = last.finished_at.isoformat() if last.finished_at else None
    return {"status": last.status, "text": text, "finished_at": at}
