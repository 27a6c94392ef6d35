import socket
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.db import tasks
from app.db.engine import cannot_open, open_database
from app.errors import SettingsError
from memory.database import Database
from tests.support.postgres import PostgresServer
from tests.support.service import found, put, queued


def test_without_a_url_the_database_is_the_file_of_the_home(tmp_path: Path) -> None:
    database = open_database("", tmp_path / "strop.db")
    database.run_sync(lambda c: c.exec_driver_sql("CREATE TABLE t (a)"))
    database.close()
    assert (tmp_path / "strop.db").exists()


def test_a_sqlite_url_names_another_file(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/other.db", tmp_path / "strop.db")
    mode = database.run_sync(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar())
    database.close()
    assert mode == "wal"
    assert (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://me:secret@host/db",
        "postgresql+asyncpg://me:secret@host/db",
        "postgresql+psycopg://me:secret@host",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="STROP_DATABASE_URL") as caught:
        open_database(url, Path("unused.db"))
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"postgresql+psycopg://me:secret@127.0.0.1:{port}/strop"
        database = open_database(url, Path("unused.db"))
        with pytest.raises(SQLAlchemyError) as caught:
            database.run_sync(lambda c: c.execute(text("SELECT 1")))
    told = str(cannot_open(database, caught.value))
    assert f"127.0.0.1:{port}/strop" in told
    assert "refused" in told
    assert "secret" not in told


def test_a_postgres_url_may_leave_the_driver_out(postgres: PostgresServer) -> None:
    with postgres.fresh() as url:
        database = open_database(url.replace("+psycopg", ""), Path("unused.db"))
        version = database.run_sync(lambda c: c.execute(text("SHOW server_version")).scalar())
        database.close()
    assert version


def test_a_reader_of_postgres_sees_one_snapshot_and_may_not_write(
    postgres: PostgresServer,
) -> None:
    with postgres.fresh() as url:
        database = open_database(url, Path("unused.db"))
        put(database, queued("t_1"))

        def twice(connection: Connection) -> tuple[bool, bool]:
            before = tasks.get(connection, "t_2")
            put(database, queued("t_2"))
            return before is None, tasks.get(connection, "t_2") is None

        assert database.read_sync(twice) == (True, True)
        assert found(database, "t_2").status == "queued"
        with pytest.raises(SQLAlchemyError, match="read-only"):
            database.read_sync(lambda c: c.execute(text("DELETE FROM events")))
        database.run_sync(lambda c: c.execute(text("DELETE FROM events")))
        database.close()


def test_what_is_written_is_not_told_by_an_error(database: Database) -> None:
    put(database, queued("t_1", instruction="my secret plan"))
    with pytest.raises(SQLAlchemyError) as caught:
        put(database, queued("t_1", instruction="my secret plan"))
    assert "secret" not in str(caught.value)
