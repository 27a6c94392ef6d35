"""Read and write webhooks and their deliveries; a delivery is made with the fact that it tells."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from app.db.automation_tables import deliveries, webhooks
from app.db.records import columns
from app.db.tables import tasks
from app.db.types import now
from models.messages import JsonObject


@dataclass(frozen=True, kw_only=True)
class WebhookRow:
    """A webhook as it stands."""

    id: str
    namespace: str
    url: str
    statuses: list[str]
    """Statuses of tasks and news of agents that are told; all of them when empty."""
    secret: str
    enabled: bool = True
    disabled_because: str | None = None
    created_by: str | None = None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One message to a webhook."""

    id: str
    webhook_id: str
    task_id: str | None
    body: JsonObject
    state: str
    """`pending`, `delivered` or `dead`."""
    attempts: int
    next_at: datetime | None
    response_status: int | None = None
    last_error: str | None = None
    created_at: datetime
    settled_at: datetime | None = None


def add(connection: Connection, row: WebhookRow) -> None:
    """Insert a webhook."""
    connection.execute(insert(webhooks).values(**vars(row)))


def get(connection: Connection, webhook_id: str, namespace: str | None = None) -> WebhookRow | None:
    """Return a webhook, of the namespace if one is named, or None."""
    statement = select(webhooks).where(webhooks.c.id == webhook_id)
    if namespace is not None:
        statement = statement.where(webhooks.c.namespace == namespace)
    row = connection.execute(statement).mappings().first()
    return None if row is None else WebhookRow(**columns(row))


def find(
    connection: Connection, namespace: str, before: tuple[datetime, str] | None, limit: int
) -> list[WebhookRow]:
    """Return a page of webhooks, newest first."""
    statement = select(webhooks).where(webhooks.c.namespace == namespace)
    if before is not None:
        at, id_ = before
        same = and_(webhooks.c.created_at == at, webhooks.c.id < id_)
        statement = statement.where(or_(webhooks.c.created_at < at, same))
    page = statement.order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc()).limit(limit)
    return [WebhookRow(**columns(row)) for row in connection.execute(page).mappings()]


def remove(connection: Connection, webhook_id: str) -> None:
    """Delete a webhook and its deliveries."""
    connection.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


def disable(connection: Connection, webhook_id: str, because: str) -> None:
    """Send nothing more to a webhook; what waits for it is dead."""
    values: dict[str, Any] = {"enabled": False, "disabled_because": because}
    connection.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(**values))
    waits = (deliveries.c.webhook_id == webhook_id) & (deliveries.c.state == "pending")
    gone = {"state": "dead", "next_at": None, "last_error": because, "settled_at": now()}
    connection.execute(update(deliveries).where(waits).values(**gone))


def tell(connection: Connection, task_id: str, seq: int, data: JsonObject) -> None:
    """Make the deliveries of a task's new status, in the transaction of that status."""
    mine = (webhooks.c.namespace == tasks.c.namespace) & webhooks.c.enabled.is_(True)
    statement = (
        select(webhooks.c.id, webhooks.c.statuses, tasks.c.namespace)
        .join(tasks, mine)
        .where(tasks.c.id == task_id)
    )
    status = data.get("status")
    for row in connection.execute(statement).all():
        if not row.statuses or status in row.statuses:
            told = {"task_id": task_id, "namespace": row.namespace, "seq": seq, "status": status}
            told["end_reason"] = data.get("end_reason")
            queue(connection, row.id, f"task.{status}", told, task_id)


def tell_news(connection: Connection, namespace: str, kind: str, data: JsonObject) -> None:
    """Make the deliveries of news that are no task's status, for those who want them."""
    mine = (webhooks.c.namespace == namespace) & webhooks.c.enabled.is_(True)
    for row in connection.execute(select(webhooks.c.id, webhooks.c.statuses).where(mine)).all():
        if not row.statuses or kind in row.statuses:
            queue(connection, row.id, kind, data, None)


def queue(
    connection: Connection, webhook_id: str, kind: str, data: JsonObject, task_id: str | None
) -> str:
    """Make a delivery, due at once, and return its id."""
    moment, delivery_id = now(), f"d_{uuid.uuid4().hex}"
    body = {"type": kind, "timestamp": moment.isoformat(), "data": data}
    row = DeliveryRow(
        id=delivery_id,
        webhook_id=webhook_id,
        task_id=task_id,
        body=body,
        state="pending",
        attempts=0,
        next_at=moment,
        created_at=moment,
    )
    connection.execute(insert(deliveries).values(**vars(row)))
    return delivery_id


def take(
    connection: Connection, moment: datetime, lease_s: float
) -> tuple[DeliveryRow, WebhookRow] | None:
    """Take the delivery that is most overdue; nobody else takes it while the lease lasts."""
    due = (deliveries.c.state == "pending") & (deliveries.c.next_at <= moment)
    first = select(deliveries.c.id).where(due).order_by(deliveries.c.next_at).limit(1)
    if connection.dialect.name == "postgresql":
        first = first.with_for_update(skip_locked=True)
    statement = (
        update(deliveries)
        .where(deliveries.c.id == first.scalar_subquery(), due)
        .values(attempts=deliveries.c.attempts + 1, next_at=moment + timedelta(seconds=lease_s))
        .returning(*deliveries.c)
    )
    row = connection.execute(statement).mappings().first()
    if row is None:
        return None
    taken = DeliveryRow(**columns(row))
    hook = get(connection, taken.webhook_id)
    return None if hook is None else (taken, hook)


def settle(connection: Connection, taken: DeliveryRow, values: dict[str, Any]) -> None:
    """Write what came of a try, unless the lease was over and another has tried since."""
    mine = (deliveries.c.id == taken.id) & (deliveries.c.attempts == taken.attempts)
    connection.execute(
        update(deliveries).where(mine, deliveries.c.state == "pending").values(**values)
    )


def again(connection: Connection, webhook_id: str, delivery_id: str) -> DeliveryRow | None:
    """Make a delivery due at once, settled or not; None when the webhook has none of that id."""
    mine = (deliveries.c.id == delivery_id) & (deliveries.c.webhook_id == webhook_id)
    due: dict[str, Any] = {"state": "pending", "next_at": now(), "settled_at": None}
    statement = update(deliveries).where(mine).values(**due).returning(*deliveries.c)
    row = connection.execute(statement).mappings().first()
    return None if row is None else DeliveryRow(**columns(row))


def of_webhook(
    connection: Connection, webhook_id: str, before: tuple[datetime, str] | None, limit: int
) -> list[DeliveryRow]:
    """Return a page of a webhook's deliveries, newest first."""
    statement = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if before is not None:
        at, id_ = before
        same = and_(deliveries.c.created_at == at, deliveries.c.id < id_)
        statement = statement.where(or_(deliveries.c.created_at < at, same))
    page = statement.order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc()).limit(limit)
    return [DeliveryRow(**columns(row)) for row in connection.execute(page).mappings()]


def next_due(connection: Connection) -> datetime | None:
    """Return when the next delivery is due."""
    statement = select(func.min(deliveries.c.next_at)).where(deliveries.c.state == "pending")
    return connection.execute(statement).scalar()
