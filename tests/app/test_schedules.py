"""Due times become tasks: each once, whoever ticks, whatever the clocks do."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from app.callers import LOCAL
from app.db import namespaces, schedules, tasks
from app.db.automation_tables import occurrences
from app.db.records import TaskRow, Turn
from app.db.tables import tasks as task_rows
from app.db.tasks import TaskFilter
from app.durable.store import TurnStore, workflow_id
from app.errors import InvalidInputError, NotFoundError
from app.schedules import ScheduleService, Ticker
from app.schemas_schedules import SchedulePatch, ScheduleRequest
from memory.database import Database

pytestmark = pytest.mark.anyio


class Clock:
    """Shows the time that a test sets, ahead of the real one, since a machine may be slow."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=5)

    def __call__(self) -> datetime:
        return self.now


class Queue:
    """Queues in the tables of the engine, and works on nothing."""

    running = False

    def __init__(self, store: TurnStore) -> None:
        self.store = store

    async def start(self) -> None: ...

    async def stop(self, drain_s: float) -> None: ...

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        self.store.enqueue(connection, turn)

    async def submit(self, task_id: str) -> None: ...

    async def cancel(self, task_id: str) -> None: ...

    async def recover(self) -> int:
        return 0


@pytest.fixture
def queue(database: Database) -> Iterator[Queue]:
    store = TurnStore(database)
    yield Queue(store)
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticker(database: Database, queue: Queue, clock: Clock) -> Ticker:
    return Ticker(database, queue, clock)


@pytest.fixture
def service(database: Database, queue: Queue, ticker: Ticker) -> ScheduleService:
    return ScheduleService(database, queue, ticker)


def _wanted(**given: Any) -> ScheduleRequest:
    fields = {"name": "n", "timing": {"interval_s": 60}, "task": {"instruction": "add up"}}
    return ScheduleRequest.model_validate(fields | given)


def _made(database: Database) -> list[TaskRow]:
    return database.run_sync(lambda c: tasks.find(c, TaskFilter(namespace="default", limit=500)))


async def test_a_due_time_makes_one_task_that_the_engine_knows(
    database: Database, service: ScheduleService, ticker: Ticker, clock: Clock, queue: Queue
) -> None:
    made = await service.create(_wanted(), caller=LOCAL)
    assert await ticker.tick() == []
    clock.now += timedelta(seconds=61)
    [task_id] = await ticker.tick()
    assert await ticker.tick() == []
    [task] = _made(database)
    assert (task.id, task.instruction) == (task_id, "add up")
    assert task.task_metadata["schedule"]["schedule_id"] == made.id
    assert queue.store.alive([workflow_id(task_id, 1, "run")])
    seen = await service.get(made.id, namespace="default")
    assert (seen.last_task_id, seen.error_count) == (task_id, 0)
    assert seen.next_at == made.created_at + timedelta(seconds=120)


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("run_once", 1), ("run_all", 10)])
async def test_missed_due_times_are_run_by_the_policy(
    database: Database,
    service: ScheduleService,
    ticker: Ticker,
    clock: Clock,
    missed: str,
    count: int,
) -> None:
    await service.create(_wanted(missed=missed, overlap="allow"), caller=LOCAL)
    clock.now += timedelta(seconds=10 * 60 + 30)
    assert len(await ticker.tick()) == count
    clock.now += timedelta(seconds=31)
    assert len(await ticker.tick()) == 1


async def test_no_task_is_made_while_the_one_before_is_not_over(
    database: Database, service: ScheduleService, ticker: Ticker, clock: Clock
) -> None:
    made = await service.create(_wanted(), caller=LOCAL)
    clock.now += timedelta(seconds=61)
    [first] = await ticker.tick()
    clock.now += timedelta(seconds=60)
    assert await ticker.tick() == []
    seen = await service.get(made.id, namespace="default")
    assert seen.error_count == 1
    assert "not over" in (seen.last_error or "")
    database.run_sync(lambda c: tasks.cancel(c, first))
    clock.now += timedelta(seconds=60)
    assert len(await ticker.tick()) == 1


async def test_a_quota_that_is_used_up_counts_as_an_error_and_the_schedule_goes_on(
    database: Database, service: ScheduleService, ticker: Ticker, clock: Clock
) -> None:
    made = await service.create(_wanted(overlap="allow"), caller=LOCAL)
    database.run_sync(lambda c: namespaces.change(c, "default", {"tasks_per_day": 0}))
    clock.now += timedelta(seconds=61)
    assert await ticker.tick() == []
    seen = await service.get(made.id, namespace="default")
    assert (seen.error_count, seen.next_at) == (1, made.created_at + timedelta(seconds=120))
    assert _made(database) == []


async def test_a_single_time_is_due_once_and_then_never_again(
    service: ScheduleService, ticker: Ticker, clock: Clock
) -> None:
    at = clock.now + timedelta(hours=1)
    made = await service.create(_wanted(timing={"at": at.isoformat()}), caller=LOCAL)
    clock.now += timedelta(hours=2)
    assert len(await ticker.tick()) == 1
    assert (await service.get(made.id, namespace="default")).next_at is None


async def test_a_schedule_is_changed_held_run_by_hand_and_removed(
    database: Database, service: ScheduleService, ticker: Ticker, clock: Clock
) -> None:
    made = await service.create(_wanted(), caller=LOCAL)
    await service.change(made.id, SchedulePatch(enabled=False), namespace="default")
    clock.now += timedelta(hours=1)
    assert await ticker.tick() == []
    assert await service.run(made.id, namespace="default") == _made(database)[0].id
    page = await service.list("default", cursor=None, limit=10)
    assert [item.id for item in page.items] == [made.id]
    for namespace in ("other", "default"):
        gone = namespace == "default"
        if gone:
            await service.remove(made.id, namespace=namespace)
        with pytest.raises(NotFoundError):
            await service.get(made.id, namespace=namespace)
    assert len(_made(database)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"task": {"instruction": "x", "files": ["f_1"]}},
        {"task": {"instruction": "x", "schedule": {"at": "2099-01-01T00:00:00Z"}}},
        {"timing": {"at": "2001-01-01T00:00:00Z"}},
    ],
)
async def test_what_a_schedule_cannot_do_is_refused(
    service: ScheduleService, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError):
        await service.create(_wanted(**fields), caller=LOCAL)


async def test_a_ticker_wakes_for_a_schedule_made_meanwhile(
    database: Database, queue: Queue
) -> None:
    ticker = Ticker(database, queue)
    service = ScheduleService(database, queue, ticker)
    running = asyncio.create_task(ticker.run())
    try:
        await service.create(_wanted(timing={"interval_s": 1}), caller=LOCAL)
        async with asyncio.timeout(20):
            while not _made(database):  # noqa: ASYNC110 - what is waited for lies in a database
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-400, 400)), max_size=12))
async def test_whoever_ticks_and_wherever_clocks_jump_a_due_time_makes_at_most_one_task(
    database: Database, queue: Queue, jumps: list[tuple[int, int]]
) -> None:
    clock = Clock()
    tickers = [Ticker(database, queue, clock), Ticker(database, queue, clock)]
    service = ScheduleService(database, queue, tickers[0])
    wanted = _wanted(missed="run_all", overlap="allow")
    made = await service.create(wanted, caller=LOCAL)
    for who, seconds in jumps:
        clock.now += timedelta(seconds=seconds)
        both = (tickers[who].tick(), tickers[1 - who].tick())
        await asyncio.gather(*both)
    came = database.run_sync(
        lambda c: c.execute(
            select(occurrences.c.due_at, occurrences.c.task_id).where(
                occurrences.c.schedule_id == made.id
            )
        ).all()
    )
    ids = database.run_sync(lambda c: set(c.execute(select(task_rows.c.id)).scalars()))
    assert len({row.due_at for row in came}) == len(came)
    assert {row.task_id for row in came} <= ids
    row = database.run_sync(lambda c: schedules.get(c, made.id, "default"))
    assert row is not None
    assert row.next_at is not None
    await service.remove(made.id, namespace="default")
