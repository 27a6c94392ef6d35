"""The claims that this process works on, each in a task of the event loop."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.db import claims, endings
from app.db.records import Claim
from app.engine import Worker
from app.errors import Fenced
from app.wakes import Wakes
from memory.database import Database

_LOG = logging.getLogger(__name__)
_PAUSE_S = 1.0
"""Between two tries to write when the database fails."""
_FAULT = endings.Ending(
    status="failed",
    end_reason="internal",
    error="an internal error stopped the task; the server's log tells more under the run's id",
)


class Jobs:
    """Runs claims, and writes how each ended whatever happens."""

    def __init__(
        self,
        database: Database,
        worker: Worker,
        wakes: Wakes,
        enqueue: claims.Enqueue,
        on_room: Callable[[], None],
    ) -> None:
        self._database = database
        self._worker = worker
        self._wakes = wakes
        self._enqueue = enqueue
        self._on_room = on_room
        self._running: dict[Claim, asyncio.Task[None]] = {}
        self.stopping = False
        """Whether the process hands over what it works on."""

    async def run(self, claim: Claim) -> None:
        """Work on a claim to its end; whoever waits may be cancelled, which ends the work."""
        job = asyncio.create_task(self._job(claim), name=claim.run_id)
        self._running[claim] = job
        self._wakes.wake(claim.task_id)
        try:
            await asyncio.shield(job)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            raise
        finally:
            self._running.pop(claim, None)
            self._wakes.wake(claim.task_id)
            self._on_room()

    def stop(self, task_id: str) -> None:
        """Stop the work on a task."""
        for claim, job in list(self._running.items()):
            if claim.task_id == task_id:
                job.cancel()

    async def drop_lost(self) -> None:
        """Stop the work on tasks that were cancelled, paused or taken over."""
        mine = list(self._running)
        if not mine:
            return
        newest = await self._database.read(
            partial(claims.held, task_ids=[claim.task_id for claim in mine])
        )
        for claim in mine:
            if newest.get(claim.task_id) != claim.epoch and claim in self._running:
                self._running[claim].cancel()

    async def drain(self, limit_s: float) -> None:
        """Let what runs go on for so long, then hand it over."""
        self.stopping = True
        jobs = list(self._running.values())
        if not jobs:
            return
        _, unfinished = await asyncio.wait(jobs, timeout=limit_s)
        for job in unfinished:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _job(self, claim: Claim) -> None:
        try:
            await self._worker.work(claim)
        except Fenced:
            _LOG.info("run %s is not this process's any more", claim.run_id)
        except asyncio.CancelledError:
            if self.stopping:
                await self._settle(partial(claims.release, claim=claim, enqueue=self._enqueue))
        except (OperationalError, sqlite3.OperationalError) as error:
            _LOG.error("run %s was put back, its database failed: %s", claim.run_id, error)
            await self._settle(partial(claims.stumble, claim=claim, enqueue=self._enqueue))
        except Exception:  # noqa: BLE001 - the edge of a run: whatever it is, the task must end
            _LOG.exception("run %s failed by a fault of Strop", claim.run_id)
            await self._settle(partial(_fail, claim=claim))

    async def _settle(self, work: Callable[[Connection], None]) -> None:
        """Write how a job ended, waiting for the database if it must be."""
        while True:
            try:
                await self._database.run(work)
            except Fenced:
                return
            except SQLAlchemyError as error:
                _LOG.error("the database cannot be written to: %s", error)
                if self.stopping:
                    return
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def _fail(connection: Connection, claim: Claim) -> None:
    if claim.phase == "run":
        endings.finish(connection, claim, _FAULT, enqueue=None)
    else:
        endings.learned(connection, claim, [])
