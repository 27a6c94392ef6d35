from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from memory.database import Database, sqlite_engine
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
