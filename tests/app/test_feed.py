import asyncio
from contextlib import aclosing
from functools import partial

import pytest

from app.db import events
from app.feed import Feed
from app.wakes import Wakes
from memory.database import Database
from tests.support.service import put, queued, until

pytestmark = pytest.mark.anyio


def write(database: Database, count: int = 1, kind: str = "note") -> None:
    for _ in range(count):
        database.run_sync(partial(events.append, task_id="t_1", kind=kind, data={}))


async def read_to_end(feed: Feed, after: int = 0) -> list[int]:
    seen: list[int] = []
    async with aclosing(feed.follow("t_1", after)) as rows:
        async for row in rows:
            seen.append(row.seq)
            if row.kind == "end":
                return seen
    return seen


async def test_two_hundred_readers_see_every_event_once_and_share_their_reads(
    database: Database,
) -> None:
    put(database, queued())
    wakes = Wakes()
    feed = Feed(database, wakes, poll_s=30)
    readers = [asyncio.create_task(read_to_end(feed)) for _ in range(200)]
    await until(lambda: wakes.readers == 200)
    for kind in [*["note"] * 20, "end"]:
        await asyncio.to_thread(write, database, kind=kind)
        wakes.wake("t_1")
    seen = await asyncio.gather(*readers)
    last = seen[0][-1]
    assert all(numbers == list(range(1, last + 1)) for numbers in seen)
    assert feed.reads < 200


async def test_what_another_process_writes_is_seen_by_polling_alone(database: Database) -> None:
    put(database, queued())
    feed = Feed(database, Wakes(), poll_s=0.01)
    reader = asyncio.create_task(read_to_end(feed))
    await until(lambda: feed.polls > 2)
    await asyncio.to_thread(write, database, 450)
    await asyncio.to_thread(write, database, kind="end")
    async with asyncio.timeout(20):
        seen = await reader
    assert seen == list(range(1, seen[-1] + 1))


async def test_idle_readers_cost_one_poll_for_all_and_none_once_they_left(
    database: Database,
) -> None:
    put(database, queued())
    wakes = Wakes()
    feed = Feed(database, wakes, poll_s=0.01)
    readers = [asyncio.create_task(read_to_end(feed)) for _ in range(50)]
    await until(lambda: wakes.readers == 50 and feed.polls > 1)
    polls, reads = feed.polls, feed.reads
    await until(lambda: feed.polls > polls + 10)
    assert feed.reads <= reads + 2
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert (wakes.readers, wakes.followed) == (0, [])
    assert not feed.polling


async def test_a_reader_who_leaves_takes_no_read_from_the_others(database: Database) -> None:
    put(database, queued())
    wakes = Wakes()
    feed = Feed(database, wakes, poll_s=30)
    leaving, staying = (asyncio.create_task(read_to_end(feed)) for _ in range(2))
    await until(lambda: wakes.readers == 2)
    await asyncio.to_thread(write, database, kind="end")
    wakes.wake("t_1")
    leaving.cancel()
    assert (await staying)[-1] > 0


async def test_a_reader_who_does_not_read_holds_one_page_and_nobody_up(database: Database) -> None:
    put(database, queued())
    feed = Feed(database, Wakes(), poll_s=0.01)
    async with aclosing(feed.follow("t_1", 0)) as lazy:
        assert (await anext(lazy)).seq == 1
        await asyncio.to_thread(write, database, 1000)
        await asyncio.to_thread(write, database, kind="end")
        seen = await read_to_end(feed)
        assert len(seen) == seen[-1] > 1000
        assert [(await anext(lazy)).seq for _ in seen[1:]] == seen[1:]
