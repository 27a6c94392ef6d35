import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dbos._serialization import DefaultSerializer
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from app.db import claims, endings, tasks
from app.db.records import Claim, TaskRow, turn_of
from app.db.tables import tasks as rows
from app.db.types import now
from app.durable.engine import DurableEngine
from app.durable.store import TurnStore, workflow_id
from app.engine import EngineConfig
from app.liveness import Liveness
from app.wakes import Wakes
from memory.database import Database
from tests.support.service import found, put, queued, until

pytestmark = pytest.mark.anyio
DONE = endings.Ending(status="succeeded", end_reason="done", answer="42")
Work = Callable[[Claim], Awaitable[None]]


@pytest.fixture
def store(database: Database) -> Iterator[TurnStore]:
    opened = TurnStore(database)
    yield opened
    opened.close()


class Hands:
    """A worker that finishes what it is given, or does what a test says."""

    def __init__(self, database: Database, store: TurnStore, work: Work | None = None) -> None:
        self.database = database
        self.store = store
        self.seen: list[Claim] = []
        self.stopped: list[Claim] = []
        self._work = work

    async def work(self, claim: Claim) -> None:
        self.seen.append(claim)
        try:
            if self._work is not None:
                await self._work(claim)
            elif claim.phase == "run":
                await finish(self.database, self.store, claim)
            else:
                await self.database.run(partial(endings.learned, claim=claim, items=()))
        except asyncio.CancelledError:
            self.stopped.append(claim)
            raise


async def finish(database: Database, store: TurnStore, claim: Claim) -> None:
    await database.run(partial(endings.finish, claim=claim, ending=DONE, enqueue=store.enqueue))


async def _forever(_claim: Claim) -> None:
    await asyncio.Event().wait()


def submit(database: Database, store: TurnStore, *tasks_: TaskRow) -> None:
    """Insert tasks and queue them, each in one transaction."""
    for task in tasks_:

        def work(connection: Any, task: TaskRow = task) -> None:
            tasks.create(connection, task)
            store.enqueue(connection, turn_of(task))

        database.run_sync(work)


@asynccontextmanager
async def working(
    database: Database, store: TurnStore, folder: Path, work: Work | None = None, **config: Any
) -> AsyncGenerator[tuple[DurableEngine, Hands]]:
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    hands = Hands(database, store, work)
    quick: dict[str, Any] = {"poll_s": 0.02, "sweep_s": 0.05} | config
    engine = DurableEngine(database, store, hands, Liveness(locks), Wakes(), EngineConfig(**quick))
    await engine.start()
    try:
        yield engine, hands
    finally:
        await engine.stop(0)


async def test_a_queued_task_is_run_and_then_learned_from(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    async with working(database, store, tmp_path) as (_, hands):
        submit(database, store, queued())
        await until(lambda: found(database).learning == "done")
    assert [(claim.phase, claim.epoch) for claim in hands.seen] == [("run", 1), ("learn", 2)]


async def test_a_task_of_this_process_is_begun_without_waiting_for_the_next_poll(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    async with working(database, store, tmp_path, poll_s=600.0) as (engine, _):
        for name in ("t_1", "t_2"):
            submit(database, store, queued(name))
            await engine.submit(name)
            await until(lambda name=name: found(database, name).learning == "done")


async def test_no_more_tasks_run_at_once_than_allowed(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, *(queued(f"t_{n}") for n in range(9)))
    now_running = most = 0

    async def work(claim: Claim) -> None:
        nonlocal now_running, most
        now_running += 1
        most = max(most, now_running)
        await until(lambda: most >= 2)
        await database.run(partial(endings.finish, claim=claim, ending=DONE, enqueue=None))
        now_running -= 1

    async with working(database, store, tmp_path, work, concurrency=2):
        await until(lambda: all(found(database, f"t_{n}").over for n in range(9)))
    assert most == 2


async def test_a_namespace_never_runs_more_at_once_than_its_share(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    crowd = [queued(f"t_{n}", namespace="crowd") for n in range(6)]
    submit(database, store, *crowd, queued("t_one", namespace="single"))
    busy: dict[str, int] = {"crowd": 0, "single": 0}
    most = dict(busy)

    async def work(claim: Claim) -> None:
        name = found(database, claim.task_id).namespace
        busy[name] += 1
        most[name] = max(most[name], busy[name])
        await until(lambda: most["crowd"] >= 2 and most["single"] == 1)
        await database.run(partial(endings.finish, claim=claim, ending=DONE, enqueue=None))
        busy[name] -= 1

    async with working(database, store, tmp_path, work, concurrency=8, namespace_concurrency=2):
        await until(lambda: all(found(database, task.id).over for task in crowd))
    assert most == {"crowd": 2, "single": 1}


async def test_what_is_more_urgent_comes_first_then_what_was_begun_and_equals_in_order(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    names = {"t_low": -5, "t_first": 0, "t_second": 0, "t_high": 7}
    submit(database, store, *(queued(n, priority=p) for n, p in names.items()))
    submit(database, store, queued("t_begun", started_at=now()))
    async with working(database, store, tmp_path, concurrency=1) as (_, hands):
        await until(lambda: all(found(database, n).learning == "done" for n in [*names, "t_begun"]))
    ran = [claim.task_id for claim in hands.seen if claim.phase == "run"]
    assert ran == ["t_high", "t_begun", "t_first", "t_second", "t_low"]


async def test_a_task_that_is_not_due_waits(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    later = now() + timedelta(hours=1)
    submit(database, store, queued("t_later", not_before=later), queued("t_now"))
    async with working(database, store, tmp_path):
        await until(lambda: found(database, "t_now").learning == "done")
    assert found(database, "t_later").status == "queued"


async def test_cancelling_stops_the_work_in_this_process_at_once(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued())
    async with working(database, store, tmp_path, _forever) as (engine, hands):
        await until(lambda: bool(hands.seen))
        database.run_sync(lambda c: tasks.cancel(c, "t_1"))
        await engine.cancel("t_1")
        await until(lambda: bool(hands.stopped))
    assert found(database).status == "cancelled"


async def test_cancelling_from_another_process_stops_the_work_too(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued())
    async with working(database, store, tmp_path, _forever) as (_, hands):
        await until(lambda: bool(hands.seen))
        database.run_sync(lambda c: tasks.cancel(c, "t_1"))
        await until(lambda: bool(hands.stopped))


async def test_a_task_cancelled_while_it_waits_is_never_begun(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued(), queued("t_2"))
    database.run_sync(lambda c: tasks.cancel(c, "t_1"))
    async with working(database, store, tmp_path) as (_, hands):
        await until(lambda: found(database, "t_2").learning == "done")
    assert {claim.task_id for claim in hands.seen} == {"t_2"}


async def test_stopping_hands_running_tasks_to_the_next_process(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued())
    async with working(database, store, tmp_path, _forever) as (_, hands):
        await until(lambda: bool(hands.seen))
    task = found(database)
    assert (task.status, task.owner, task.deaths, task.turn) == ("queued", None, 0, 2)
    async with working(database, store, tmp_path):
        await until(lambda: found(database).learning == "done")


async def test_stopping_lets_a_task_finish_within_the_time_allowed(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued())
    go_on = asyncio.Event()

    async def work(claim: Claim) -> None:
        await go_on.wait()
        await finish(database, store, claim)

    async with working(database, store, tmp_path, work) as (engine, hands):
        await until(lambda: bool(hands.seen))
        stopping = asyncio.create_task(engine.stop(30))
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert found(database).status == "succeeded"
    assert found(database).learning == "pending"


async def test_a_turn_that_a_buried_process_had_taken_goes_to_another(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued())
    table = "dbos.workflow_status" if database.is_postgres else "workflow_status"
    taken = text(f"UPDATE {table} SET status = 'PENDING', executor_id = 'buried'")  # noqa: S608 - ours
    database.run_sync(lambda c: c.execute(taken))
    async with working(database, store, tmp_path):
        await until(lambda: found(database).learning == "done")
    assert store.takers() == set()


async def test_what_a_dead_process_held_is_taken_over(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    put(database, queued("t_3"))
    _pretend_claimed(database, "t_3", "dead")
    async with working(database, store, tmp_path) as (_, hands):
        await until(lambda: found(database, "t_3").learning == "done")
    assert [c.epoch for c in hands.seen if c.task_id == "t_3"] == [9, 10]


def _pretend_claimed(database: Database, task_id: str, owner: str) -> None:
    statement = update(rows).where(rows.c.id == task_id)
    values = {"status": "running", "owner": owner, "epoch": 7}
    database.run_sync(lambda c: c.execute(statement.values(**values)))


async def test_a_task_of_an_older_home_that_no_queue_knows_is_worked_on(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    put(database, queued())
    async with working(database, store, tmp_path):
        await until(lambda: found(database).learning == "done")


async def test_a_run_of_newer_graphs_is_left_for_a_newer_process(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, queued("t_newer", graph_version=999), queued("t_ours"))
    async with working(database, store, tmp_path, concurrency=1) as (_, hands):
        await until(lambda: found(database, "t_ours").learning == "done")
        await until(lambda: found(database, "t_newer").turn > 1)
    newer = found(database, "t_newer")
    assert newer.status == "queued"
    assert {claim.task_id for claim in hands.seen} == {"t_ours"}
    assert store.alive([workflow_id("t_newer", newer.turn, "run")])


async def test_a_fault_of_ours_ends_the_task_without_telling_its_trace(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    async def work(_claim: Claim) -> None:
        raise RuntimeError("secret detail")

    submit(database, store, queued())
    async with working(database, store, tmp_path, work):
        await until(lambda: found(database).over)
    task = found(database)
    assert (task.status, task.end_reason, task.learning) == ("failed", "internal", "done")
    assert "secret" not in (task.error or "")


async def test_a_failing_database_puts_the_task_back_instead_of_failing_it(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    tried: list[Claim] = []

    async def work(claim: Claim) -> None:
        tried.append(claim)
        if len(tried) == 1:
            raise OperationalError("UPDATE", {}, Exception("disk I/O error"))
        await database.run(partial(endings.finish, claim=claim, ending=DONE, enqueue=None))

    submit(database, store, queued())
    async with working(database, store, tmp_path, work):
        await until(lambda: found(database).over)
    assert found(database).status == "succeeded"


async def test_a_fault_while_learning_only_loses_the_lesson(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    async def work(claim: Claim) -> None:
        if claim.phase == "learn":
            raise RuntimeError
        await finish(database, store, claim)

    submit(database, store, queued())
    async with working(database, store, tmp_path, work):
        await until(lambda: found(database).learning == "done")
    assert found(database).status == "succeeded"


async def test_the_claims_of_a_stopped_engine_are_all_given_back(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    submit(database, store, *(queued(f"t_{n}") for n in range(4)))
    async with working(database, store, tmp_path, _forever, concurrency=3):
        await until(lambda: len(database.run_sync(claims.owners)) == 1)
    assert database.run_sync(claims.owners) == set()


async def test_one_process_runs_one_engine(
    database: Database, store: TurnStore, tmp_path: Path
) -> None:
    async with working(database, store, tmp_path):
        with pytest.raises(RuntimeError, match="another engine"):
            async with working(database, store, tmp_path):
                pass


async def test_a_queued_turn_is_gone_with_its_transaction(
    database: Database, store: TurnStore
) -> None:
    def broken(connection: Any) -> None:
        tasks.create(connection, queued())
        store.enqueue(connection, turn_of(queued()))
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised above
        database.run_sync(broken)
    assert store.alive([workflow_id("t_1", 1, "run")]) == set()


def test_a_forged_pickle_is_refused(store: TurnStore) -> None:
    assert store.client is not None
    with pytest.raises(ValueError, match="pickle"):
        DefaultSerializer().deserialize("gASVAAAAAAAAAA==")
