"""Bring a database to the schema of this version."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from app.db import steering_tables
from app.errors import SettingsError
from memory import tables as memory_tables

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0005"
"""The newest change; a test holds it against the scripts."""
_SCRIPTS = Path(__file__).parent / "migrations"
_NOT_OURS = "memory_lexical"
"""A virtual table, which brings tables of its own."""


def upgrade(engine: Engine) -> None:
    """Make every change that is missing; call it under a lock that only one process holds.

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
        command.upgrade(configuration(connection), "head")


def current(connection: Connection) -> str | None:
    """Return the newest change that the database has, or None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def configuration(connection: Connection) -> "Config":
    """Return Alembic's configuration for work on `connection`."""
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


def targets() -> list[MetaData]:
    """Return every schema that the database holds."""
    return [steering_tables.metadata, memory_tables.metadata]


def compared(name: str | None, kind: str, _parents: Any) -> bool:  # noqa: ANN401 - Alembic's hook
    """Whether Alembic compares what has this name in the database."""
    return not (kind == "table" and (name or "").startswith(_NOT_OURS))
