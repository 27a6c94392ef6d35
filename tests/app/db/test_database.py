from pathlib import Path

import pytest

from app.db.engine import open_database
from app.errors import SettingsError


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
    "url", ["nonsense", "postgresql+psycopg://me:secret@host/db", "sqlite://", "sqlite:///:memory:"]
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="STROP_DATABASE_URL") as caught:
        open_database(url, Path("unused.db"))
    assert "secret" not in str(caught.value)
