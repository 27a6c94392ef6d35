"""Open the SQL database that the settings name."""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.errors import SettingsError
from memory.database import Database, sqlite_engine


def open_database(url: str, default: Path) -> Database:
    """Return the database at `url`, or the SQLite file `default` when there is none.

    Raises:
        SettingsError: the URL is wrong or names a database that is not supported.
    """
    if not url:
        return Database(sqlite_engine(default))
    try:
        parsed = make_url(url)
    except ArgumentError:
        msg = "STROP_DATABASE_URL: expected a URL such as sqlite:////path/strop.db"
        raise SettingsError(msg) from None
    if parsed.get_backend_name() != "sqlite":
        msg = (
            "STROP_DATABASE_URL: expected a sqlite:/// URL (Postgres comes with a later version), "
            f"got a URL of {parsed.get_backend_name()!r}"
        )
        raise SettingsError(msg)
    if not parsed.database or parsed.database == ":memory:":
        msg = "STROP_DATABASE_URL: expected the path of a file, got a database in memory"
        raise SettingsError(msg)
    return Database(sqlite_engine(Path(parsed.database)))
