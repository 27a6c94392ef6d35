"""What is removed when it is old, and what stays."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table, insert, select, update

from app.db import census, files, standing, tasks, webhooks
from app.db.access_tables import namespaces
from app.db.automation_tables import deliveries, occurrences
from app.db.records import FileRow
from app.db.retention import Rules
from app.db.steering_tables import approvals, messages
from app.db.tables import events, idempotency_keys, tool_calls
from app.db.types import now
from app.home import Home
from app.retention import Retention
from memory.database import Database
from tests.support.service import found, migrated, put, queued, serving

pytestmark = pytest.mark.anyio
OLD = now() - timedelta(days=40)


def _with_events(database: Database) -> set[str]:
    return set(database.run_sync(lambda c: c.execute(select(events.c.task_id)).scalars().all()))


def _add(database: Database, table: Table, **values: object) -> None:
    database.run_sync(lambda c: c.execute(insert(table).values(**values)))


@pytest.fixture
def place(tmp_path: Path) -> Home:
    home = Home(tmp_path / "kept")
    home.prepare()
    return home


async def test_only_what_finished_tasks_left_is_removed(database: Database, place: Home) -> None:
    file = [{"id": "f_live", "name": "a", "size": 1}]
    put(
        database,
        queued("t_old", status="succeeded", finished_at=OLD),
        queued("t_learning", status="failed", learning="pending", finished_at=OLD),
        queued("t_new", status="succeeded", finished_at=now()),
        queued("t_live", created_at=OLD, files=file),
    )
    for name in ("f_live", "f_gone"):
        row = FileRow(name, "default", "a", 1, "0", OLD)
        database.run_sync(lambda c, row=row: files.add(c, row))
        (place.files / name).write_bytes(b"a")
    for name in ("t_old", "t_live"):
        place.workspace(name).mkdir(parents=True)
    done = await Retention(database, place, Rules(task_days=30)).run()
    assert done == {"tasks": 1, "files": 1}
    assert _with_events(database) == {"t_learning", "t_new", "t_live"}
    assert found(database, "t_old").status == "succeeded"
    assert not place.workspace("t_old").exists()
    assert place.workspace("t_live").exists()
    assert [path.name for path in place.files.iterdir()] == ["f_live"]
    assert not await Retention(database, place, Rules(task_days=30)).run()


async def test_a_task_without_its_remains_is_not_retried(place: Home) -> None:
    database = migrated(place.path)
    put(database, queued("t_old", status="failed", finished_at=OLD))
    assert await Retention(database, place, Rules(task_days=30)).run() == {"tasks": 1}
    database.close()
    async with serving(place.path) as client:
        refused = await client.post("/api/v1/tasks/t_old/retry")
        assert refused.status_code == 409
        assert "submit it anew" in refused.json()["detail"]
        assert (await client.get("/api/v1/tasks/t_old")).json()["status"] == "failed"


async def test_everything_is_kept_unless_a_rule_says_so(database: Database, place: Home) -> None:
    put(database, queued("t_old", status="succeeded", finished_at=OLD))
    assert not await Retention(database, place, Rules()).run()
    database.run_sync(lambda c: c.execute(update(namespaces).values(retention_days=39)))
    assert await Retention(database, place, Rules()).run() == {"tasks": 1}


async def test_old_idempotency_keys_and_audit_lines_go(database: Database, place: Home) -> None:
    put(database, queued())
    for key in ("old", "new"):
        database.run_sync(lambda c, key=key: tasks.remember_key(c, "default", key, "h", "t_1"))
    aged = update(idempotency_keys).where(idempotency_keys.c.key == "old").values(created_at=OLD)
    database.run_sync(lambda c: c.execute(aged))
    assert await Retention(database, place, Rules(audit_days=1)).run() == {"idempotency keys": 1}
    assert database.run_sync(lambda c: tasks.known_key(c, "default", "new")) is not None
    assert database.run_sync(lambda c: tasks.known_key(c, "default", "old")) is None


async def test_what_calls_said_goes_and_that_they_were_made_stays(
    database: Database, place: Home
) -> None:
    put(database, queued("t_old", status="failed", finished_at=OLD), queued("t_live"))
    for task_id in ("t_old", "t_live"):
        its = {"task_id": task_id, "run_id": f"{task_id}.1", "arguments": {"text": "crimson"}}
        for at, record in enumerate(({"ok": True, "output": "crimson"}, {"ok": False}, None)):
            called = its | {"key": f"{at}", "tool": "shell", "record": record, "began_at": OLD}
            _add(database, tool_calls, **called, settled=record is not None)
        asked = its | {"id": task_id, "namespace": "default", "key": "0", "kind": "before"}
        asked |= {"tool": "shell", "risk": "high", "digest": "d", "status": "approved"}
        _add(database, approvals, **asked, created_at=OLD)
        said = {"task_id": task_id, "run_id": f"{task_id}.1", "seq": 1, "text": "crimson"}
        _add(database, messages, **said, created_at=OLD)
    before = database.read_sync(census.take).tool_calls
    assert await Retention(database, place, Rules(task_days=30)).run() == {"tasks": 1}
    assert database.read_sync(census.take).tool_calls == before
    for table in (tool_calls, approvals, messages):
        rows = database.read_sync(lambda c, t=table: c.execute(select(t)).mappings().all())
        left = {row["task_id"] for row in rows if "crimson" in str(row)}
        assert left == {"t_live"}, table.name


async def test_an_agent_forgets_old_messages_that_it_has_taken_in(
    database: Database, place: Home
) -> None:
    agent = standing.AgentRow(
        id="ag_1", namespace="default", name="a", instruction="a", task={}, created_at=OLD
    )
    database.run_sync(lambda c: standing.add(c, agent))
    for text in ("taken in", "waits", "newest"):
        message = standing.AgentMessageRow(agent_id="ag_1", seq=0, text=text, created_at=OLD)
        database.run_sync(lambda c, m=message: standing.tell(c, m))
    database.run_sync(lambda c: standing.take_in(c, "ag_1", [1, 3], "t_1"))
    assert not await Retention(database, place, Rules()).run()
    done = await Retention(database, place, Rules(task_days=30)).run()
    assert done == {"messages to agents": 1}
    left = database.read_sync(lambda c: standing.inbox(c, "ag_1", None, 9))
    assert [(row.seq, row.text) for row in left] == [(3, "newest"), (2, "waits")]


async def test_records_of_due_times_and_of_messages_to_webhooks_go_after_thirty_days(
    database: Database, place: Home
) -> None:
    for due_at in (OLD, now()):
        _add(database, occurrences, schedule_id="s_1", due_at=due_at, created_at=due_at)
    sent = [database.run_sync(lambda c: webhooks.queue(c, "w_1", "test", {}, None)) for _ in "abc"]
    for delivery_id, settled_at in zip(sent, (OLD, now(), None), strict=True):
        aged = update(deliveries).where(deliveries.c.id == delivery_id)
        database.run_sync(lambda c, a=aged, s=settled_at: c.execute(a.values(settled_at=s)))
    done = await Retention(database, place, Rules()).run()
    assert done == {"messages to webhooks": 1, "due times": 1}
    left = database.read_sync(lambda c: webhooks.of_webhook(c, "w_1", None, 9))
    assert {row.id for row in left} == set(sent[1:])
