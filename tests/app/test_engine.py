import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from app.db import claims, endings, tasks
from app.db.records import Claim
from app.db.tables import tasks as rows
from app.engine import EmbeddedEngine, EngineConfig
from app.liveness import Liveness
from app.wakes import Wakes
from memory.database import Database
from tests.support.service import found, put, queued, until

pytestmark = pytest.mark.anyio
DONE = endings.Ending(status="succeeded", end_reason="done", answer="42")
Work = Callable[[Claim], Awaitable[None]]


class Hands:
    """A worker that finishes what it is given, or does what a test says."""

    def __init__(self, database: Database, work: Work | None = None) -> None:
        self.database = database
        self.seen: list[Claim] = []
        self.stopped: list[Claim] = []
        self._work = work

    async def work(self, claim: Claim) -> None:
        self.seen.append(claim)
        try:
            if self._work is not None:
                await self._work(claim)
            elif claim.phase == "run":
                await self.finish(claim)
            else:
                await self.database.run(partial(endings.learned, claim=claim, items=()))
        except asyncio.CancelledError:
            self.stopped.append(claim)
            raise

    async def finish(self, claim: Claim) -> None:
        await self.database.run(partial(endings.finish, claim=claim, ending=DONE, learn=True))


async def _forever(_claim: Claim) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def working(
    database: Database, folder: Path, work: Work | None = None, **config: float
) -> AsyncGenerator[tuple[EmbeddedEngine, Hands]]:
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    hands = Hands(database, work)
    quick = {"poll_s": 0.02, "sweep_s": 0.05} | config
    engine = EmbeddedEngine(
        database,
        hands,
        Liveness(locks),
        Wakes(),
        EngineConfig(**quick),  # pyright: ignore[reportArgumentType] - numbers by name
    )
    await engine.start()
    try:
        yield engine, hands
    finally:
        await engine.stop(0)


async def test_a_queued_task_is_run_and_then_learned_from(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path) as (engine, hands):
        put(database, queued())
        await engine.submit("t_1")
        await until(lambda: found(database).learning == "done")
    assert [(claim.phase, claim.epoch) for claim in hands.seen] == [("run", 1), ("learn", 2)]


async def test_a_task_of_another_process_is_noticed_without_being_told(
    database: Database, tmp_path: Path
) -> None:
    async with working(database, tmp_path):
        put(database, queued())
        await until(lambda: found(database).status == "succeeded")


async def test_no_more_tasks_run_at_once_than_allowed(database: Database, tmp_path: Path) -> None:
    put(database, *(queued(f"t_{n}") for n in range(9)))
    now_running = most = 0

    async def work(claim: Claim) -> None:
        nonlocal now_running, most
        now_running += 1
        most = max(most, now_running)
        await until(lambda: most >= 2)
        await database.run(partial(endings.finish, claim=claim, ending=DONE, learn=False))
        now_running -= 1

    async with working(database, tmp_path, work, concurrency=2):
        await until(lambda: all(found(database, f"t_{n}").over for n in range(9)))
    assert most == 2


async def test_two_engines_on_one_home_never_run_a_task_twice(
    database: Database, tmp_path: Path
) -> None:
    put(database, *(queued(f"t_{n}") for n in range(20)))
    async with working(database, tmp_path) as (_, one), working(database, tmp_path) as (_, two):
        await until(lambda: all(found(database, f"t_{n}").learning == "done" for n in range(20)))
    ran = [claim.task_id for claim in [*one.seen, *two.seen] if claim.phase == "run"]
    assert sorted(ran) == sorted(f"t_{n}" for n in range(20))


async def test_cancelling_stops_the_work_in_this_process_at_once(
    database: Database, tmp_path: Path
) -> None:
    put(database, queued())
    async with working(database, tmp_path, _forever, poll_s=600.0) as (engine, hands):
        await until(lambda: bool(hands.seen))
        database.run_sync(lambda c: tasks.cancel(c, "t_1"))
        await engine.cancel("t_1")
        await until(lambda: bool(hands.stopped))
    assert found(database).status == "cancelled"


async def test_cancelling_from_another_process_stops_the_work_too(
    database: Database, tmp_path: Path
) -> None:
    put(database, queued())
    async with working(database, tmp_path, _forever) as (_, hands):
        await until(lambda: bool(hands.seen))
        database.run_sync(lambda c: tasks.cancel(c, "t_1"))
        await until(lambda: bool(hands.stopped))


async def test_stopping_puts_running_tasks_back_for_the_next_process(
    database: Database, tmp_path: Path
) -> None:
    put(database, queued())
    async with working(database, tmp_path, _forever) as (_, hands):
        await until(lambda: bool(hands.seen))
    task = found(database)
    assert (task.status, task.owner, task.deaths) == ("queued", None, 0)
    async with working(database, tmp_path):
        await until(lambda: found(database).learning == "done")


async def test_stopping_lets_a_task_finish_within_the_time_allowed(
    database: Database, tmp_path: Path
) -> None:
    put(database, queued())
    go_on = asyncio.Event()

    async def work(claim: Claim) -> None:
        await go_on.wait()
        await database.run(partial(endings.finish, claim=claim, ending=DONE, learn=True))

    async with working(database, tmp_path, work) as (engine, hands):
        await until(lambda: bool(hands.seen))
        stopping = asyncio.create_task(engine.stop(30))
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert found(database).status == "succeeded"
    assert found(database).learning == "pending"


async def test_what_a_dead_process_held_is_taken_over(database: Database, tmp_path: Path) -> None:
    put(database, queued())
    async with working(database, tmp_path) as (_, hands):
        await until(lambda: found(database).learning == "done")
        put(database, queued("t_2"))
        await until(lambda: found(database, "t_2").learning == "done")
        database.run_sync(lambda c: tasks.create(c, queued("t_3", status="paused")))
        _pretend_claimed(database, "t_3", "dead")
        await until(lambda: found(database, "t_3").learning == "done")
    assert [c.epoch for c in hands.seen if c.task_id == "t_3"] == [9, 10]


def _pretend_claimed(database: Database, task_id: str, owner: str) -> None:
    statement = update(rows).where(rows.c.id == task_id)
    values = {"status": "running", "owner": owner, "epoch": 7}
    database.run_sync(lambda c: c.execute(statement.values(**values)))


async def test_a_fault_of_ours_ends_the_task_without_telling_its_trace(
    database: Database, tmp_path: Path
) -> None:
    async def work(_claim: Claim) -> None:
        raise RuntimeError("secret detail")

    put(database, queued())
    async with working(database, tmp_path, work):
        await until(lambda: found(database).over)
    task = found(database)
    assert (task.status, task.end_reason, task.learning) == ("failed", "internal", "done")
    assert "secret" not in (task.error or "")


async def test_a_failing_database_puts_the_task_back_instead_of_failing_it(
    database: Database, tmp_path: Path
) -> None:
    tried: list[Claim] = []

    async def work(claim: Claim) -> None:
        tried.append(claim)
        if len(tried) == 1:
            raise OperationalError("UPDATE", {}, Exception("disk I/O error"))
        await database.run(partial(endings.finish, claim=claim, ending=DONE, learn=False))

    put(database, queued())
    async with working(database, tmp_path, work):
        await until(lambda: found(database).over)
    assert found(database).status == "succeeded"


async def test_a_fault_while_learning_only_loses_the_lesson(
    database: Database, tmp_path: Path
) -> None:
    async def work(claim: Claim) -> None:
        if claim.phase == "learn":
            raise RuntimeError
        await database.run(partial(endings.finish, claim=claim, ending=DONE, learn=True))

    put(database, queued())
    async with working(database, tmp_path, work):
        await until(lambda: found(database).learning == "done")
    assert found(database).status == "succeeded"


async def test_the_claims_of_a_stopped_engine_are_all_given_back(
    database: Database, tmp_path: Path
) -> None:
    put(database, *(queued(f"t_{n}") for n in range(4)))
    async with working(database, tmp_path, _forever, concurrency=3):
        await until(lambda: len(database.run_sync(claims.owners)) == 1)
    assert database.run_sync(claims.owners) == set()
