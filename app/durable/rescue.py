"""Find what nobody works on: turns of dead processes, and tasks that lost their turn."""

import asyncio
import logging
from functools import partial

from sqlalchemy import Connection

from app.db import claims
from app.db.records import Phase, TaskRow, turn_of
from app.db.types import now
from app.durable.store import Queued, TurnStore, workflow_id
from app.liveness import LivenessPort
from app.wakes import Wakes
from memory.database import Database

_LOG = logging.getLogger(__name__)
_LOOKED_AT = 500
"""The tasks that waited longest; were one without its turn, it would come to be among them."""
_PHASES: tuple[Phase, ...] = ("run", "learn")


class Rescue:
    """Puts back what would wait for ever. Any number of processes may try at once."""

    def __init__(
        self, database: Database, store: TurnStore, liveness: LivenessPort, wakes: Wakes
    ) -> None:
        self._database = database
        self._store = store
        self._liveness = liveness
        self._wakes = wakes

    async def bury_the_dead(self) -> int:
        """Put back what dead processes held; return how many tasks that were.

        One that was buried before its end may have taken a turn since, which it never began with.
        """
        known = await self._database.read(claims.owners)
        known |= await asyncio.to_thread(self._store.takers)
        found = 0
        for boot_id in (known | self._liveness.others()) - {self._liveness.boot_id}:
            with self._liveness.burying(boot_id) as dead:
                if dead:
                    found += await self.bury(boot_id)
        return found

    async def bury(self, boot_id: str) -> int:
        """Put back what a process held that works no more; return how many tasks that were."""
        taken = await asyncio.to_thread(self._store.taken_by, boot_id)
        put_back = await self._database.run(
            partial(claims.put_back, owner=boot_id, enqueue=self._store.enqueue)
        )
        if taken:
            await self._database.run(partial(self._pass_on, taken=taken))
            await asyncio.to_thread(self._store.drop, [turn.workflow_id for turn in taken])
        for task_id in put_back:
            _LOG.warning("task %s was put back: its process died", task_id)
            self._wakes.wake(task_id)
        return len(put_back)

    def _pass_on(self, connection: Connection, taken: list[Queued]) -> None:
        """Give those turns to others that the dead process had not begun with yet."""
        for turn in taken:
            claims.pass_on(
                connection,
                turn.task_id,
                turn.number,
                turn.phase,
                not_before=now(),
                enqueue=self._store.enqueue,
            )

    async def repair(self) -> int:
        """Give each task that waits without a turn in the queue a new one; return how many.

        That is a home of an older version, or a database that was put together by hand.
        """
        found = 0
        for phase in _PHASES:
            tasks = await self._database.read(
                partial(claims.waiting, phase=phase, limit=_LOOKED_AT)
            )
            names = {workflow_id(task.id, task.turn, phase): task for task in tasks}
            alive = await asyncio.to_thread(self._store.alive, list(names))
            lost = [task for name, task in names.items() if name not in alive]
            for task in lost:
                # It may have been begun since it was looked at.
                again = partial(self._queue_again, task=task, phase=phase)
                if await self._database.run(again):
                    _LOG.warning("task %s had lost its turn and was queued again", task.id)
                    found += 1
        return found

    def _queue_again(self, connection: Connection, task: TaskRow, phase: Phase) -> bool:
        turn = turn_of(task, phase)
        return claims.pass_on(
            connection,
            task.id,
            task.turn,
            phase,
            not_before=turn.not_before or now(),
            enqueue=self._store.enqueue,
        )
