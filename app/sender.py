"""Send deliveries to webhooks: signed, again and again for a day, by any number of processes."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import random
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.db import webhooks
from app.db.types import now
from app.db.webhooks import DeliveryRow, WebhookRow
from app.naps import Nap
from app.posting import TIMEOUT_S, PostError, post
from memory.database import Database

_LOG = logging.getLogger(__name__)
_NAP_S = 2.0
"""How soon a delivery that another process made is noticed."""
_LEASE_S = 2 * TIMEOUT_S
_AT_ONCE = 8
PAUSES_S = (5, 30, 120, 600, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
"""Before each further try; about a day in all."""
_GONE = 410
Clock = Callable[[], datetime]


class Sender:
    """Sends what is due; a delivery may come twice, always with the same id."""

    def __init__(self, database: Database, allowed: Collection[str], *, clock: Clock = now) -> None:
        self._database = database
        self._allowed = tuple(allowed)
        self._clock = clock
        self._nap = Nap()

    def look(self) -> None:
        """Look at once: something is to be sent."""
        self._nap.look()

    async def run(self) -> None:
        """Send until cancelled, asleep while nothing is due."""
        while True:
            self._nap.begin()
            try:
                await asyncio.gather(*(self.drain() for _ in range(await self._hands())))
            except (SQLAlchemyError, OSError) as error:
                _LOG.error("webhooks cannot be looked at, trying again: %s", error)
            await self._nap.rest(_NAP_S)

    async def _hands(self) -> int:
        due = await self._database.read(webhooks.next_due)
        return _AT_ONCE if due is not None and due <= self._clock() else 0

    async def drain(self) -> int:
        """Send everything that is due now; return how many tries that took."""
        tries = 0
        while True:
            take = partial(webhooks.take, moment=self._clock(), lease_s=_LEASE_S)
            taken = await self._database.run(take)
            if taken is None:
                return tries
            tries += 1
            await self._send(*taken)

    async def _send(self, delivery: DeliveryRow, hook: WebhookRow) -> None:
        content = json.dumps(delivery.body, sort_keys=True, separators=(",", ":")).encode()
        headers = signed(hook.secret, delivery.id, content, self._clock())
        status, error = None, ""
        try:
            status = await post(hook.url, content, headers, allowed=self._allowed)
        except PostError as refused:
            error = str(refused)
        else:
            error = "" if 200 <= status < 300 else f"it answered with status {status}"
        await self._database.run(
            partial(webhooks.settle, taken=delivery, values=self._values(delivery, status, error))
        )
        if status == _GONE:
            because = "it answered 410 Gone"
            await self._database.run(partial(webhooks.disable, webhook_id=hook.id, because=because))

    def _values(self, delivery: DeliveryRow, status: int | None, error: str) -> dict[str, Any]:
        """Return what a try changes: done, another try, or none any more."""
        values: dict[str, Any] = {"response_status": status, "last_error": error or None}
        if not error:
            return values | {"state": "delivered", "next_at": None, "settled_at": self._clock()}
        if delivery.attempts > len(PAUSES_S):
            return values | {"state": "dead", "next_at": None, "settled_at": self._clock()}
        pause_s = PAUSES_S[delivery.attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311 - only spreads tries
        return values | {"next_at": self._clock() + timedelta(seconds=pause_s)}


def signed(secret: str, delivery_id: str, content: bytes, moment: datetime) -> dict[str, str]:
    """Return the headers of a delivery (Standard Webhooks, v1).

    The signature is HMAC-SHA256 over `id.timestamp.content`, keyed with the secret's bytes.
    """
    timestamp = str(int(moment.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    told = f"{delivery_id}.{timestamp}.".encode() + content
    signature = base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
