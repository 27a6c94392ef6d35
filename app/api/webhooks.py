"""`/api/v1/webhooks`: tell other programs how tasks fare."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.caller import Reader, Writer
from app.api.paging import Cursor, Limit
from app.api.problems import RESPONSES
from app.api.runtime import RuntimeOf
from app.schemas_webhooks import (
    DeliveryPage,
    DeliveryView,
    NewWebhook,
    WebhookPage,
    WebhookRequest,
    WebhookView,
)

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"], responses=RESPONSES)


class Queued(BaseModel):
    """The delivery that was queued."""

    delivery_id: str


@router.post("", status_code=201)
async def create_webhook(
    body: WebhookRequest, response: Response, runtime: RuntimeOf, caller: Writer
) -> NewWebhook:
    """Make a webhook; its secret is shown this once."""
    made = await runtime.webhooks.create(body, caller=caller)
    response.headers["Location"] = f"/api/v1/webhooks/{made.id}"
    return made


@router.get("")
async def list_webhooks(
    runtime: RuntimeOf, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> WebhookPage:
    """List webhooks, newest first."""
    return await runtime.webhooks.list(caller.namespace, cursor=cursor, limit=limit)


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: str, runtime: RuntimeOf, caller: Reader) -> WebhookView:
    """Return a webhook as it stands."""
    return await runtime.webhooks.get(webhook_id, namespace=caller.namespace)


@router.delete("/{webhook_id}", status_code=204)
async def remove_webhook(webhook_id: str, runtime: RuntimeOf, caller: Writer) -> Response:
    """Delete a webhook and what waits for it."""
    await runtime.webhooks.remove(webhook_id, namespace=caller.namespace)
    return Response(status_code=204)


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: str, runtime: RuntimeOf, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> DeliveryPage:
    """List what was sent to a webhook and what became of it, newest first."""
    return await runtime.webhooks.deliveries(
        webhook_id, namespace=caller.namespace, cursor=cursor, limit=limit
    )


@router.post("/{webhook_id}/test", status_code=202)
async def test_webhook(webhook_id: str, runtime: RuntimeOf, caller: Writer) -> Queued:
    """Send a message that tells nothing."""
    return Queued(delivery_id=await runtime.webhooks.test(webhook_id, namespace=caller.namespace))


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=202)
async def redeliver_webhook(
    webhook_id: str, delivery_id: str, runtime: RuntimeOf, caller: Writer
) -> DeliveryView:
    """Send a delivery once more, at once, under the same id."""
    return await runtime.webhooks.redeliver(webhook_id, delivery_id, namespace=caller.namespace)
