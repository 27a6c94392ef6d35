from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from agents.state import Step
from app.db import claims, endings, events, tasks, trace
from app.db.records import Claim, Phase
from app.errors import Fenced
from memory.database import Database
from tests.support.service import claimed, found, put, queued, unqueued

Write = Callable[[Connection], object]
DONE = endings.Ending(status="succeeded", end_reason="done", answer="42")


def _claim(database: Database, owner: str = "one", phase: Phase = "run") -> Claim:
    claim = database.run_sync(lambda c: claimed(c, owner, phase))
    assert claim is not None
    return claim


def _kinds(database: Database) -> list[str]:
    rows = database.run_sync(lambda c: events.after(c, "t_1", 0, 1000))
    return [row.data.get("status", row.kind) if row.kind == "task" else row.kind for row in rows]


def test_a_task_is_claimed_once_and_the_oldest_first(database: Database) -> None:
    first = queued("t_1")
    put(database, queued("t_2", created_at=first.created_at + timedelta(seconds=1)), first)
    assert [_claim(database).task_id for _ in range(2)] == ["t_1", "t_2"]
    assert database.run_sync(lambda c: claimed(c, "two", "run")) is None
    task = found(database)
    assert (task.status, task.owner, task.epoch) == ("running", "one", 1)
    assert task.started_at is not None


def test_a_dead_process_loses_its_task_and_may_write_nothing_more(database: Database) -> None:
    put(database, queued())
    old = _claim(database)
    assert database.run_sync(lambda c: claims.put_back(c, "one", unqueued)) == ["t_1"]
    assert found(database).status == "queued"
    writes: tuple[Write, ...] = (
        lambda c: trace.emit(c, old, "note", {}),
        lambda c: trace.add_step(c, old, Step(n=1, subgoal=0, thought="", calls=())),
        lambda c: trace.begin_call(c, old, "1", "shell", {}),
        lambda c: endings.finish(c, old, DONE, enqueue=unqueued),
        lambda c: endings.wait(c, old, "?"),
        lambda c: endings.learned(c, old, []),
        lambda c: claims.stumble(c, old, unqueued),
    )
    for write in writes:
        with pytest.raises(Fenced):
            database.run_sync(write)
    assert _kinds(database) == ["queued", "running", "queued"]


def test_putting_back_by_its_own_process_does_not_count_as_a_death(database: Database) -> None:
    put(database, queued())
    for _ in range(5):
        claim = _claim(database)
        database.run_sync(lambda c, claim=claim: claims.release(c, claim, unqueued))
    task = found(database)
    assert (task.status, task.owner, task.deaths) == ("queued", None, 0)
    assert task.worked_seconds > 0


def test_a_task_that_takes_down_three_processes_at_one_point_is_given_up(
    database: Database,
) -> None:
    put(database, queued())
    for owner in ("one", "two", "three"):
        assert found(database).status == "queued"
        claim = _claim(database, owner)
        database.run_sync(lambda c, claim=claim: trace.emit(c, claim, "note", {}))
        database.run_sync(lambda c, owner=owner: claims.put_back(c, owner, unqueued))
    task = found(database)
    assert (task.status, task.end_reason, task.learning) == ("failed", "internal", "done")
    assert "again and again" in (task.error or "")
    assert _kinds(database)[-2:] == ["failed", "end"]


def _lost(database: Database, owner: str, *, begun: bool) -> None:
    """Let a process claim everything and die."""
    while claim := database.run_sync(lambda c: claimed(c, owner, "run")):
        if begun:
            database.run_sync(lambda c, claim=claim: trace.emit(c, claim, "note", {}))
    database.run_sync(lambda c: claims.put_back(c, owner, unqueued))


@pytest.mark.parametrize(("others", "begun"), [(1, True), (0, False)])
def test_a_task_that_may_be_innocent_is_given_up_much_later(
    database: Database, others: int, *, begun: bool
) -> None:
    put(database, *[queued(f"t_{n}") for n in range(1, others + 2)])
    for n in range(claims.MAX_SUSPICION - 1):
        _lost(database, f"p{n}", begun=begun)
        assert found(database).status == "queued"
    _lost(database, "last", begun=begun)
    assert (found(database).status, found(database).end_reason) == ("failed", "internal")


def test_a_task_that_gets_further_each_time_may_lose_any_number_of_processes(
    database: Database,
) -> None:
    put(database, queued())
    for n in range(1, 7):
        claim = _claim(database, f"p{n}")
        step = Step(n=n, subgoal=0, thought="", calls=())
        database.run_sync(lambda c, claim=claim, step=step: trace.add_step(c, claim, step))
        database.run_sync(lambda c, n=n: claims.put_back(c, f"p{n}", unqueued))
    assert found(database).status == "queued"


def test_learning_is_claimed_after_the_end_and_goes_on_after_a_crash(database: Database) -> None:
    put(database, queued())
    claim = _claim(database)
    assert database.run_sync(lambda c: claimed(c, "one", "learn")) is None
    database.run_sync(lambda c: endings.finish(c, claim, DONE, enqueue=unqueued))
    _claim(database, "one", "learn")
    database.run_sync(lambda c: claims.put_back(c, "one", unqueued))
    assert found(database).status == "succeeded"
    again = _claim(database, "two", "learn")
    database.run_sync(lambda c: endings.learned(c, again, []))
    assert _kinds(database) == ["queued", "running", "answer", "succeeded", "learned", "end"]
    assert database.run_sync(lambda c: claimed(c, "one", "learn")) is None


def test_a_task_that_ended_does_not_end_again(database: Database) -> None:
    put(database, queued())
    claim = _claim(database)
    database.run_sync(lambda c: endings.finish(c, claim, DONE, enqueue=None))
    database.run_sync(lambda c: endings.finish(c, claim, DONE, enqueue=None))
    assert _kinds(database).count("end") == 1
    assert not database.run_sync(lambda c: tasks.cancel(c, "t_1"))


def test_cancelling_fences_whoever_works_and_closes_the_events(database: Database) -> None:
    put(database, queued())
    claim = _claim(database)
    assert database.run_sync(lambda c: tasks.cancel(c, "t_1"))
    with pytest.raises(Fenced):
        database.run_sync(lambda c: endings.finish(c, claim, DONE, enqueue=unqueued))
    database.run_sync(lambda c: claims.release(c, claim, unqueued))
    assert found(database).status == "cancelled"
    assert _kinds(database)[-2:] == ["cancelled", "end"]


def test_a_question_is_answered_once_and_waits_without_an_owner(database: Database) -> None:
    put(database, queued())
    claim = _claim(database)
    database.run_sync(lambda c: endings.wait(c, claim, "which?\0"))
    task = found(database)
    assert (task.status, task.owner, task.question) == ("waiting_input", None, "which?")
    assert database.run_sync(lambda c: tasks.answer(c, "t_1", "this"))
    assert not database.run_sync(lambda c: tasks.answer(c, "t_1", "that"))
    assert found(database).reply == "this"
    _claim(database)
    assert found(database).question is None
