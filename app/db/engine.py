"""Open the SQL database that the settings name."""

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from app.errors import SettingsError
from memory.database import Database, sqlite_engine
from memory.postgres import DRIVER, postgres_engine

_POSTGRES = frozenset({"postgresql", DRIVER})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_EXPECTED = (
    "a URL such as postgresql+psycopg://user:password@host/strop or sqlite:////path/strop.db"
)


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
        msg = f"STROP_DATABASE_URL: expected {_EXPECTED}"
        raise SettingsError(msg) from None
    if parsed.drivername in _POSTGRES:
        if not parsed.database:
            msg = (
                f"STROP_DATABASE_URL: expected the name of a database at its end, as in {_EXPECTED}"
            )
            raise SettingsError(msg)
        return Database(postgres_engine(parsed))
    if parsed.drivername not in _SQLITE:
        msg = f"STROP_DATABASE_URL: expected {_EXPECTED}, got a URL of {parsed.drivername!r}"
        raise SettingsError(msg)
    if not parsed.database or parsed.database == ":memory:":
        msg = "STROP_DATABASE_URL: expected the path of a file, got a database in memory"
        raise SettingsError(msg)
    return Database(sqlite_engine(Path(parsed.database)))


def cannot_open(database: Database, error: SQLAlchemyError) -> SettingsError:
    """Return what the operator is told when the first transaction fails, without the password."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    url = database.engine.url
    if isinstance(url.password, str) and url.password:
        cause = cause.replace(url.password, "***")
    place = url.render_as_string(hide_password=True)
    variable = "STROP_DATABASE_URL" if database.is_postgres else "STROP_DATABASE_URL or STROP_HOME"
    msg = f"{variable}: the database {place} cannot be opened: {cause}"
    return SettingsError(msg)
