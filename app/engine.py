"""Who gets tasks worked on: the `Engine` port, and the engine inside this process."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.db import claims, endings
from app.db.records import Claim, Phase, Turn
from app.errors import Fenced
from app.liveness import Liveness
from app.wakes import Wakes
from memory.database import Database

_LOG = logging.getLogger(__name__)
_PHASES: tuple[Phase, ...] = ("run", "learn")
_PAUSE_S = 1.0
"""Between two tries to write when the database fails."""
_FAULT = endings.Ending(
    status="failed",
    end_reason="internal",
    error="an internal error stopped the task; the server's log tells more under the run's id",
)


class Engine(Protocol):
    """Gets queued tasks worked on at least once; the tables say what is queued."""

    async def start(self) -> None:
        """Begin to work."""
        ...

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let what runs go on for `drain_s`, then put it back."""
        ...

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        """Queue a turn in the transaction that makes it; call `submit` after the commit."""
        ...

    async def submit(self, task_id: str) -> None:
        """Look at once: this task was queued."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Stop at once: this task was cancelled."""
        ...

    async def recover(self) -> int:
        """Put back what dead processes held and return how many tasks that were."""
        ...


class Worker(Protocol):
    """Does the work of one claim."""

    async def work(self, claim: Claim) -> None:
        """Work until the claim is settled; being cancelled means to stop at once."""
        ...


@dataclass(frozen=True)
class EngineConfig:
    """How the embedded engine behaves."""

    concurrency: int = 4
    """Tasks run at once; as many again are learned from."""
    poll_s: float = 0.25
    """How soon a task that another process queued or cancelled is noticed."""
    sweep_s: float = 1.0
    """How soon a dead process is noticed."""


class EmbeddedEngine:
    """Works in this process, beside any number of others on the same home."""

    def __init__(
        self,
        database: Database,
        worker: Worker,
        liveness: Liveness,
        wakes: Wakes,
        config: EngineConfig | None = None,
    ) -> None:
        self._database = database
        self._worker = worker
        self._liveness = liveness
        self._wakes = wakes
        self._config = config or EngineConfig()
        self._jobs: dict[Claim, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the engine takes tasks."""
        return bool(self._loops) and not self._stopping.is_set()

    async def start(self) -> None:
        """Begin to work."""
        self._liveness.begin()
        await self.recover()
        self._loops = [
            asyncio.create_task(self._repeat(self._claim_all, self._config.poll_s, self._wake)),
            asyncio.create_task(self._repeat(self._drop_lost, self._config.poll_s)),
            asyncio.create_task(self._repeat(self.recover, self._config.sweep_s)),
        ]

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let what runs go on for `drain_s`, then put it back."""
        if not self._loops:
            return
        self._stopping.set()
        self._wake.set()
        await asyncio.gather(*self._loops)
        self._loops = []
        jobs = list(self._jobs.values())
        if jobs:
            _, unfinished = await asyncio.wait(jobs, timeout=drain_s)
            for job in unfinished:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        self._liveness.end()

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        """Queue a turn: its row says so already."""

    async def submit(self, task_id: str) -> None:
        """Look at once: this task was queued."""
        self._wake.set()
        self._wakes.wake(task_id)

    async def cancel(self, task_id: str) -> None:
        """Stop at once: this task was cancelled."""
        for claim, job in list(self._jobs.items()):
            if claim.task_id == task_id:
                job.cancel()
        self._wakes.wake(task_id)

    async def recover(self) -> int:
        """Put back what dead processes held and return how many tasks that were."""
        known = await self._database.read(claims.owners)
        found = 0
        for boot_id in (known | self._liveness.others()) - {self._liveness.boot_id}:
            with self._liveness.burying(boot_id) as dead:
                if not dead:
                    continue
                put_back = await self._database.run(partial(claims.put_back, owner=boot_id))
            for task_id in put_back:
                _LOG.warning("task %s was put back: its process died", task_id)
                self._wakes.wake(task_id)
            found += len(put_back)
        if found:
            self._wake.set()
        return found

    async def _repeat(
        self,
        work: Callable[[], Coroutine[Any, Any, Any]],
        every_s: float,
        wake: asyncio.Event | None = None,
    ) -> None:
        """Do `work` again and again until the engine stops; a failing database is waited for."""
        pause = wake or self._stopping
        while not self._stopping.is_set():
            if wake is not None:
                wake.clear()
            try:
                await work()
            except (SQLAlchemyError, OSError) as error:
                _LOG.error("the database cannot be used, trying again: %s", error)
                await asyncio.sleep(_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await pause.wait()

    async def _claim_all(self) -> None:
        for phase in _PHASES:
            while self._room(phase) and await self._database.read(
                partial(claims.any_waiting, phase=phase)
            ):
                take = partial(claims.claim, owner=self._liveness.boot_id, phase=phase)
                claim = await self._database.run(take)
                if claim is None:
                    break
                self._jobs[claim] = asyncio.create_task(self._job(claim), name=claim.run_id)
                self._wakes.wake(claim.task_id)

    def _room(self, phase: Phase) -> bool:
        busy = sum(claim.phase == phase for claim in self._jobs)
        return not self._stopping.is_set() and busy < self._config.concurrency

    async def _drop_lost(self) -> None:
        """Stop the jobs whose task was cancelled or taken over."""
        mine = list(self._jobs)
        if not mine:
            return
        newest = await self._database.read(
            partial(claims.held, task_ids=[claim.task_id for claim in mine])
        )
        for claim in mine:
            if newest.get(claim.task_id) != claim.epoch and claim in self._jobs:
                self._jobs[claim].cancel()

    async def _job(self, claim: Claim) -> None:
        try:
            await self._worker.work(claim)
        except Fenced:
            _LOG.info("run %s is not this process's any more", claim.run_id)
        except asyncio.CancelledError:
            if self._stopping.is_set():
                await self._settle(partial(claims.release, claim=claim))
        except (OperationalError, sqlite3.OperationalError) as error:
            _LOG.error("run %s was put back, its database failed: %s", claim.run_id, error)
            await self._settle(partial(claims.stumble, claim=claim))
        except Exception:  # noqa: BLE001 - the edge of a run: whatever it is, the task must end
            _LOG.exception("run %s failed by a fault of Strop", claim.run_id)
            await self._settle(partial(_fail, claim=claim))
        finally:
            del self._jobs[claim]
            self._wake.set()
            self._wakes.wake(claim.task_id)

    async def _settle(self, work: Callable[[Connection], None]) -> None:
        """Write how a job ended, waiting for the database if it must be."""
        while True:
            try:
                await self._database.run(work)
            except Fenced:
                return
            except SQLAlchemyError as error:
                _LOG.error("the database cannot be written to: %s", error)
                if self._stopping.is_set():
                    return
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def _fail(connection: Connection, claim: Claim) -> None:
    if claim.phase == "run":
        endings.finish(connection, claim, _FAULT, learn=False)
    else:
        endings.learned(connection, claim, [])
