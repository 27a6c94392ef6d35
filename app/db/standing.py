"""Read and write standing agents and their inboxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from app.db.agents_tables import agent_messages, agents
from app.db.records import TERMINAL, Status, columns
from app.db.tables import model_calls, tasks
from models.messages import JsonObject


@dataclass(frozen=True, kw_only=True)
class AgentRow:
    """A standing agent as it stands."""

    id: str
    namespace: str
    name: str
    instruction: str
    task: JsonObject
    """What beside the instruction its tasks are made from."""
    timing: JsonObject | None = None
    """None when it wakes only for messages, or when it is asked to."""
    usd_per_day: float | None = None
    tokens_per_day: int | None = None
    wakes_per_day: int | None = None
    wake_on_message: bool = True
    paused: bool = False
    wanted: bool = False
    """Whether it is to wake as soon as it can, due or not."""
    next_at: datetime | None = None
    rest_until: datetime | None = None
    """It is not woken before, since something was refused or used up."""
    last_at: datetime | None = None
    last_task_id: str | None = None
    error_count: int = 0
    """Wake-ups in a row that came to nothing."""
    last_error: str | None = None
    created_by: str | None = None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class AgentMessageRow:
    """Something that an agent is told."""

    agent_id: str
    seq: int
    text: str
    created_by: str | None = None
    created_at: datetime
    task_id: str | None = None
    """The wake-up that took it in; None while it waits."""


@dataclass(frozen=True)
class LiveTask:
    """The wake-up that is not over."""

    id: str
    status: Status


@dataclass(frozen=True)
class Spent:
    """What an agent has used since some moment."""

    usd: float
    tokens: int
    wakes: int


def add(connection: Connection, row: AgentRow) -> None:
    """Keep a new agent."""
    connection.execute(insert(agents).values(**vars(row)))


def count(connection: Connection, namespace: str) -> int:
    """Return how many agents a namespace has."""
    mine = select(func.count()).where(agents.c.namespace == namespace)
    return int(connection.execute(mine).scalar_one())


def get(connection: Connection, agent_id: str, namespace: str) -> AgentRow | None:
    """Return an agent of the namespace, or None."""
    mine = (agents.c.id == agent_id) & (agents.c.namespace == namespace)
    row = connection.execute(select(agents).where(mine)).mappings().first()
    return None if row is None else AgentRow(**columns(row))


def lock(connection: Connection, agent_id: str, namespace: str) -> AgentRow | None:
    """Return an agent of the namespace, locked for this transaction, or None."""
    return _locked(connection, (agents.c.id == agent_id) & (agents.c.namespace == namespace))


def lock_ready(connection: Connection, agent_id: str, moment: datetime) -> AgentRow | None:
    """Return an agent that is to wake still, locked for this transaction, or None."""
    return _locked(connection, (agents.c.id == agent_id) & _ready(moment))


def _locked(connection: Connection, which: ColumnElement[bool]) -> AgentRow | None:
    statement = update(agents).where(which).values(paused=agents.c.paused).returning(*agents.c)
    row = connection.execute(statement).mappings().first()
    return None if row is None else AgentRow(**columns(row))


def find(
    connection: Connection, namespace: str, before: tuple[datetime, str] | None, limit: int
) -> list[AgentRow]:
    """Return a page of agents, newest first."""
    statement = select(agents).where(agents.c.namespace == namespace)
    if before is not None:
        at, id_ = before
        same = and_(agents.c.created_at == at, agents.c.id < id_)
        statement = statement.where(or_(agents.c.created_at < at, same))
    page = statement.order_by(agents.c.created_at.desc(), agents.c.id.desc()).limit(limit)
    return [AgentRow(**columns(row)) for row in connection.execute(page).mappings()]


def change(connection: Connection, agent_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a locked agent."""
    if values:
        connection.execute(update(agents).where(agents.c.id == agent_id).values(**values))


def remove(connection: Connection, agent_id: str) -> None:
    """Delete an agent and its inbox; its tasks stay."""
    connection.execute(delete(agent_messages).where(agent_messages.c.agent_id == agent_id))
    connection.execute(delete(agents).where(agents.c.id == agent_id))


def _ready(moment: datetime) -> ColumnElement[bool]:
    return and_(
        agents.c.paused.is_(False),
        or_(agents.c.rest_until.is_(None), agents.c.rest_until <= moment),
        or_(agents.c.wanted.is_(True), agents.c.next_at <= moment),
    )


def ready(connection: Connection, moment: datetime, limit: int) -> list[str]:
    """Return the ids of agents that are to wake; wanted ones only when they do not work."""
    works = exists().where(tasks.c.agent_id == agents.c.id, tasks.c.status.not_in(TERMINAL))
    statement = (
        select(agents.c.id)
        .where(_ready(moment), or_(agents.c.next_at <= moment, ~works))
        .order_by(agents.c.next_at, agents.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def next_due(connection: Connection) -> datetime | None:
    """Return when the next agent is due."""
    statement = select(func.min(agents.c.next_at)).where(agents.c.paused.is_(False))
    return connection.execute(statement).scalar()


def live(connection: Connection, agent_id: str) -> list[LiveTask]:
    """Return the agent's tasks that are not over; more than one only after a retry by hand."""
    statement = (
        select(tasks.c.id, tasks.c.status)
        .where(tasks.c.agent_id == agent_id, tasks.c.status.not_in(TERMINAL))
        .order_by(tasks.c.created_at)
    )
    return [LiveTask(row.id, row.status) for row in connection.execute(statement)]


def spent(connection: Connection, agent_id: str, since: datetime) -> Spent:
    """Return what an agent has used since a moment."""
    tokens = model_calls.c.prompt_tokens + model_calls.c.completion_tokens
    calls = (
        select(
            func.coalesce(func.sum(model_calls.c.usd), 0.0).label("usd"),
            func.coalesce(func.sum(tokens), 0).label("tokens"),
        )
        .join(tasks, tasks.c.id == model_calls.c.task_id)
        .where(tasks.c.agent_id == agent_id, model_calls.c.at >= since)
    )
    wakes = select(func.count()).where(tasks.c.agent_id == agent_id, tasks.c.created_at >= since)
    used = connection.execute(calls).one()
    return Spent(
        usd=float(used.usd),
        tokens=int(used.tokens),
        wakes=int(connection.execute(wakes).scalar_one()),
    )


def failures(connection: Connection, agent_id: str, most: int, *, without: str = "") -> int:
    """Return how many of an agent's newest wake-ups failed in a row, up to some number."""
    mine = (tasks.c.agent_id == agent_id) & tasks.c.status.in_(TERMINAL) & (tasks.c.id != without)
    newest = select(tasks.c.status).where(mine).order_by(tasks.c.created_at.desc()).limit(most)
    statuses = list(connection.execute(newest).scalars())
    return next((at for at, one in enumerate(statuses) if one != "failed"), len(statuses))


def tell(connection: Connection, row: AgentMessageRow) -> AgentMessageRow:
    """Put a message into the inbox of a locked agent; return it with its number."""
    newest = select(func.coalesce(func.max(agent_messages.c.seq), 0)).where(
        agent_messages.c.agent_id == row.agent_id
    )
    told = AgentMessageRow(**{**vars(row), "seq": connection.execute(newest).scalar_one() + 1})
    connection.execute(insert(agent_messages).values(**vars(told)))
    return told


def waiting(connection: Connection, agent_id: str, limit: int) -> list[AgentMessageRow]:
    """Return messages that no wake-up has taken in, oldest first."""
    statement = (
        select(agent_messages)
        .where(agent_messages.c.agent_id == agent_id, agent_messages.c.task_id.is_(None))
        .order_by(agent_messages.c.seq)
        .limit(limit)
    )
    return [AgentMessageRow(**columns(row)) for row in connection.execute(statement).mappings()]


def count_waiting(connection: Connection, agent_id: str) -> int:
    """Return how many messages wait."""
    statement = select(func.count()).where(
        agent_messages.c.agent_id == agent_id, agent_messages.c.task_id.is_(None)
    )
    return int(connection.execute(statement).scalar_one())


def take_in(connection: Connection, agent_id: str, seqs: Sequence[int], task_id: str) -> None:
    """Note which wake-up took messages in."""
    mine = and_(agent_messages.c.agent_id == agent_id, agent_messages.c.seq.in_(seqs))
    connection.execute(update(agent_messages).where(mine).values(task_id=task_id))


def inbox(
    connection: Connection, agent_id: str, before: int | None, limit: int
) -> list[AgentMessageRow]:
    """Return a page of what an agent was told, newest first."""
    statement = select(agent_messages).where(agent_messages.c.agent_id == agent_id)
    if before is not None:
        statement = statement.where(agent_messages.c.seq < before)
    page = statement.order_by(agent_messages.c.seq.desc()).limit(limit)
    return [AgentMessageRow(**columns(row)) for row in connection.execute(page).mappings()]
