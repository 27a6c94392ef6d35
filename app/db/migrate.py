"""Bring a database to the schema of this version."""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from app.db import access_tables, agents_tables, automation_tables, steering_tables
from app.errors import SettingsError
from memory import tables as memory_tables
from memory.postgres import lock

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The newest change; a test holds it against the scripts."""
_SCRIPTS = Path(__file__).parent / "migrations"
_PARTS = (access_tables, agents_tables, automation_tables, steering_tables)
"""Our tables; all of them are in one metadata."""


def upgrade(engine: Engine) -> None:
    """Make every change that is missing, for SQLite under a lock that only one process holds.

    PostgreSQL has a lock of its own for it, so that servers on different machines wait for
    each other.

    Raises:
        SettingsError: the database was written by a newer version.
    """
    with engine.connect() as connection:
        found = current(connection)
        connection.rollback()
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        msg = (
            f"the database has schema {found}, which is newer than this version's {HEAD}; "
            "start the newer version of Strop, or choose another STROP_HOME"
        )
        raise SettingsError(msg)
    from alembic import command  # noqa: PLC0415 - rarely needed, and its import takes a while

    with engine.begin() as connection:
        _alone(connection)
        command.upgrade(configuration(connection), "head")


def _alone(connection: Connection) -> None:
    """Wait until nobody else migrates; a migration may then take as long as it takes."""
    if connection.dialect.name == "postgresql":
        for bound in ("lock_timeout", "statement_timeout"):
            connection.execute(text(f"SET LOCAL {bound} = 0"))
        lock(connection, "migrations")


def current(connection: Connection) -> str | None:
    """Return the newest change that the database has, or None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def configuration(connection: Connection) -> "Config":
    """Return Alembic's configuration for work on `connection`."""
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    # Alembic would speak to the output that was there when it was imported.
    config = Config(stdout=StringIO())
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


def targets() -> list[MetaData]:
    """Return every schema that the database holds."""
    return [_PARTS[0].metadata, memory_tables.metadata]


def compared(name: str | None, kind: str, _parents: Any) -> bool:  # noqa: ANN401 - Alembic's hook
    """Whether Alembic compares what has this name; libraries keep their tables beside ours."""
    if kind == "table":
        return any(name in metadata.tables for metadata in targets())
    return True
