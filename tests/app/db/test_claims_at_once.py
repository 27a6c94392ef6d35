"""What one process writes while another, which must not be waited for, writes about the same."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from sqlalchemy import Connection

from app.db import claims, endings, tasks
from app.db.records import Claim
from memory.database import Database
from tests.support.service import claimed, found, put, queued, unqueued

T = TypeVar("T")
DONE = endings.Ending(status="succeeded", end_reason="done", answer="42")
_A_WHILE_S = 0.3


def _claim(database: Database, owner: str = "one") -> Claim:
    claim = database.run_sync(lambda c: claimed(c, owner, "run"))
    assert claim is not None
    return claim


def _while(
    database: Database, first: Callable[[Connection], object], second: Callable[[Connection], T]
) -> T:
    """Begin with `second` once `first` is written, which is committed only then."""
    with ThreadPoolExecutor(1) as threads:
        with database.engine.begin() as connection:
            first(connection)
            writing: Future[T] = threads.submit(database.run_sync, second)
            wait([writing], _A_WHILE_S)
        return writing.result(30)


def test_a_task_that_ends_while_its_process_is_buried_stays_ended(database: Database) -> None:
    put(database, queued())
    claim = _claim(database)
    put_back = _while(
        database,
        lambda c: endings.finish(c, claim, DONE, enqueue=unqueued),
        lambda c: claims.put_back(c, "one", unqueued),
    )
    assert put_back == []
    assert (found(database).status, found(database).owner) == ("succeeded", None)


def test_a_task_that_is_cancelled_while_it_is_handed_over_stays_cancelled(
    database: Database,
) -> None:
    put(database, queued())
    claim = _claim(database)
    _while(
        database,
        lambda c: tasks.cancel(c, "t_1"),
        lambda c: claims.release(c, claim, unqueued),
    )
    assert found(database).status == "cancelled"


def test_a_task_locked_by_the_dead_holds_up_none_of_the_others(database: Database) -> None:
    put(database, queued("t_1"), queued("t_2"))
    claim, _ = _claim(database), _claim(database)
    put_back = _while(
        database,
        lambda c: claims.own(c, claim),
        lambda c: claims.put_back(c, "one", unqueued),
    )
    put_back += database.run_sync(lambda c: claims.put_back(c, "one", unqueued))
    assert sorted(put_back) == ["t_1", "t_2"]
