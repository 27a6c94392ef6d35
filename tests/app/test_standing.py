"""Standing agents: they wake when they should, one task at a time, within their day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from app.db import events, namespaces, standing, tasks, webhooks
from app.db.agents_tables import agents
from app.db.records import TERMINAL, TaskRow, Turn
from app.db.tables import model_calls
from app.db.tables import tasks as task_rows
from app.db.tasks import TaskFilter
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.rousing import Rouser, rouse
from app.schemas_agents import AgentPatch, AgentRequest, AgentView
from app.standing import MOST_WAITING, AgentService
from memory.database import Database
from tests.support.service import found, unqueued

pytestmark = pytest.mark.anyio
HOURLY: dict[str, Any] = {"name": "watch", "instruction": "Watch it.", "timing": {"interval_s": 60}}
ON_CALL: dict[str, Any] = {"name": "on call", "instruction": "Help."}


class Clock:
    """Shows the time that a test sets, ahead of the real one, since a machine may be slow."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=20)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Queue:
    """Works on nothing, and remembers what it was told."""

    running = False

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    async def start(self) -> None: ...

    async def stop(self, drain_s: float) -> None: ...

    def enqueue(self, connection: Connection, turn: Turn) -> None:
        unqueued(connection, turn)

    async def submit(self, task_id: str) -> None:
        self.submitted.append(task_id)

    async def cancel(self, task_id: str) -> None:
        self.cancelled.append(task_id)

    async def recover(self) -> int:
        return 0


class AnyModel:
    """Knows every model but one."""

    async def check(self, name: str) -> None:
        if name == "no-such-model":
            raise InvalidInputError.of("model", "nobody knows it")


class Office:
    """A service with its rouser on one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.queue = Queue()
        self.rouser = Rouser(database, self.queue, self.clock)
        self.service = AgentService(database, self.queue, self.rouser, AnyModel())

    async def make(self, **given_: Any) -> str:
        request = AgentRequest.model_validate(HOURLY | given_)
        return (await self.service.create(request, namespace="default")).id

    async def get(self, agent_id: str) -> AgentView:
        return await self.service.get(agent_id, namespace="default")

    async def wake_up(self) -> TaskRow:
        """Wake what is to wake, which must be one agent."""
        [task_id] = await self.rouser.tick()
        return found(self.database, task_id)

    def end(self, task_id: str, **values: Any) -> None:
        fields = {"status": "succeeded", "answer": "all is well", "finished_at": self.clock.now}
        ended = update(task_rows).where(task_rows.c.id == task_id).values(fields | values)
        self.database.run_sync(lambda c: c.execute(ended))

    def costs(self, task_id: str, usd: float) -> None:
        call = insert(model_calls).values(
            task_id=task_id,
            seq=1,
            run_id=f"{task_id}.1",
            purpose="solver.operate",
            model="m",
            prompt_tokens=1,
            completion_tokens=1,
            usd=usd,
            seconds=0.1,
            at=self.clock.now,
        )
        self.database.run_sync(lambda c: c.execute(call))


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


async def test_an_agent_wakes_when_it_is_due_and_its_answer_is_its_report(office: Office) -> None:
    agent_id = await office.make()
    assert await office.rouser.tick() == []
    office.clock.advance(61)
    task = await office.wake_up()
    assert (task.agent_id, task.status, task.instruction) == (agent_id, "queued", "Watch it.")
    assert task.inputs["woken_by"] == "schedule"
    assert "last_report" not in task.inputs
    assert (await office.get(agent_id)).state == "working"
    office.end(task.id)
    assert (await office.get(agent_id)).state == "asleep"
    page = await office.service.reports(agent_id, namespace="default", cursor=None, limit=5)
    assert [(one.task_id, one.text) for one in page.items] == [(task.id, "all is well")]
    office.clock.advance(61)
    assert (await office.wake_up()).inputs["last_report"]["text"] == "all is well"
    assert office.queue.submitted[0] == task.id


async def test_an_agent_that_works_is_not_woken_and_what_is_missed_is_left_out(
    office: Office,
) -> None:
    agent_id = await office.make()
    office.clock.advance(61)
    task = await office.wake_up()
    for _ in range(3):
        office.clock.advance(61)
        assert await office.rouser.tick() == []
    office.end(task.id)
    assert await office.rouser.tick() == []
    next_at = (await office.get(agent_id)).next_at
    assert next_at is not None
    assert next_at > office.clock.now


async def test_a_message_wakes_an_agent_and_is_in_its_task(office: Office) -> None:
    agent_id = await office.make(**ON_CALL, timing=None)
    await office.service.tell(agent_id, "look at Tuesday", namespace="default")
    task = await office.wake_up()
    assert task.instruction.startswith("Help.\n\n")
    assert "1. look at Tuesday" in task.instruction
    assert task.inputs["woken_by"] == "message"
    [told] = await office.service.inbox(agent_id, namespace="default", before=None, limit=5)
    assert (told.text, told.task_id) == ("look at Tuesday", task.id)
    await office.service.tell(agent_id, "and at Wednesday", namespace="default")
    assert await office.rouser.tick() == []
    assert (await office.get(agent_id)).inbox == 1
    office.end(task.id)
    assert "1. and at Wednesday" in (await office.wake_up()).instruction


async def test_messages_that_do_not_fit_are_taken_in_by_the_next_wake_up(office: Office) -> None:
    agent_id = await office.make(timing=None)
    for number in range(25):
        await office.service.tell(agent_id, f"<{number}>" + "x" * 600, namespace="default")
    seen: list[str] = []
    while made := await office.rouser.tick():
        task = found(office.database, made[0])
        assert len(task.instruction) < 20_000
        seen += [f"<{n}>" for n in range(25) if f"<{n}>" in task.instruction]
        office.end(task.id)
    assert seen == [f"<{n}>" for n in range(25)]


async def test_a_message_may_wait_until_the_agent_wakes(office: Office) -> None:
    agent_id = await office.make(wake_on_message=False)
    await office.service.tell(agent_id, "no hurry", namespace="default")
    assert await office.rouser.tick() == []
    office.clock.advance(61)
    assert "no hurry" in (await office.wake_up()).instruction


async def test_an_inbox_is_full_at_some_time(office: Office) -> None:
    agent_id = await office.make(timing=None)
    for number in range(MOST_WAITING):
        await office.service.tell(agent_id, str(number), namespace="default")
    with pytest.raises(ConflictError, match="wait already"):
        await office.service.tell(agent_id, "one more", namespace="default")


async def test_an_agent_sleeps_until_tomorrow_when_its_day_is_spent(office: Office) -> None:
    office.clock.now = datetime(2031, 5, 1, 12, tzinfo=UTC)
    agent_id = await office.make(usd_per_day=1.0, task={"budget": {"usd": 0.75}})
    await office.service.wake(agent_id, namespace="default")
    first = await office.wake_up()
    assert first.budget == {"on_limit": "end", "usd": 0.75}
    born = update(task_rows).where(task_rows.c.id == first.id)
    office.database.run_sync(lambda c: c.execute(born.values(created_at=office.clock.now)))
    office.costs(first.id, 0.6)
    office.end(first.id)
    await office.service.wake(agent_id, namespace="default")
    second = await office.wake_up()
    assert second.budget["usd"] == pytest.approx(0.4)
    office.costs(second.id, 0.4)
    office.end(second.id)
    await office.service.wake(agent_id, namespace="default")
    assert await office.rouser.tick() == []
    seen = await office.get(agent_id)
    assert "$1 a day" in (seen.last_error or "")
    assert seen.error_count == 1
    office.clock.advance(11 * 3600)
    assert await office.rouser.tick() == []
    assert (await office.get(agent_id)).error_count == 1
    office.clock.advance(2 * 3600)
    await office.wake_up()
    assert (await office.get(agent_id)).last_error is None


async def test_an_agent_sleeps_when_its_tokens_are_spent_and_wakes_when_they_are_raised(
    office: Office,
) -> None:
    agent_id = await office.make(tokens_per_day=2, timing=None)
    await office.service.wake(agent_id, namespace="default")
    task = await office.wake_up()
    assert task.budget == {"on_limit": "end", "tokens": 2}
    office.costs(task.id, 0.0)
    office.end(task.id)
    await office.service.tell(agent_id, "hello", namespace="default")
    assert await office.rouser.tick() == []
    seen = await office.get(agent_id)
    assert "2 tokens a day" in (seen.last_error or "")
    assert (seen.tokens_today, seen.inbox) == (2, 1)
    assert seen.rest_until is not None
    await office.service.change(agent_id, AgentPatch(tokens_per_day=3), namespace="default")
    raised = await office.wake_up()
    assert raised.budget["tokens"] == 1
    assert "hello" in raised.instruction


async def test_due_times_of_a_rest_are_left_out_but_for_what_is_due_once(office: Office) -> None:
    office.clock.now = datetime.now(UTC).replace(hour=5, minute=0) + timedelta(days=1)
    at = office.clock.now + timedelta(hours=4)
    timings = ({"cron": "0 7,8 * * *"}, {"at": at.isoformat()})
    daily, once = [await office.make(wakes_per_day=1, timing=timing) for timing in timings]
    for agent_id in (daily, once):
        await office.service.wake(agent_id, namespace="default")
    for task_id in await office.rouser.tick():
        born = update(task_rows).where(task_rows.c.id == task_id)
        office.database.run_sync(lambda c, b=born: c.execute(b.values(created_at=office.clock())))
        office.end(task_id)
    office.clock.advance(5 * 3600)
    assert await office.rouser.tick() == []
    assert (await office.get(daily)).rest_until is not None
    office.clock.now = office.clock.now.replace(hour=0) + timedelta(days=1, minutes=1)
    assert (await office.wake_up()).agent_id == once
    office.clock.advance(7 * 3600)
    assert (await office.wake_up()).agent_id == daily


async def test_a_number_of_wake_ups_a_day_is_kept_to(office: Office) -> None:
    agent_id = await office.make(wakes_per_day=1, timing=None)
    await office.service.wake(agent_id, namespace="default")
    office.end((await office.wake_up()).id)
    await office.service.wake(agent_id, namespace="default")
    assert await office.rouser.tick() == []
    assert "1 wake-up a day" in ((await office.get(agent_id)).last_error or "")
    patch = AgentPatch(wakes_per_day=2)
    await office.service.change(agent_id, patch, namespace="default")
    await office.wake_up()


async def test_a_quota_of_the_namespace_is_an_error_and_is_tried_again(office: Office) -> None:
    bound = update(namespaces.namespaces).where(namespaces.namespaces.c.name == "default")
    office.database.run_sync(lambda c: c.execute(bound.values(tasks_per_day=0)))
    agent_id = await office.make(timing=None)
    await office.service.tell(agent_id, "hello", namespace="default")
    assert await office.rouser.tick() == []
    assert (await office.get(agent_id)).error_count == 1
    assert (await office.get(agent_id)).inbox == 1
    hook = _hook(office)
    for times in (1, 2, 3):
        assert _told(office, hook) == ([("agent.resting", agent_id)] if times == 3 else [])
        office.clock.advance(301)
        assert await office.rouser.tick() == []
    office.database.run_sync(lambda c: c.execute(bound.values(tasks_per_day=None)))
    assert await office.rouser.tick() == []
    office.clock.advance(301)
    assert "hello" in (await office.wake_up()).instruction


async def test_a_paused_agent_and_its_task_rest_and_go_on(office: Office) -> None:
    agent_id = await office.make()
    office.clock.advance(61)
    task = await office.wake_up()
    assert (await office.service.pause(agent_id, namespace="default")).state == "paused"
    assert found(office.database, task.id).status == "paused"
    assert office.queue.cancelled == [task.id]
    with pytest.raises(ConflictError, match="paused"):
        await office.service.wake(agent_id, namespace="default")
    await office.service.pause(agent_id, namespace="default")
    office.clock.advance(600)
    assert await office.rouser.tick() == []
    seen = await office.service.resume(agent_id, namespace="default")
    assert seen.state == "working"
    assert found(office.database, task.id).status == "queued"
    assert office.queue.submitted == [task.id, task.id]


async def test_an_agent_that_is_removed_stops_its_task_which_stays(office: Office) -> None:
    agent_id = await office.make()
    office.clock.advance(61)
    task = await office.wake_up()
    await office.service.tell(agent_id, "hello", namespace="default")
    await office.service.remove(agent_id, namespace="default")
    assert found(office.database, task.id).status == "cancelled"
    assert office.queue.cancelled == [task.id]
    with pytest.raises(NotFoundError):
        await office.get(agent_id)
    assert await office.rouser.tick() == []


async def test_an_agent_can_be_changed_and_its_timing_taken_away(office: Office) -> None:
    agent_id = await office.make()
    patch = AgentPatch.model_validate({"timing": None, "instruction": "Sleep.", "name": None})
    seen = await office.service.change(agent_id, patch, namespace="default")
    assert (seen.timing, seen.next_at, seen.instruction) == (None, None, "Sleep.")
    assert seen.name == "watch"
    bad = AgentPatch.model_validate({"task": {"model": "no-such-model"}})
    with pytest.raises(InvalidInputError, match="nobody knows"):
        await office.service.change(agent_id, bad, namespace="default")
    past = AgentPatch.model_validate({"timing": {"at": "2001-01-01T00:00:00Z"}})
    with pytest.raises(InvalidInputError, match="still to come"):
        await office.service.change(agent_id, past, namespace="default")


async def test_what_another_version_wrote_is_an_error_and_stops_nobody_else(
    office: Office,
) -> None:
    broken, _good = await office.make(), await office.make()
    strange = update(agents).where(agents.c.id == broken)
    office.database.run_sync(lambda c: c.execute(strange.values(task={"colour": "red"})))
    office.clock.advance(61)
    assert len(await office.rouser.tick()) == 1
    lost = office.database.run_sync(lambda c: standing.get(c, broken, "default"))
    assert lost is not None
    assert "change the agent" in (lost.last_error or "")
    office.database.run_sync(lambda c: c.execute(strange.values(timing={"cron": 7}, next_at=None)))
    office.database.run_sync(lambda c: standing.remove(c, broken))


def _told(office: Office, hook: str) -> list[tuple[str, str]]:
    page = office.database.read_sync(lambda c: webhooks.of_webhook(c, hook, None, 50))
    return [(row.body["type"], row.body["data"]["agent_id"]) for row in reversed(page)]


def _hook(office: Office, **given: Any) -> str:
    fields: dict[str, Any] = {"id": "w_1", "namespace": "default", "url": "https://example.org/"}
    fields |= {"statuses": ["agent.resting", "agent.failing"], "secret": "s"}
    row = webhooks.WebhookRow(**fields | given, created_at=office.clock.now)
    office.database.run_sync(lambda c: webhooks.add(c, row))
    return row.id


async def test_an_agent_that_rests_is_told_of_once(office: Office) -> None:
    hook, deaf = _hook(office), _hook(office, id="w_2", statuses=["failed"])
    elsewhere = _hook(office, id="w_3", namespace="blue", statuses=[])
    agent_id = await office.make(wakes_per_day=1, timing={"interval_s": 1})
    await office.service.wake(agent_id, namespace="default")
    office.end((await office.wake_up()).id)
    for _ in range(3):
        office.clock.advance(2)
        assert await office.rouser.tick() == []
    assert _told(office, hook) == [("agent.resting", agent_id)]
    assert _told(office, deaf) == _told(office, elsewhere) == []
    await office.service.wake(agent_id, namespace="default")
    assert await office.rouser.tick() == []
    assert _told(office, hook) == [("agent.resting", agent_id)] * 2


async def test_the_third_failure_in_a_row_is_told(office: Office) -> None:
    hook, agent_id = _hook(office), await office.make(timing=None)
    told: list[int] = []
    for status in ("failed", "failed", "succeeded", "failed", "failed", "failed", "failed"):
        await office.service.wake(agent_id, namespace="default")
        task = await office.wake_up()
        office.end(task.id, status=status)
        said = {"status": status}
        office.database.run_sync(lambda c, t=task, s=said: events.append(c, t.id, "task", s))
        told.append(len(_told(office, hook)))
    assert told == [0, 0, 0, 0, 0, 1, 1]
    assert (await office.get(agent_id)).failed_in_a_row == 4


_DOINGS = st.lists(
    st.sampled_from(["clock", "long", "look 1", "look 2", "see 1", "see 2", "tell", "end", "wake"]),
    max_size=25,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(doings=_DOINGS)
def test_an_agent_never_works_on_two_things_however_many_processes_look(
    doings: list[str], database: Database
) -> None:
    start = datetime.now(UTC)
    row = standing.AgentRow(
        id=f"ag_{start.timestamp()}",
        namespace="default",
        name="x",
        instruction="x",
        task={},
        timing={"interval_s": 60},
        next_at=start + timedelta(seconds=60),
        created_at=start,
    )
    database.run_sync(lambda c: standing.add(c, row))
    clock, told = start, 0
    looked: dict[str, datetime | None] = {"1": None, "2": None}
    ends = update(task_rows).where(task_rows.c.agent_id == row.id).values(status="failed")
    wanted = TaskFilter("default", agent_id=row.id, limit=1000)
    for doing in doings:
        if doing in {"clock", "long"}:
            clock += timedelta(seconds=61 if doing == "clock" else 4000)
        elif doing.startswith("look"):
            ready = database.read_sync(lambda c, clock=clock: standing.ready(c, clock, 1000))
            looked[doing[-1]] = clock if row.id in ready else None
        elif doing.startswith("see") and (moment := looked[doing[-1]]) is not None:
            database.run_sync(lambda c, m=moment: rouse(c, row.id, m, unqueued))
        elif doing == "tell":
            told += 1
            message = standing.AgentMessageRow(
                agent_id=row.id, seq=0, text=f"<{told}>", created_at=clock
            )
            database.run_sync(lambda c, m=message: standing.tell(c, m))
        elif doing == "wake":
            database.run_sync(lambda c: standing.change(c, row.id, {"wanted": True}))
        elif doing == "end":
            database.run_sync(lambda c: c.execute(ends))
        made = database.run_sync(lambda c: tasks.find(c, wanted))
        assert sum(task.status not in TERMINAL for task in made) <= 1
        for number in range(1, told + 1):
            assert sum(f"<{number}>" in task.instruction for task in made) <= 1
    database.run_sync(lambda c: standing.remove(c, row.id))
