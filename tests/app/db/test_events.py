import threading

import pytest
from sqlalchemy import Connection

from app.api.stream import event_text
from app.db import claims, events
from app.db.records import Claim
from app.errors import Fenced
from memory.database import Database
from tests.support.service import claimed, found, put, queued, unqueued

EVERYTHING = 10_000


def _numbers(database: Database, task_id: str = "t_1") -> list[int]:
    rows = database.run_sync(lambda c: events.after(c, task_id, 0, EVERYTHING))
    return [row.seq for row in rows]


def test_numbers_are_gapless_however_many_write_at_once(database: Database) -> None:
    put(database, queued("t_1"), queued("t_2"))
    faults: list[BaseException] = []

    def write(task_id: str) -> None:
        try:
            for n in range(20):
                database.run_sync(lambda c, n=n: events.append(c, task_id, "note", {"n": n}))
        except BaseException as error:  # noqa: BLE001 - a fault in a thread must fail the test
            faults.append(error)

    threads = [threading.Thread(target=write, args=(f"t_{1 + n % 2}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    for task_id in ("t_1", "t_2"):
        assert _numbers(database, task_id) == list(range(1, 62))
        assert found(database, task_id).last_seq == 61


def test_a_fact_that_is_rolled_back_leaves_no_gap(database: Database) -> None:
    put(database, queued())

    def fail(connection: Connection) -> None:
        events.append(connection, "t_1", "note", {})
        raise ValueError("something after it fails")

    with pytest.raises(ValueError, match="after it"):
        database.run_sync(fail)
    database.run_sync(lambda c: events.append(c, "t_1", "note", {"kept": True}))
    assert _numbers(database) == [1, 2]


def test_only_the_newest_claim_may_append(database: Database) -> None:
    put(database, queued())
    old = database.run_sync(lambda c: claimed(c, "one", "run"))
    assert isinstance(old, Claim)
    database.run_sync(lambda c: claims.put_back(c, "one", unqueued))
    new = database.run_sync(lambda c: claimed(c, "two", "run"))
    assert isinstance(new, Claim)
    before = _numbers(database)
    with pytest.raises(Fenced):
        database.run_sync(lambda c: events.append(c, "t_1", "note", {}, epoch=old.epoch))
    database.run_sync(lambda c: events.append(c, "t_1", "note", {}, epoch=new.epoch))
    assert _numbers(database) == [*before, before[-1] + 1]


def test_what_json_does_not_know_is_replaced_so_that_it_can_be_sent(database: Database) -> None:
    put(database, queued())
    told = {"x": float("nan"), "y": (1, 2), "z": "a\ud800\0"}
    database.run_sync(lambda c: events.append(c, "t_1", "note", told))
    row = database.run_sync(lambda c: events.after(c, "t_1", 1, 1))[0]
    assert row.data == {"x": None, "y": [1, 2], "z": "a?\0"}
    assert event_text(row).startswith("id: 2\nevent: note\ndata: {")
