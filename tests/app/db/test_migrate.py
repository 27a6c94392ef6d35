from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from app.db import migrate
from app.db.engine import open_database
from app.errors import SettingsError
from memory.database import Database, sqlite_engine
from tests.support.postgres import PostgresServer
from tests.support.service import found, put, queued


def _names(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_the_scripts_lead_to_the_tables_of_this_version(database: Database) -> None:
    with database.engine.begin() as connection:
        config = migrate.configuration(connection)
        command.check(config)
        assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD
        assert migrate.current(connection) == migrate.HEAD


def test_an_empty_database_gets_every_table_and_a_second_start_changes_nothing(
    tmp_path: Path,
) -> None:
    database = Database(sqlite_engine(tmp_path / "strop.db"))
    migrate.upgrade(database.engine)
    tables = _names(database)
    assert {"tasks", "events", "memory_entries", "memory_lexical"} <= tables
    put(database, queued())
    migrate.upgrade(database.engine)
    assert _names(database) == tables
    assert found(database).status == "queued"
    database.close()


def test_tables_of_others_are_no_difference(database: Database) -> None:
    with database.engine.begin() as connection:
        for name in ("somebody_elses", "checkpoints"):
            connection.execute(text(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)"))
        command.check(migrate.configuration(connection))


def test_servers_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    with postgres.empty() as url:
        databases = [open_database(url, Path("unused.db")) for _ in range(4)]
        with ThreadPoolExecutor() as threads:
            done = [threads.submit(migrate.upgrade, one.engine) for one in databases]
            assert [one.result(60) for one in done] == [None] * 4
        assert "tasks" in _names(databases[0])
        for one in databases:
            one.close()


def test_every_change_can_be_taken_back(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(migrate.configuration(connection), "base")
    ours = {name for schema in migrate.targets() for name in schema.tables}
    assert _names(database).isdisjoint(ours)
    migrate.upgrade(database.engine)
    assert "tasks" in _names(database)


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer"):
        migrate.upgrade(database.engine)
