"""The service for webhooks: who wants to be told, and what became of telling them."""

import base64
import secrets
import uuid
from collections.abc import Collection
from functools import partial

from sqlalchemy import Connection

from app.callers import Caller
from app.cursors import page_of, position_of
from app.db import audit, webhooks
from app.db.types import now
from app.db.webhooks import WebhookRow
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.posting import PostError, check_url
from app.schemas_webhooks import (
    DeliveryPage,
    DeliveryView,
    NewWebhook,
    WebhookPage,
    WebhookRequest,
    WebhookView,
    delivery_view,
    webhook_view,
)
from app.sender import Sender
from memory.database import Database

MAX_WEBHOOKS = 50
"""In one namespace: each status of each task is written down for each of them."""


class WebhookService:
    """Make, look at, try out and remove webhooks."""

    def __init__(self, database: Database, sender: Sender, allowed: Collection[str]) -> None:
        self._database = database
        self._sender = sender
        self._allowed = tuple(allowed)

    async def create(self, request: WebhookRequest, *, caller: Caller) -> NewWebhook:
        """Make a webhook and return it with its secret, this once.

        Raises:
            InvalidInputError: the URL may not be posted to.
            ConflictError: the namespace has too many.
        """
        try:
            check_url(request.url, self._allowed)
        except PostError as error:
            raise InvalidInputError.of("url", str(error)) from None
        row = WebhookRow(
            id=f"w_{uuid.uuid4().hex}",
            namespace=caller.namespace,
            url=request.url,
            statuses=list(request.statuses),
            secret=f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
            created_by=caller.key_id,
            created_at=now(),
        )

        def work(connection: Connection) -> None:
            if len(webhooks.find(connection, row.namespace, None, MAX_WEBHOOKS)) >= MAX_WEBHOOKS:
                message = f"a namespace has at most {MAX_WEBHOOKS} webhooks; remove one"
                raise ConflictError(message)
            webhooks.add(connection, row)
            audit.note(connection, "webhook.created", row.id, namespace=row.namespace)

        await self._database.run(work)
        return NewWebhook(**webhook_view(row).model_dump(), secret=row.secret)

    async def list(self, namespace: str, *, cursor: str | None, limit: int) -> WebhookPage:
        """Return a page of webhooks, newest first.

        Raises:
            InvalidInputError: the cursor is not one that was given out.
        """
        before = position_of(cursor)
        page = partial(webhooks.find, namespace=namespace, before=before, limit=limit + 1)
        shown, following = page_of(await self._database.read(page), limit)
        return WebhookPage(items=[webhook_view(row) for row in shown], next_cursor=following)

    async def get(self, webhook_id: str, *, namespace: str) -> WebhookView:
        """Return a webhook.

        Raises:
            NotFoundError: the namespace has none of that id.
        """
        return webhook_view(await self._database.read(partial(_found, webhook_id, namespace)))

    async def remove(self, webhook_id: str, *, namespace: str) -> None:
        """Delete a webhook and what waits for it.

        Raises:
            NotFoundError: the namespace has none of that id.
        """

        def work(connection: Connection) -> None:
            row = _found(webhook_id, namespace, connection)
            webhooks.remove(connection, row.id)
            audit.note(connection, "webhook.removed", row.id, namespace=namespace)

        await self._database.run(work)

    async def test(self, webhook_id: str, *, namespace: str) -> str:
        """Send a message that tells nothing, and return the id of its delivery.

        Raises:
            NotFoundError: the namespace has none of that id.
            ConflictError: nothing is sent to it any more.
        """

        def work(connection: Connection) -> str:
            row = _enabled(webhook_id, namespace, connection)
            return webhooks.queue(connection, row.id, "test", {"webhook_id": row.id}, None)

        delivery_id = await self._database.run(work)
        self._sender.look()
        return delivery_id

    async def redeliver(self, webhook_id: str, delivery_id: str, *, namespace: str) -> DeliveryView:
        """Send a delivery once more, at once, under the same id.

        Raises:
            NotFoundError: the namespace has no such webhook, or that no such delivery.
            ConflictError: nothing is sent to it any more.
        """

        def work(connection: Connection) -> DeliveryView:
            row = _enabled(webhook_id, namespace, connection)
            delivery = webhooks.again(connection, row.id, delivery_id)
            if delivery is None:
                message = f"the webhook has no delivery {delivery_id[:100]!r}"
                raise NotFoundError(message)
            audit.note(connection, "webhook.redelivered", delivery.id, namespace=namespace)
            return delivery_view(delivery)

        made = await self._database.run(work)
        self._sender.look()
        return made

    async def deliveries(
        self, webhook_id: str, *, namespace: str, cursor: str | None, limit: int
    ) -> DeliveryPage:
        """Return a page of a webhook's deliveries, newest first.

        Raises:
            NotFoundError: the namespace has none of that id.
            InvalidInputError: the cursor is not one that was given out.
        """
        await self.get(webhook_id, namespace=namespace)
        before = position_of(cursor)
        page = partial(webhooks.of_webhook, webhook_id=webhook_id, before=before, limit=limit + 1)
        shown, following = page_of(await self._database.read(page), limit)
        return DeliveryPage(items=[delivery_view(row) for row in shown], next_cursor=following)


def _enabled(webhook_id: str, namespace: str, connection: Connection) -> WebhookRow:
    row = _found(webhook_id, namespace, connection)
    if not row.enabled:
        message = f"the webhook is disabled: {row.disabled_because}; make a new one"
        raise ConflictError(message)
    return row


def _found(webhook_id: str, namespace: str, connection: Connection) -> WebhookRow:
    row = webhooks.get(connection, webhook_id, namespace)
    if row is None:
        message = f"there is no webhook {webhook_id[:100]!r}"
        raise NotFoundError(message)
    return row
