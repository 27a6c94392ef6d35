import asyncio
import sqlite3
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from memory.database import Database, patience, sqlite_engine, trouble
from memory.rows import now
from memory.tables import create_tables, metadata, outcomes

pytestmark = pytest.mark.anyio
OUTCOME = {
    "run_id": "r",
    "task_id": "t",
    "namespace": "n",
    "family": "f",
    "success": True,
    "end_reason": "done",
    "steps": 1,
    "failures": 0,
    "tokens": 1,
    "usd": 0.0,
    "seconds": 1.0,
}


async def test_sqlite_is_opened_for_several_writers(tmp_path: Path) -> None:
    database = Database(sqlite_engine(tmp_path / "strop.db"))

    def pragma(name: str) -> object:
        return database.run_sync(lambda c: c.execute(text(f"PRAGMA {name}")).scalar())

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 1
    assert pragma("busy_timeout") == 30_000
    assert pragma("foreign_keys") == 1
    database.close()


async def test_a_reader_waits_for_no_writer_and_sees_the_last_commit(database: Database) -> None:
    with database.engine.begin() as writer:
        writer.execute(insert(outcomes).values(**OUTCOME, created_at=now()))
        seen = await database.read(lambda c: c.execute(select(outcomes.c.run_id)).all())
        assert seen == []
    seen = await database.read(lambda c: c.execute(select(outcomes.c.run_id)).scalars().all())
    assert seen == ["r"]


async def test_what_a_reader_writes_is_rolled_back_or_refused(database: Database) -> None:
    row = insert(outcomes).values(**OUTCOME, created_at=now())
    with pytest.raises(SQLAlchemyError) if database.is_postgres else nullcontext():
        await database.read(lambda c: c.execute(row))
    assert await database.read(lambda c: c.execute(select(outcomes)).all()) == []


async def test_a_failing_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await database.run(
            lambda c: [c.execute(insert(outcomes).values(**OUTCOME, created_at=now())), 1 // 0]
        )
    assert await database.read(lambda c: c.execute(select(outcomes)).all()) == []


async def test_creating_the_tables_twice_does_no_harm(database: Database) -> None:
    database.run_sync(create_tables)


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_table_has_our_prefix_and_is_valid_for_postgres(name: str) -> None:
    assert name.startswith("memory_")
    statement = CreateTable(metadata.tables[name]).compile(dialect=postgresql.dialect())
    assert f"CREATE TABLE {name}" in str(statement)


async def test_what_keeps_a_database_from_working_is_told_apart(tmp_path: Path) -> None:
    database = Database(sqlite_engine(tmp_path / "strop.db"))

    def too_much(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(1000000)")

    with pytest.raises(OperationalError) as full:
        await database.run(too_much)
    with closing(sqlite3.connect(tmp_path / "strop.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with patience(0.05), pytest.raises(OperationalError) as held:
            await database.run(lambda connection: connection.execute(text("SELECT 1")))
    with pytest.raises(OperationalError) as unknown:
        await database.run(lambda connection: connection.execute(text("SELECT nothing")))
    found = [trouble(error.value) for error in (full, held, unknown)]
    assert found == ["full", "locked", "away"]
    database.close()


async def test_writers_of_one_process_wait_in_line_and_only_as_long_as_they_may(
    tmp_path: Path,
) -> None:
    database = Database(sqlite_engine(tmp_path / "strop.db"))
    began, go_on = threading.Event(), threading.Event()

    def slow(_connection: Connection) -> str:
        began.set()
        go_on.wait(30)
        return "done"

    first = asyncio.create_task(database.run(slow))
    await asyncio.to_thread(began.wait, 30)
    with patience(0.05), pytest.raises(OperationalError, match="locked"):
        await database.run(lambda connection: connection.execute(text("SELECT 1")))
    go_on.set()
    assert await first == "done"
    assert await database.run(lambda _connection: "free again") == "free again"
    database.close()
