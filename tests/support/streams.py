"""A reader of event streams that loses its connection again and again, and holds what it saw."""

import asyncio
import json
import random
from typing import Any

import httpx

_PAUSE_S = 0.1
_PATIENCE_S = 30.0


class Reader:
    """Follows one task with Last-Event-ID over any number of connections."""

    def __init__(self, client: httpx.AsyncClient, task_id: str, chance: random.Random) -> None:
        self.task_id = task_id
        self.seen: list[tuple[str, dict[str, Any]]] = []
        """Each event's kind and data; the event's number is its place, from 1."""
        self.wrong: list[str] = []
        self.connections = 0
        self.changed = asyncio.Event()
        """Set at each event; whoever waits clears it."""
        self._client = client
        self._chance = chance

    @property
    def kinds(self) -> list[str]:
        """The kinds of events seen so far."""
        return [kind for kind, _ in self.seen]

    async def follow(self) -> None:
        """Read until the task's end, whatever happens to the server."""
        while not self.kinds or self.kinds[-1] != "end":
            try:
                await self._read_some()
            except httpx.HTTPError:
                await asyncio.sleep(_PAUSE_S)

    async def _read_some(self) -> None:
        """Read on one connection, which may be dropped after a few events."""
        self.connections += 1
        wanted = self._chance.choice([3, 9, 1000])
        asked = {"Last-Event-ID": str(len(self.seen))}
        address = f"/api/v1/tasks/{self.task_id}/events"
        async with self._client.stream(
            "GET", address, headers=asked, timeout=_PATIENCE_S
        ) as response:
            if response.status_code != httpx.codes.OK.value:
                await asyncio.sleep(_PAUSE_S)
                return
            event: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                    continue
                if "id" in event:
                    self._take(event)
                    wanted -= 1
                event = {}
                if not wanted:
                    return

    def _take(self, event: dict[str, str]) -> None:
        number, expected = int(event["id"]), len(self.seen) + 1
        if number != expected:
            self.wrong.append(f"{self.task_id}: event {number} came where {expected} was due")
        self.seen.append((event["event"], json.loads(event["data"])))
        self.changed.set()

    async def compare(self) -> None:
        """Hold what was seen live against what the server tells afterwards."""
        address, shown = f"/api/v1/tasks/{self.task_id}/events", {"Accept": "application/json"}
        told: list[tuple[str, dict[str, Any]]] = []
        while True:
            query = {"after": len(told), "limit": 1000}
            response = await self._client.get(address, headers=shown, params=query, timeout=30)
            items = response.json()["items"]
            if not items:
                break
            told += [(item["kind"], item) for item in items]
        if [item for _, item in self.seen] != [item for _, item in told]:
            self.wrong.append(f"{self.task_id}: what was streamed is not what is kept")
