"""Remove what finished tasks left, once it is old; the tasks themselves stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, exists, or_, select, tuple_

from app.db.access_tables import audit_log, namespaces
from app.db.records import TERMINAL
from app.db.tables import events, files, idempotency_keys, steps, tasks
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


def cutoffs(connection: Connection, rules: Rules, moment: datetime) -> dict[str, datetime]:
    """Return since when things are kept, by namespace; those that keep all are left out."""
    rows = connection.execute(select(namespaces.c.name, namespaces.c.retention_days))
    days = {row.name: row.retention_days or rules.task_days for row in rows}
    return {name: moment - timedelta(days=kept) for name, kept in days.items() if kept}


def clear_tasks(connection: Connection, namespace: str, since: datetime) -> list[str]:
    """Remove events and steps of some tasks that ended before; return which tasks."""
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
        connection.execute(delete(events).where(events.c.task_id.in_(ids)))
    return ids


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
