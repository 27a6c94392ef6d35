"""Remove what finished tasks left, once it is old; the tasks themselves stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, func, or_, select, tuple_, update

from app.db.access_tables import audit_log, namespaces
from app.db.agents_tables import agent_messages, agents
from app.db.automation_tables import deliveries, occurrences
from app.db.records import TERMINAL
from app.db.steering_tables import approvals, messages
from app.db.tables import events, files, idempotency_keys, steps, tasks, tool_calls
from memory.tables import evidence

BATCH = 100
"""Tasks, files or lines of one transaction, so that nobody waits for long."""


@dataclass(frozen=True)
class Rules:
    """After how many days things are removed; None keeps them."""

    task_days: int | None = None
    """For namespaces that do not say so themselves."""
    idempotency_days: int = 30
    audit_days: int | None = None
    record_days: int = 30
    """For what came of due times and of messages to webhooks."""


def cutoffs(connection: Connection, rules: Rules, moment: datetime) -> dict[str, datetime]:
    """Return since when things are kept, by namespace; those that keep all are left out."""
    rows = connection.execute(select(namespaces.c.name, namespaces.c.retention_days))
    days = {row.name: row.retention_days or rules.task_days for row in rows}
    return {name: moment - timedelta(days=kept) for name, kept in days.items() if kept}


def clear_tasks(connection: Connection, namespace: str, since: datetime) -> list[str]:
    """Remove events, steps, calls and words of some tasks that ended before; return which."""
    ids = list(
        connection.execute(
            select(tasks.c.id)
            .where(
                tasks.c.namespace == namespace,
                tasks.c.status.in_(TERMINAL),
                tasks.c.learning != "pending",
                tasks.c.finished_at < since,
                exists().where(events.c.task_id == tasks.c.id),
            )
            .order_by(tasks.c.finished_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).scalars()
    )
    if ids:
        # The steps that a lesson was drawn from stay: they are its provenance.
        witness = exists().where(evidence.c.run_id == steps.c.run_id)
        connection.execute(delete(steps).where(steps.c.task_id.in_(ids), ~witness))
        for table in (events, messages, approvals):
            connection.execute(delete(table).where(table.c.task_id.in_(ids)))
        _blank_calls(connection, ids)
    return ids


def _blank_calls(connection: Connection, ids: Sequence[str]) -> None:
    """Remove what calls were about; that they were made is counted for good."""
    mine = tool_calls.c.task_id.in_(ids)
    ok = func.coalesce(tool_calls.c.record["ok"].as_boolean(), False)
    for kept in (True, False):
        values = {"arguments": {}, "record": {"ok": kept}}
        which = update(tool_calls).where(mine, tool_calls.c.settled, ok if kept else ~ok)
        connection.execute(which.values(**values))
    connection.execute(update(tool_calls).where(mine, ~tool_calls.c.settled).values(arguments={}))


def clear_inboxes(connection: Connection, namespace: str, since: datetime) -> int:
    """Forget some of what agents were told and have taken in; return how many messages."""
    newer = agent_messages.alias()
    own = agent_messages.c
    old = connection.execute(
        select(own.agent_id, own.seq)
        .join(agents, agents.c.id == own.agent_id)
        .where(
            agents.c.namespace == namespace,
            own.task_id.is_not(None),
            own.created_at < since,
            # The newest stays: the next one is numbered after it.
            exists().where(newer.c.agent_id == own.agent_id, newer.c.seq > own.seq),
        )
        .limit(BATCH)
    ).all()
    if old:
        which = tuple_(own.agent_id, own.seq).in_([(row.agent_id, row.seq) for row in old])
        connection.execute(delete(agent_messages).where(which))
    return len(old)


def clear_deliveries(connection: Connection, since: datetime) -> int:
    """Forget some settled messages to webhooks; return how many."""
    old = select(deliveries.c.id).where(deliveries.c.settled_at < since).limit(BATCH)
    ids = list(connection.execute(old).scalars())
    if ids:
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return len(ids)


def clear_occurrences(connection: Connection, since: datetime) -> int:
    """Forget what came of some due times; return of how many."""
    own = occurrences.c
    old = connection.execute(
        select(own.schedule_id, own.due_at).where(own.due_at < since).limit(BATCH)
    ).all()
    if old:
        which = tuple_(own.schedule_id, own.due_at).in_([tuple(row) for row in old])
        connection.execute(delete(occurrences).where(which))
    return len(old)


def clear_files(connection: Connection, namespace: str, since: datetime) -> list[str]:
    """Forget some uploaded files that no task needs; return which."""
    needing = select(tasks.c.files).where(
        tasks.c.namespace == namespace,
        or_(
            tasks.c.status.not_in(TERMINAL),
            tasks.c.learning == "pending",
            tasks.c.finished_at >= since,
        ),
    )
    needed = {file["id"] for row in connection.execute(needing).scalars() for file in row}
    old = select(files.c.id).where(files.c.namespace == namespace, files.c.created_at < since)
    ids = [file_id for file_id in connection.execute(old).scalars() if file_id not in needed]
    if ids[:BATCH]:
        connection.execute(delete(files).where(files.c.id.in_(ids[:BATCH])))
    return ids[:BATCH]


def clear_keys(connection: Connection, since: datetime) -> int:
    """Forget some old idempotency keys; return how many."""
    own = idempotency_keys.c
    old = connection.execute(
        select(own.namespace, own.key).where(own.created_at < since).limit(BATCH)
    ).all()
    return _drop(connection, [(row.namespace, row.key) for row in old])


def _drop(connection: Connection, keys: Sequence[tuple[str, str]]) -> int:
    if keys:
        own = idempotency_keys.c
        connection.execute(delete(idempotency_keys).where(tuple_(own.namespace, own.key).in_(keys)))
    return len(keys)


def clear_audit(connection: Connection, since: datetime) -> int:
    """Remove some old lines of the audit log; return how many."""
    ids = list(
        connection.execute(
            select(audit_log.c.id).where(audit_log.c.at < since).limit(BATCH)
        ).scalars()
    )
    if ids:
        connection.execute(delete(audit_log).where(audit_log.c.id.in_(ids)))
    return len(ids)
