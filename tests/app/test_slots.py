"""Places at models: never more than the bound, and none is lost with the dead or the cancelled."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.slots import FileLocks, Locks, SharedSlots
from app.slots_postgres import PostgresLocks
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.anyio
Open = Callable[[], Locks]
HOLDER = """
import asyncio, sys
from pathlib import Path
from app.slots import FileLocks, SharedSlots
from app.slots_postgres import PostgresLocks
kind, place = sys.argv[1:]
async def hold():
    locks = FileLocks(Path(place)) if kind == "files" else PostgresLocks(place)
    async with SharedSlots(locks).held("qwen", 1):
        print("held", flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""


@pytest.fixture(params=["files", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Where the locks are: a folder, or the address of a server."""
    if kind == "files":
        yield str(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.fresh() as url:
        yield url.replace("+psycopg", "")


@asynccontextmanager
async def processes(kind: str, place: str, count: int) -> AsyncGenerator[list[SharedSlots]]:
    """Give as many slots as there would be in so many processes."""
    if kind == "files":
        yield [SharedSlots(FileLocks(Path(place))) for _ in range(count)]
        return
    locks = [PostgresLocks(place) for _ in range(count)]
    try:
        yield [SharedSlots(own) for own in locks]
    finally:
        for own in locks:
            await own.close()


class Server:
    """A model's server that knows how many ask it at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.answered = 0

    async def ask(
        self, slots: SharedSlots, bound: int, work: Callable[[], Awaitable[None]]
    ) -> None:
        """Ask under a place."""
        async with slots.held("qwen", bound):
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await work()
            finally:
                self.now -= 1
        self.answered += 1


async def test_processes_together_never_pass_the_bound(kind: str, place: str) -> None:
    server = Server()
    async with processes(kind, place, 3) as several, asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(server.ask(several[number % 3], 2, _a_moment))
    assert server.most <= 2
    assert server.answered == 30


async def test_as_many_as_the_bound_ask_at_once(kind: str, place: str) -> None:
    server = Server()
    async with processes(kind, place, 2) as (one, other), one.held("qwen", 3):
        async with other.held("qwen", 3), other.held("qwen", 3):
            waiting = asyncio.create_task(server.ask(one, 3, _a_moment))
            await asyncio.wait([waiting], timeout=0.2)
            assert server.most == 0
        await waiting
    assert server.answered == 1


async def test_a_cancelled_caller_leaves_its_place_to_others(kind: str, place: str) -> None:
    chance = random.Random(3)  # noqa: S311 - dice of a test
    server = Server()
    async with processes(kind, place, 2) as several:
        asking = [
            asyncio.create_task(server.ask(several[number % 2], 2, _a_moment))
            for number in range(24)
        ]
        while not all(one.done() for one in asking[::3]):
            await asyncio.sleep(0)
            chance.choice(asking[::3]).cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.gather(*(server.ask(one, 1, _a_moment) for one in several))
    assert server.now == 0
    assert server.most <= 2
    assert server.answered >= 18


async def test_the_place_of_a_process_that_was_killed_is_free(kind: str, place: str) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [sys.executable, "-c", HOLDER, kind, place], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    server = Server()
    async with processes(kind, place, 1) as (slots,):
        waiting = asyncio.create_task(server.ask(slots, 1, _a_moment))
        await asyncio.wait([waiting], timeout=0.3)
        assert server.most == 0
        holder.kill()
        holder.wait()
        await asyncio.wait_for(waiting, 10)
    holder.stdout.close()
    assert server.answered == 1


async def test_within_a_process_the_first_comes_first(tmp_path: Path) -> None:
    slots, order = SharedSlots(FileLocks(tmp_path)), list[int]()

    async def ask(number: int) -> None:
        async with slots.held("qwen", 1):
            order.append(number)
            await _a_moment()

    await asyncio.gather(*(ask(number) for number in range(10)))
    assert order == list(range(10))


async def test_models_do_not_wait_for_one_another(tmp_path: Path) -> None:
    slots = SharedSlots(FileLocks(tmp_path))
    async with slots.held("qwen", 1), slots.held("../other/model", 1):
        assert len(os.listdir(tmp_path)) == 2  # noqa: PTH208 - its two locks


async def test_a_server_that_goes_away_holds_nobody_up(postgres: PostgresServer) -> None:
    with postgres.fresh() as url:
        locks = PostgresLocks(url.replace("+psycopg", ""))
        slots, server = SharedSlots(locks), Server()

        async def cut() -> None:
            await locks.close()

        await server.ask(slots, 1, cut)
        await server.ask(slots, 1, _a_moment)
        await locks.close()
    assert server.answered == 2


async def _a_moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
