"""What is removed when it is old, and what stays."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from app.db import files, tasks
from app.db.access_tables import namespaces
from app.db.records import FileRow
from app.db.retention import Rules
from app.db.tables import events, idempotency_keys
from app.db.types import now
from app.home import Home
from app.retention import Retention
from memory.database import Database
from tests.support.service import found, put, queued

pytestmark = pytest.mark.anyio
OLD = now() - timedelta(days=40)


def _with_events(database: Database) -> set[str]:
    return set(database.run_sync(lambda c: c.execute(select(events.c.task_id)).scalars().all()))


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
