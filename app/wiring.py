"""Put the runtime together: the only module that knows every concrete class."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from app.access import Access
from app.approvals import ApprovalService
from app.checks import Checks
from app.db.engine import cannot_open, open_database
from app.db.migrate import upgrade
from app.db.namespaces import approval_of
from app.db.records import Claim
from app.db.retention import Rules
from app.durable.engine import DurableEngine
from app.durable.store import TurnStore
from app.engine import Engine, EngineConfig, Worker
from app.errors import SettingsError
from app.files import FileShelf
from app.home import Home
from app.liveness import Liveness, LivenessPort
from app.models import ModelDesk
from app.namespaces import NamespaceService
from app.rates import Rates
from app.retention import Retention
from app.rousing import Rouser
from app.sandboxing import SandboxDesk
from app.schedules import ScheduleService, Ticker
from app.sender import Sender
from app.settings import Settings
from app.slots import FileLocks, SharedSlots
from app.standing import AgentService
from app.steering import SteeringService
from app.tasks import TaskService
from app.tidying import Checkpoints, tidy
from app.tracing import NoTracing, Tracing
from app.wakes import Wakes
from app.webhooks import WebhookService
from memory.base import MemoryStoreError
from memory.database import Database
from memory.memory import Memory, build_memory
from memory.postgres import dsn
from memory.recall import RecallSettings
from models.base import Model, ModelError
from models.bounded import Slots
from models.embedders.auto import choose_embedder
from sandboxes.base import SandboxError
from tools.base import discover

if TYPE_CHECKING:
    from app.checkpoints import FencedSaver
    from app.checkpoints_postgres import PostgresSaver
    from app.fences import Fences

_LOG = logging.getLogger(__name__)
_TAKEN_FOR_DEAD = 70
"""Exit code of a process that was taken for dead; whoever supervises it starts it anew."""
_TIDY_S = 3600.0


@dataclass(frozen=True)
class Runtime:
    """What the faces of Strop work with."""

    settings: Settings
    home: Home
    tasks: TaskService
    steering: SteeringService
    approvals: ApprovalService
    memory: Memory
    models: ModelDesk
    engine: Engine
    checks: Checks
    access: Access
    namespaces: NamespaceService
    retention: Retention
    schedules: ScheduleService
    webhooks: WebhookService
    agents: AgentService
    tracing: Tracing


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, model: Model | None = None, work: bool = True
) -> AsyncGenerator[Runtime]:
    """Open everything on one home, and close it at the end.

    Args:
        settings: where and how.
        model: answers instead of the model that the settings name.
        work: whether this process works on tasks, or only submits and looks.

    Raises:
        SettingsError: a setting cannot be met here.
    """
    home = Home(settings.home_path)
    home.prepare()
    async with AsyncExitStack() as stack:
        stack.callback((database := await _open_database(settings, home)).close)
        memory, memory_note = _open_memory(settings, home, database)
        stack.push_async_callback(memory.close)
        wakes, sandboxes = Wakes(), SandboxDesk(settings)
        models = await stack.enter_async_context(_models(settings, home, database, model))
        turns = TurnStore(database)
        stack.callback(turns.close)
        stack.push_async_callback((tracing := _tracing(settings)).close)
        ports = _Ports(settings, home, database, turns, wakes, memory, models, sandboxes, tracing)
        worker = _LazyWorker(ports)
        stack.push_async_callback(worker.close)
        engine = _engine(ports, worker)
        ticker, sender = Ticker(database, engine), Sender(database, settings.webhook_hosts)
        rouser = Rouser(database, engine)
        if work:
            await engine.start()
            stack.push_async_callback(engine.stop, settings.drain_s)
            warming = _warm(worker, models, sandboxes, memory)
            for beside in (warming, ticker.run(), sender.run(), rouser.run()):
                stack.push_async_callback(_stopped, asyncio.create_task(beside))
        yield Runtime(
            settings=settings,
            home=home,
            tasks=_tasks(ports, engine),
            steering=SteeringService(database, engine, default_limits=settings.limits()),
            approvals=ApprovalService(database, engine, partial(discover, settings.plugins)),
            memory=memory,
            models=models,
            engine=engine,
            checks=_checks(ports, engine, memory_note, work=work),
            access=Access(database, _rates(settings)),
            namespaces=NamespaceService(database),
            retention=_retention(ports),
            schedules=ScheduleService(database, engine, ticker),
            agents=AgentService(database, engine, rouser, models),
            webhooks=WebhookService(database, sender, settings.webhook_hosts),
            tracing=tracing,
        )


@dataclass(frozen=True)
class _Ports:
    """What a worker is made of, before the heavy imports."""

    settings: Settings
    home: Home
    database: Database
    turns: TurnStore
    wakes: Wakes
    memory: Memory
    models: ModelDesk
    sandboxes: SandboxDesk
    tracing: Tracing


def _checks(ports: _Ports, engine: Engine, memory_note: str, *, work: bool) -> Checks:
    return Checks(
        database=ports.database,
        home=ports.home,
        engine=engine,
        models=ports.models,
        sandboxes=ports.sandboxes,
        memory=ports.memory,
        memory_note=memory_note,
        min_free_bytes=ports.settings.min_free_bytes,
        works=work,
    )


def _tracing(settings: Settings) -> Tracing:
    if not settings.otlp_endpoint:
        return NoTracing()
    from app.telemetry import open_tracing  # noqa: PLC0415 - OpenTelemetry is loaded if it is wanted

    return open_tracing(settings.otlp_endpoint)


def _engine(ports: _Ports, worker: Worker) -> Engine:
    own = ports.settings
    config = EngineConfig(
        concurrency=own.concurrency,
        namespace_concurrency=own.namespace_concurrency,
        poll_s=own.poll_s,
        sweep_s=own.sweep_s,
    )
    liveness = _liveness(ports)
    return DurableEngine(ports.database, ports.turns, worker, liveness, ports.wakes, config)


def _liveness(ports: _Ports) -> LivenessPort:
    """Return how processes know the dead: on one machine by files, else by the server's locks."""
    if not ports.database.is_postgres:
        return Liveness(ports.home.locks)
    from app.liveness_postgres import PostgresLiveness  # noqa: PLC0415 - loads the driver

    return PostgresLiveness(_direct(ports.settings, ports.database), _stop_at_once)


@asynccontextmanager
async def _models(
    settings: Settings, home: Home, database: Database, fixed: Model | None
) -> AsyncGenerator[ModelDesk]:
    async with _slots(settings, home, database) as slots:
        models = ModelDesk(settings, fixed=fixed, slots=slots)
        try:
            yield models
        finally:
            await models.close()


@asynccontextmanager
async def _slots(settings: Settings, home: Home, database: Database) -> AsyncGenerator[Slots]:
    """Open the places at models: of the database's server, else of this machine."""
    if not database.is_postgres:
        yield SharedSlots(FileLocks(home.locks))
        return
    from app.slots_postgres import PostgresLocks  # noqa: PLC0415 - loads the driver

    locks = PostgresLocks(_direct(settings, database))
    try:
        yield SharedSlots(locks)
    finally:
        await locks.close()


def _direct(settings: Settings, database: Database) -> str:
    """Return the address of the server itself, where locks stay with their connection."""
    return settings.database_direct_url.replace("+psycopg", "") or dsn(database.engine)


def _stop_at_once() -> None:
    """End a process that counts as dead: its tasks are worked on by others."""
    _LOG.critical("another process has taken over the tasks of this one, which stops")
    os._exit(_TAKEN_FOR_DEAD)


def _tasks(ports: _Ports, engine: Engine) -> TaskService:
    own = ports.settings
    shelf = FileShelf(ports.database, ports.home, limit_bytes=own.upload_limit_bytes)
    return TaskService(
        ports.database,
        engine,
        ports.wakes,
        shelf,
        ports.home,
        ports.models,
        min_free_bytes=own.min_free_bytes,
    )


def _retention(ports: _Ports) -> Retention:
    own = ports.settings
    rules = Rules(own.retention_days, own.idempotency_days, own.audit_days)
    return Retention(ports.database, ports.home, rules)


def _rates(settings: Settings) -> Rates:
    return Rates(settings.rate_limit, settings.rate_burst, time.monotonic)


class _LazyWorker:
    """A worker that is put together in the background or at the first claim."""

    def __init__(self, ports: _Ports) -> None:
        self._ports = ports
        self._stack = AsyncExitStack()
        self._building: asyncio.Task[Worker] | None = None

    async def work(self, claim: Claim) -> None:
        """Work until the claim is settled."""
        worker = await self.ready()
        await worker.work(claim)

    async def ready(self) -> Worker:
        """Return the worker; whoever is cancelled meanwhile leaves the building to go on."""
        building = self._building
        if building is None or (building.done() and building.exception() is not None):
            building = self._building = asyncio.create_task(self._build())
        return await asyncio.shield(building)

    async def close(self) -> None:
        """Close what the worker has opened."""
        if self._building is not None:
            await asyncio.wait({self._building})
        await self._stack.aclose()

    async def _build(self) -> Worker:
        await asyncio.to_thread(_import_graphs)
        from agents.run import AgentRuntime  # noqa: PLC0415 - LangGraph takes a second to import
        from app.fences import Fences  # noqa: PLC0415 - see above
        from app.runs import Parts, RunWorker  # noqa: PLC0415 - see above

        ports = self._ports
        fences = Fences(ports.database)
        saver = await self._stack.enter_async_context(
            _open_checkpoints(ports.home, ports.database, fences)
        )
        parts = Parts(
            database=ports.database,
            home=ports.home,
            wakes=ports.wakes,
            memory=ports.memory,
            models=ports.models,
            backend=ports.sandboxes.backend,
            min_isolation=ports.sandboxes.min_isolation,
            network=ports.sandboxes.network,
            secrets=ports.settings.sandbox_secrets,
            tools=discover(ports.settings.plugins),
            limits=ports.settings.limits(),
            enqueue=ports.turns.enqueue,
            namespace_rules=approval_of,
            allowed_hosts=ports.settings.allowed_hosts,
            policy=ports.settings.approval,
            tracing=ports.tracing,
        )
        tidying = asyncio.create_task(_tidy_up(ports, saver))
        self._stack.push_async_callback(_stopped, tidying)
        return RunWorker(parts, AgentRuntime(saver), fences, saver.forget)


def _open_checkpoints(
    home: Home, database: Database, fences: "Fences"
) -> "AbstractAsyncContextManager[FencedSaver | PostgresSaver]":
    """Open the state of graphs: in the database's server, else in a file of its own."""
    if database.is_postgres:
        from app.checkpoints_postgres import open_checkpoints  # noqa: PLC0415 - see above

        return open_checkpoints(dsn(database.engine), fences.claim_of)
    from app.checkpoints import open_checkpoints  # noqa: PLC0415 - see above

    return open_checkpoints(home.checkpoints, fences.check)


async def _tidy_up(ports: _Ports, checkpoints: Checkpoints) -> None:
    """Remove now, and every hour, what nobody needs any more."""
    while True:
        try:
            await tidy(ports.home, ports.database, checkpoints)
            await _retention(ports).run()
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            _LOG.warning("could not tidy up: %s", error)
        await asyncio.sleep(_TIDY_S)


def _import_graphs() -> None:
    """Import what is heavy in a thread, so that the event loop goes on."""
    # Read at import: what a checkpoint holds becomes objects of listed classes only.
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    for name in ("app.checkpoints", "app.runs"):
        import_module(name)


async def _open_database(settings: Settings, home: Home) -> Database:
    database = open_database(settings.database_url, home.database)

    def migrate() -> None:
        with home.lock("migrations"):
            upgrade(database.engine)
            turns = TurnStore(database)
            turns.prepare()
            turns.close()

    try:
        await asyncio.to_thread(migrate)
    except SQLAlchemyError as error:
        database.close()
        raise cannot_open(database, error) from None
    return database


def _open_memory(settings: Settings, home: Home, database: Database) -> tuple[Memory, str]:
    choice = choose_embedder(settings.embedding)
    try:
        memory = build_memory(
            database,
            choice.embedder,
            folder=home.index,
            index=settings.index,
            chroma_url=settings.chroma_url,
            settings=RecallSettings(
                withhold=settings.withholding_rate, holdout=settings.holdout_rate
            ),
            known_hosts=settings.allowed_hosts,
        )
    except MemoryStoreError as error:
        msg = f"STROP_CHROMA_URL: {error}"
        raise SettingsError(msg) from None
    place = "a Chroma server" if settings.chroma_url else f"the index {settings.index!r}"
    return memory, f"{choice.reason}; vectors are searched by {place}"


async def _warm(
    worker: _LazyWorker, models: ModelDesk, sandboxes: SandboxDesk, memory: Memory
) -> None:
    """Load what the first task will need, while nobody waits for it."""
    await worker.ready()
    for step in (sandboxes.selected, models.warm, memory.maintain):
        try:
            await step()
        except (ModelError, SandboxError, SQLAlchemyError) as error:
            _LOG.warning("not ready yet: %s", error)


async def _stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
