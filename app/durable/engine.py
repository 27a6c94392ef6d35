"""The engine on DBOS: it gives turns out, this process works on them.

DBOS keeps the queues (order, bounds, delays) and who took what. Its step journal and its own
recovery are not used: a turn is one call that can be made again at any time, since the state of
the graphs, the journal of tool calls and the task's epoch decide what is still to be done.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from agents.state import READABLE_GRAPHS
from app.db import claims
from app.db.records import Phase, Turn
from app.db.types import now
from app.durable.jobs import Jobs
from app.durable.rescue import Rescue
from app.durable.store import (
    APPLICATION,
    QUEUES,
    SCHEMA,
    VERSION,
    WORKFLOW,
    TurnStore,
    json_only,
    keep_dbos_quiet,
)
from app.durable.waking import Waking
from app.engine import EngineConfig, Worker
from app.liveness import LivenessPort
from app.wakes import Wakes
from memory.database import Database

if TYPE_CHECKING:
    from dbos import DBOS, Queue

_LOG = logging.getLogger(__name__)
_PAUSE_S = 1.0
"""Before another try when the database fails."""
_FOREIGN_S = 2.0
"""How long a turn that this process cannot work on rests, for another to take it."""
_THREADS = 16
_LAST_WORDS_S = 3.0
"""How long a stopping process waits until DBOS knows that its turns have ended."""
_FIRST_PAUSE_S = 0.01
"""Of DBOS's threads, before they can be woken."""


class DurableEngine:
    """Works in this process, beside any number of others on the same database.

    DBOS allows one engine that works at a time in a process.
    """

    _one_at_a_time: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        database: Database,
        store: TurnStore,
        worker: Worker,
        liveness: LivenessPort,
        wakes: Wakes,
        config: EngineConfig | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._liveness = liveness
        self._wakes = wakes
        self._config = config or EngineConfig()
        self._waking = Waking()
        self._jobs = Jobs(database, worker, wakes, store.enqueue, self._waking.wake)
        self._rescue = Rescue(database, store, liveness, wakes)
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._queues: list[Queue] = []
        self._turns: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> bool:
        """Whether this process takes turns."""
        return bool(self._loops) and not self._stopping.is_set()

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        """Queue a turn in the transaction that makes it; call `submit` after the commit."""
        self._store.enqueue(connection, turn)

    async def submit(self, task_id: str) -> None:
        """Look at once, and tell those who follow the task: it was queued."""
        self._waking.wake()
        self._wakes.wake(task_id)

    async def cancel(self, task_id: str) -> None:
        """Stop at once what this process does for the task: it was cancelled or paused."""
        self._jobs.stop(task_id)
        self._wakes.wake(task_id)

    async def recover(self) -> int:
        """Put back what dead processes held and return how many tasks that were."""
        return await self._rescue.bury_the_dead()

    async def start(self) -> None:
        """Begin to work.

        Raises:
            RuntimeError: another engine works in this process.
        """
        keep_dbos_quiet()
        await asyncio.to_thread(import_module, "dbos")
        if not self._one_at_a_time.acquire(blocking=False):
            message = "another engine works in this process already"
            raise RuntimeError(message)
        try:
            self._liveness.begin()
            self._launch()
            await self._repair()
        except BaseException:
            await self._quit()
            raise
        own = self._config
        self._loops = [
            asyncio.create_task(self._repeat(self._jobs.drop_lost, own.poll_s)),
            asyncio.create_task(self._repeat(self.recover, own.sweep_s)),
            asyncio.create_task(self._repeat(self._repair, own.repair_s)),
        ]

    async def stop(self, drain_s: float) -> None:
        """Take nothing new, let what runs go on for `drain_s`, then hand it over."""
        if not self._loops:
            return
        self._stopping.set()
        for queue in self._queues:
            queue._worker_concurrency = 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - takes nothing more
        await self._jobs.drain(drain_s)
        await asyncio.gather(*self._loops)
        await self._turns_ended()
        self._loops = []
        await self._quit()

    async def _quit(self) -> None:
        """End DBOS, pass on what it gave out last, and let another engine begin."""
        from dbos import DBOS  # noqa: PLC0415 - was imported by `start`

        await asyncio.to_thread(partial(DBOS.destroy, destroy_registry=True))
        with contextlib.suppress(SQLAlchemyError):  # then the next process finds what is left
            await self._rescue.bury(self._liveness.boot_id)
        self._liveness.end()
        self._one_at_a_time.release()

    async def _turns_ended(self) -> None:
        """Let DBOS write down that the turns have ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                while self._turns:
                    await asyncio.wait(self._turns)

    def _launch(self) -> None:
        """Start DBOS on the running event loop; it works on that loop."""
        from dbos import DBOS  # noqa: PLC0415 - was imported by `start`

        engine = DBOS(
            config={
                "name": APPLICATION,
                "application_version": VERSION,
                "executor_id": self._liveness.boot_id,
                "log_level": "CRITICAL",
                "system_database_url": self._database.engine.url.render_as_string(
                    hide_password=False
                ),
                "system_database_engine": self._store.engine,
                "dbos_system_schema": SCHEMA,
                "serializer": json_only(),
                "run_migrations": False,
                "max_executor_threads": _THREADS,
            }
        )

        async def turn(task_id: str, number: int, phase: Phase) -> str:
            return await self._turn(task_id, number, phase)

        DBOS.workflow(name=WORKFLOW)(turn)
        self._register_queues(engine)
        DBOS.launch()
        self._waking.attach(engine.background_thread_stop_events)
        for queue in self._queues:
            queue._polling_interval_sec = self._config.poll_s  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - nobody could be woken before

    def _register_queues(self, engine: "DBOS") -> None:
        """Set this process's bounds; queues of DBOS's public kind are the same for all."""
        own = self._config
        register = engine._registry._register_internal_queue  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above; a test watches it
        for phase, name in QUEUES.items():
            together = own.namespace_concurrency if phase == "run" else None
            queue = register(
                name,
                worker_concurrency=own.concurrency,
                partition_worker_concurrency=min(own.concurrency, together or own.concurrency),
                partition_concurrency=together,
                polling_interval_sec=_FIRST_PAUSE_S,
            )
            self._queues.append(queue)

    async def _turn(self, task_id: str, number: int, phase: Phase) -> str:
        """Work on a turn: the one workflow that DBOS knows."""
        turn = asyncio.current_task()
        if turn is not None and turn not in self._turns:
            self._turns.add(turn)
            turn.add_done_callback(self._turns.discard)
        while True:
            try:
                return await self._begun(task_id, number, phase)
            except SQLAlchemyError as error:
                _LOG.error("task %s cannot be begun, trying again: %s", task_id, error)
                if self._stopping.is_set():
                    return "left"
                await asyncio.sleep(_PAUSE_S)

    async def _begun(self, task_id: str, number: int, phase: Phase) -> str:
        if self._stopping.is_set():
            await self._pass_on(task_id, number, phase, rest_s=0.0)
            return "passed on"
        claim = await self._database.run(
            partial(
                claims.begin,
                task_id=task_id,
                number=number,
                phase=phase,
                owner=self._liveness.boot_id,
                graph_versions=READABLE_GRAPHS,
            )
        )
        if claim is None:
            # Nothing changes unless the turn waits still, for graphs that this process lacks.
            await self._pass_on(task_id, number, phase, rest_s=_FOREIGN_S)
            return "not taken"
        await self._jobs.run(claim)
        return "worked on"

    async def _pass_on(self, task_id: str, number: int, phase: Phase, *, rest_s: float) -> None:
        await self._database.run(
            partial(
                claims.pass_on,
                task_id=task_id,
                number=number,
                phase=phase,
                not_before=now() + timedelta(seconds=rest_s),
                enqueue=self._store.enqueue,
            )
        )

    async def _repair(self) -> None:
        await self._rescue.repair()

    async def _repeat(self, work: Callable[[], Coroutine[Any, Any, Any]], every_s: float) -> None:
        """Do `work` again and again until the engine stops; a failing database is waited for."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._stopping.wait()
                    return
            try:
                await work()
            except (SQLAlchemyError, OSError) as error:
                _LOG.error("the database cannot be used, trying again: %s", error)
                await asyncio.sleep(_PAUSE_S)
