from datetime import UTC, datetime, timedelta

from app.db import tasks
from app.db.tasks import TaskFilter
from memory.database import Database
from tests.support.service import put, queued

START = datetime(2026, 1, 1, tzinfo=UTC)


def _ids(database: Database, **given: object) -> list[str]:
    wanted = TaskFilter(namespace="default", **given)  # pyright: ignore[reportArgumentType] - fields by name
    return [row.id for row in database.run_sync(lambda c: tasks.find(c, wanted))]


def test_pages_hold_every_task_once_even_when_times_are_equal(database: Database) -> None:
    moments = [START + timedelta(seconds=n // 3) for n in range(10)]
    put(database, *(queued(f"t_{n}", created_at=at) for n, at in enumerate(moments)))
    seen: list[str] = []
    before: tuple[datetime, str] | None = None
    while page := _ids(database, limit=3, before=before):
        seen += page
        before = (moments[int(page[-1][2:])], page[-1])
    assert seen == [f"t_{n}" for n in reversed(range(10))]


def test_filters_narrow_the_list(database: Database) -> None:
    put(
        database,
        queued("t_1", instruction="Add 100% of_it", created_at=START),
        queued("t_2", status="failed", created_at=START + timedelta(days=1)),
        queued("t_3", namespace="other"),
    )
    assert _ids(database, text="add 100%") == ["t_1"]
    assert _ids(database, text="f_i") == ["t_1"]
    assert _ids(database, text="100_") == []
    assert _ids(database, statuses=("failed", "cancelled")) == ["t_2"]
    assert _ids(database, created_after=START) == ["t_2"]
    assert _ids(database, created_before=START + timedelta(hours=1)) == ["t_1"]


def test_moments_come_back_with_their_zone(database: Database) -> None:
    put(database, queued(created_at=START))
    row = database.run_sync(lambda c: tasks.get(c, "t_1"))
    assert row is not None
    assert row.created_at == START
    assert row.created_at.tzinfo is not None


def test_the_tasks_of_one_agent_can_be_listed(database: Database) -> None:
    other = queued("t_3", agent_id="a_1", namespace="other")
    put(database, queued("t_1", agent_id="a_1"), queued("t_2", agent_id="a_2"), other)
    assert _ids(database, agent_id="a_1") == ["t_1"]
