"""Read and write namespaces, and hold them to their quotas."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from app.db import audit
from app.db.access_tables import api_keys, namespaces
from app.db.agents_tables import agents
from app.db.automation_tables import schedules, webhooks
from app.db.tables import files, model_calls, tasks
from app.db.types import now
from app.errors import TooManyError
from memory.tables import entries
from models.messages import JsonObject

_SOON_S = 15
"""When to ask again for a place among the tasks that are worked on."""


@dataclass(frozen=True, kw_only=True)
class NamespaceRow:
    """A namespace with what it may use; None means no bound."""

    name: str
    tasks_per_day: int | None = None
    tasks_at_once: int | None = None
    """Tasks that are queued or running."""
    usd_per_day: float | None = None
    stored_bytes: int | None = None
    retention_days: int | None = None
    approval: JsonObject | None = None
    """Rules for approvals of all its tasks."""
    created_at: datetime


def add(connection: Connection, row: NamespaceRow) -> bool:
    """Make a namespace; False when there is one of that name."""
    if get(connection, row.name) is not None:
        return False
    connection.execute(insert(namespaces).values(**vars(row)))
    audit.note(connection, "namespace.created", row.name, namespace=row.name)
    return True


def get(connection: Connection, name: str, *, lock: bool = False) -> NamespaceRow | None:
    """Return a namespace, or None; with `lock` nobody else changes or admits meanwhile."""
    statement = select(namespaces).where(namespaces.c.name == name)
    if lock:
        statement = statement.with_for_update()
    row = connection.execute(statement).mappings().first()
    return None if row is None else NamespaceRow(**row)


def approval_of(connection: Connection, name: str) -> JsonObject | None:
    """Return a namespace's rules for approvals, as they are stored."""
    return connection.execute(
        select(namespaces.c.approval).where(namespaces.c.name == name)
    ).scalar_one_or_none()


def find(connection: Connection) -> list[NamespaceRow]:
    """Return every namespace by name."""
    statement = select(namespaces).order_by(namespaces.c.name)
    return [NamespaceRow(**row) for row in connection.execute(statement).mappings()]


def change(connection: Connection, name: str, values: dict[str, Any]) -> NamespaceRow | None:
    """Change what a namespace may use; None when there is none of that name."""
    if values:
        connection.execute(update(namespaces).where(namespaces.c.name == name).values(**values))
    row = get(connection, name)
    if row is not None:
        audit.note(connection, "namespace.changed", name, namespace=name)
    return row


def remove(connection: Connection, name: str) -> str:
    """Remove an empty namespace and its revoked keys; return what it still holds, if anything."""
    get(connection, name, lock=True)
    live = select(api_keys.c.id).where(
        api_keys.c.namespace == name, api_keys.c.revoked_at.is_(None)
    )
    for what, statement in (
        ("tasks", select(tasks.c.id).where(tasks.c.namespace == name)),
        ("files", select(files.c.id).where(files.c.namespace == name)),
        ("memory", select(entries.c.id).where(entries.c.namespace == name)),
        ("schedules", select(schedules.c.id).where(schedules.c.namespace == name)),
        ("webhooks", select(webhooks.c.id).where(webhooks.c.namespace == name)),
        ("agents", select(agents.c.id).where(agents.c.namespace == name)),
        ("keys", live),
    ):
        if connection.execute(statement.limit(1)).first() is not None:
            return what
    connection.execute(delete(namespaces).where(namespaces.c.name == name))
    audit.note(connection, "namespace.removed", name, namespace=name)
    return ""


def admit_task(connection: Connection, name: str) -> None:
    """Refuse a new task when the namespace has used up what it may.

    Raises:
        TooManyError: a quota is reached.
    """
    row = get(connection, name)
    if row is None or (row.tasks_per_day, row.tasks_at_once, row.usd_per_day) == (None,) * 3:
        return
    row = get(connection, name, lock=True) or row
    day = now().replace(hour=0, minute=0, second=0, microsecond=0)
    until_midnight = int((day + timedelta(days=1) - now()).total_seconds()) + 1
    mine = tasks.c.namespace == name
    counted = select(func.count()).select_from(tasks).where(mine)
    if row.tasks_at_once is not None:
        live = connection.execute(
            counted.where(tasks.c.status.in_(("queued", "running")))
        ).scalar_one()
        if live >= row.tasks_at_once:
            raise _refused(name, f"{row.tasks_at_once} tasks at once", _SOON_S)
    if row.tasks_per_day is not None:
        today = connection.execute(counted.where(tasks.c.created_at >= day)).scalar_one()
        if today >= row.tasks_per_day:
            raise _refused(name, f"{row.tasks_per_day} tasks a day", until_midnight)
    if row.usd_per_day is not None:
        spent = connection.execute(
            select(func.coalesce(func.sum(model_calls.c.usd), 0.0))
            .join(tasks, tasks.c.id == model_calls.c.task_id)
            .where(mine, model_calls.c.at >= day)
        ).scalar_one()
        if spent >= row.usd_per_day:
            raise _refused(name, f"${row.usd_per_day:g} a day", until_midnight)


def admit_bytes(connection: Connection, name: str, size: int) -> None:
    """Refuse a file when the namespace holds as much as it may.

    Raises:
        TooManyError: the quota is reached.
    """
    row = get(connection, name)
    if row is None or row.stored_bytes is None:
        return
    get(connection, name, lock=True)
    held = connection.execute(
        select(func.coalesce(func.sum(files.c.size), 0)).where(files.c.namespace == name)
    ).scalar_one()
    if held + size > row.stored_bytes:
        raise _refused(name, f"{row.stored_bytes} bytes of files", 3600)


def _refused(name: str, what: str, retry_after_s: int) -> TooManyError:
    message = f"the namespace {name!r} may have {what}, and has them; try again later"
    return TooManyError(message, retry_after_s=retry_after_s)
