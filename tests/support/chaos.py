"""Let tasks run while their processes are killed and frozen; see `aftermath` for what must hold.

Every task leaves marks in the world; readers follow each one over connections that break.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import httpx

from tests.support.aftermath import Aftermath, Death, Outcome, Tracked, can_write, held, looking
from tests.support.crew import Crew, Member
from tests.support.effects import asked_for
from tests.support.streams import Reader

Blow = Literal["kill", "kill all", "freeze", "cut"]
"""`cut` freezes a process and takes its lock away: others take over, then it wakes up."""
_PAUSE_S = 0.1
_TAKEN_OVER_S = 30.0
_ENDS_ITSELF_S = 3.0


@dataclass(frozen=True)
class Wave:
    """Some tasks, and what happens to their processes once they run."""

    tasks: int
    blow: Blow


class Chaos:
    """One run on one crew."""

    def __init__(self, crew: Crew, seed: int, *, marks: int = 4, limit_s: float = 300.0) -> None:
        self._crew = crew
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._marks = marks
        self._limit_s = limit_s
        self._tracked: list[Tracked] = []
        self._deaths: list[Death] = []
        self._following: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None
        """Processes that take the place of killed ones come up while the next tasks go in."""
        self.outcome = Outcome()

    async def run(self, *waves: Wave) -> Outcome:
        """Start the crew, let every wave break, and say what came of it."""
        began = time.monotonic()
        bounds = httpx.Limits(max_connections=None)
        try:
            async with httpx.AsyncClient(base_url=self._crew.url, limits=bounds) as client:
                await self._crew.look_around()
                self._starting = asyncio.create_task(self._crew.start(*self._crew.members))
                async with asyncio.timeout(self._limit_s):
                    for number, wave in enumerate(waves):
                        await self._break(client, number, wave)
                    await self._up()
                    await self._ended()
                for tracked in self._tracked:
                    await tracked.reader.compare()
            found = Aftermath(self._crew, self._tracked, self._deaths, self.outcome)
            await found.examine()
        finally:
            running = [*self._following, *([self._starting] if self._starting else [])]
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._crew.end()
        self.outcome.seconds = round(time.monotonic() - began, 1)
        return self.outcome

    async def _ended(self) -> None:
        """Wait for the end of every stream, and say which one has none."""
        _, late = await asyncio.wait(self._following, timeout=self._limit_s / 2)
        for tracked, following in zip(self._tracked, self._following, strict=True):
            if following in late:
                kinds = tracked.reader.kinds[-3:]
                sentence = f"{tracked.reader.task_id}: its stream did not end, but at {kinds}"
                self.outcome.wrong.append(sentence)

    async def _break(self, client: httpx.AsyncClient, number: int, wave: Wave) -> None:
        """Hand tasks in, strike, and cancel the first one before or, while it sleeps, after."""
        fresh = [await self._submit(client, f"w{number}t{n}", n) for n in range(wave.tasks)]
        cancelling = [asyncio.create_task(self._cancel(client, fresh[0]))] if number % 2 else []
        await self._under_way(fresh)
        await asyncio.sleep(self._chance.uniform(0.0, 0.8))
        await self._strike(wave.blow)
        await (cancelling[0] if cancelling else self._cancel(client, fresh[0]))

    async def _submit(self, client: httpx.AsyncClient, name: str, place: int) -> Tracked:
        """Submit a task until the server says that it has it; the first of a wave sleeps."""
        body = {
            "instruction": asked_for(self._marks, name, sleep="" if place else self._crew.sleep)
        }
        response = await self._insist(
            partial(client.post, "/api/v1/tasks", json=body, headers={"Idempotency-Key": name})
        )
        assert response.status_code in {200, 202}, response.text
        reader = Reader(client, response.json()["id"], random.Random(self._chance.random()))  # noqa: S311 - see above
        tracked = Tracked(name, self._marks, reader)
        self._tracked.append(tracked)
        self._following.append(asyncio.create_task(reader.follow()))
        return tracked

    async def _cancel(self, client: httpx.AsyncClient, tracked: Tracked) -> None:
        """Cancel a task once it has done something."""
        reader = tracked.reader
        while "step" not in reader.kinds and "end" not in reader.kinds:
            reader.changed.clear()
            await reader.changed.wait()
        address = f"/api/v1/tasks/{reader.task_id}/cancel"
        response = await self._insist(partial(client.post, address))
        tracked.cancelled = response.json().get("status") == "cancelled"

    async def _insist(self, ask: Callable[[], Any]) -> httpx.Response:
        """Ask again while the server is not there."""
        while True:
            try:
                response: httpx.Response = await ask()
            except httpx.HTTPError:
                await asyncio.sleep(_PAUSE_S)
                continue
            if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return response
            await asyncio.sleep(_PAUSE_S)

    async def _under_way(self, tracked: list[Tracked]) -> None:
        """Wait until one of the tasks has done a step, or all are over."""
        while True:
            if any("step" in one.reader.kinds for one in tracked):
                return
            await asyncio.sleep(_PAUSE_S / 2)

    async def _up(self) -> None:
        """Wait until every process works."""
        if self._starting is not None:
            await self._starting

    async def _strike(self, blow: Blow) -> None:
        await self._up()
        crew = self._crew
        victims = list(crew.members) if blow == "kill all" else [await self._victim()]
        names = [await asyncio.to_thread(crew.boot_id, victim) for victim in victims]
        await self._freeze(*victims, writing=blow in {"kill", "kill all"})
        death = Death(time.time(), await self._held(names), blow)
        if blow in {"kill", "kill all"}:
            self._deaths.append(death)
            self.outcome.kills += len(victims)
            crew.kill(*victims)
            self._starting = asyncio.create_task(crew.start(*victims))
            return
        self.outcome.zombies += 1
        try:
            if blow == "cut":
                self._deaths.append(death)
                await asyncio.to_thread(crew.cut, victims[0])
                await self._taken_over(death.held)
            else:
                await asyncio.sleep(2.0)  # longer than it takes to find the dead
        finally:
            os.kill(victims[0].pid, signal.SIGCONT)
        if crew.database_url:
            await self._replaced(victims[0])

    async def _freeze(self, *victims: Member, writing: bool) -> None:
        """Stop processes, so that nothing changes while we look.

        Without `writing`, none that writes in a file which the others would then wait for.
        """
        while True:
            for victim in victims:
                os.kill(victim.pid, signal.SIGSTOP)
            if writing or await looking(self._crew, can_write):
                return
            for victim in victims:
                os.kill(victim.pid, signal.SIGCONT)
            await asyncio.sleep(_PAUSE_S)

    async def _victim(self) -> Member:
        """Choose one of those that work on tasks, if any do."""
        busy = [
            member
            for member in self._crew.working
            if await self._held([await asyncio.to_thread(self._crew.boot_id, member)])
        ]
        return self._chance.choice(busy or self._crew.working)

    async def _held(self, names: list[str]) -> dict[str, int]:
        """Return the tasks that processes work on, with their epochs."""
        return await looking(self._crew, partial(held, owners=names))

    async def _taken_over(self, before: dict[str, int]) -> None:
        """Wait until one of the tasks was claimed anew, or none is worked on any more."""
        limit = time.monotonic() + _TAKEN_OVER_S
        while time.monotonic() < limit:
            now = await looking(self._crew, partial(held, owners=None))
            if any(now.get(name, 0) > epoch for name, epoch in before.items()):
                return
            if not before.keys() & now.keys():
                return
            await asyncio.sleep(_PAUSE_S)

    async def _replaced(self, victim: Member) -> None:
        """Start a process anew that ends itself because it was taken for dead."""
        limit = time.monotonic() + _ENDS_ITSELF_S
        while time.monotonic() < limit:
            if victim.gone:
                await self._crew.start(victim)
                return
            await asyncio.sleep(_PAUSE_S)
