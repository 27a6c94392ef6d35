import pytest

from agents.state import CallRecord, Step
from app.db import claims, endings, events, tasks
from app.db.records import Claim
from app.errors import Fenced
from app.recorder import SqlRecorder
from app.wakes import Wakes
from memory.database import Database
from models.messages import Usage
from tests.support.service import claimed, found, put, queued, unqueued

pytestmark = pytest.mark.anyio


def _record(key: str, tool: str = "shell", text: str = "ok") -> CallRecord:
    return CallRecord(id=key, tool=tool, arguments={}, ok=True, text=text)


@pytest.fixture
def claim(database: Database) -> Claim:
    put(database, queued())
    taken = database.run_sync(lambda c: claimed(c, "one", "run"))
    assert taken is not None
    return taken


@pytest.fixture
def recorder(database: Database, claim: Claim) -> SqlRecorder:
    return SqlRecorder(database, claim, Wakes())


async def test_a_call_is_new_then_begun_then_settled(recorder: SqlRecorder) -> None:
    assert await recorder.begin_call("1.0", "shell", {"command": "ls"}) is False
    assert await recorder.begin_call("1.0", "shell", {"command": "ls"}) is True
    await recorder.settle_call("1.0", _record("1.0"))
    assert await recorder.begin_call("1.0", "shell", {"command": "ls"}) == _record("1.0")
    assert await recorder.begin_call("1.1", "shell", {}) is False


async def test_the_journal_outlives_the_process(database: Database, recorder: SqlRecorder) -> None:
    await recorder.begin_call("1.0", "shell", {})
    await recorder.settle_call("1.0", _record("1.0", text="done before"))
    await recorder.begin_call("1.1", "shell", {})
    database.run_sync(lambda c: claims.put_back(c, "one", unqueued))
    again = database.run_sync(lambda c: claimed(c, "two", "run"))
    assert again is not None
    successor = SqlRecorder(database, again, Wakes())
    assert await successor.begin_call("1.0", "shell", {}) == _record("1.0", text="done before")
    assert await successor.begin_call("1.1", "shell", {}) is True
    with pytest.raises(Fenced):
        await recorder.settle_call("1.1", _record("1.1"))


async def test_costs_add_up_in_the_task_with_their_event(
    database: Database, recorder: SqlRecorder
) -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=5, usd=0.25, seconds=1.5, calls=1)
    assert await recorder.charge("manager.plan", "m", usage) == usage
    assert await recorder.charge("solver.operate", "m", usage) == usage + usage
    assert await recorder.spent() == usage + usage
    task = found(database)
    assert (task.usage, task.usd) == (usage + usage, 0.5)
    last = database.run_sync(lambda c: events.after(c, "t_1", task.last_seq - 1, 1))[0]
    assert (last.kind, last.data["purpose"]) == ("model", "solver.operate")


async def test_steps_are_kept_in_order_and_once_each(
    database: Database, recorder: SqlRecorder
) -> None:
    steps = [Step(n=n, subgoal=0, thought=f"step {n}", calls=(_record(str(n)),)) for n in (1, 2)]
    for step in [*steps, steps[1]]:
        await recorder.step(step)
    assert await recorder.trajectory() == steps
    assert found(database).steps == 2


async def test_the_task_shows_the_plan_as_it_goes(
    database: Database, recorder: SqlRecorder
) -> None:
    await recorder.emit("plan", {"thought": "so", "subgoals": ["a", "b"], "replan": False})
    await recorder.emit("subgoal", {"index": 0, "text": "a", "status": "done", "result": "1"})
    await recorder.emit("plan", {"thought": "or", "subgoals": ["a", "c"], "replan": True})
    assert found(database).plan == {
        "thought": "or",
        "subgoals": [
            {"text": "a", "status": "done", "result": "1"},
            {"text": "c", "status": "pending", "result": ""},
        ],
    }


async def test_an_answer_is_taken_in_when_its_question_is_settled(
    database: Database, claim: Claim, recorder: SqlRecorder
) -> None:
    await recorder.begin_call("1.0", "ask_human", {})
    database.run_sync(lambda c: endings.wait(c, claim, "which?"))
    database.run_sync(lambda c: tasks.answer(c, "t_1", "this"))
    again = database.run_sync(lambda c: claimed(c, "two", "run"))
    assert again is not None
    successor = SqlRecorder(database, again, Wakes())
    assert await successor.begin_call("1.0", "ask_human", {}) is True
    assert found(database).reply == "this"
    await successor.settle_call("1.0", _record("1.0", tool="ask_human"))
    assert found(database).reply is None


async def test_nothing_is_written_for_a_cancelled_task(
    database: Database, recorder: SqlRecorder
) -> None:
    database.run_sync(lambda c: tasks.cancel(c, "t_1"))
    before = found(database)
    with pytest.raises(Fenced):
        await recorder.emit("note", {})
    with pytest.raises(Fenced):
        await recorder.charge("solver.operate", "m", Usage(usd=1.0))
    with pytest.raises(Fenced):
        await recorder.elapsed_s()
    assert found(database) == before


async def test_whoever_follows_is_woken_by_each_event(database: Database, claim: Claim) -> None:
    wakes = Wakes()
    recorder = SqlRecorder(database, claim, wakes)
    with wakes.following("t_1") as written, wakes.following("t_2") as other:
        await recorder.emit("note", {})
        assert written.is_set()
        assert not other.is_set()
