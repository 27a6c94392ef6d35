"""What the API takes and gives about webhooks."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.db.records import Status
from app.db.webhooks import DeliveryRow, WebhookRow
from app.schemas import Shape, Text
from models.messages import JsonObject

News = Literal["agent.resting", "agent.failing"]
"""A standing agent rests, since its day or a quota is used up; or fails again and again."""


class WebhookRequest(Shape):
    """A place that wants to be told."""

    url: Text = Field(min_length=8, max_length=2000)
    statuses: tuple[Status | News, ...] = Field(default=(), max_length=11)
    """Statuses of tasks and news of standing agents that are told; all of them when empty."""


class WebhookView(BaseModel):
    """A webhook, without its secret."""

    id: str
    namespace: str
    url: str
    statuses: list[str]
    enabled: bool
    disabled_because: str | None
    created_at: datetime


class NewWebhook(WebhookView):
    """A webhook just made, with the secret that is shown this once."""

    secret: str
    """Signs each delivery: HMAC-SHA256, as Standard Webhooks describes it."""


class WebhookPage(BaseModel):
    """Some webhooks, newest first."""

    items: list[WebhookView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


class DeliveryView(BaseModel):
    """One message to a webhook."""

    id: str
    """The same at every try; also the header `webhook-id`."""
    task_id: str | None
    body: JsonObject
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    next_at: datetime | None
    """When it is tried again."""
    response_status: int | None
    last_error: str | None
    created_at: datetime
    settled_at: datetime | None


class DeliveryPage(BaseModel):
    """Some deliveries, newest first."""

    items: list[DeliveryView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


def webhook_view(row: WebhookRow) -> WebhookView:
    """Return a webhook as the API gives it."""
    return WebhookView.model_validate(row, from_attributes=True)


def delivery_view(row: DeliveryRow) -> DeliveryView:
    """Return a delivery as the API gives it."""
    return DeliveryView.model_validate(row, from_attributes=True)
