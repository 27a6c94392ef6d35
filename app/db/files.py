"""Read and write the register of uploaded files."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from app.db.records import FileRow, columns, values_of
from app.db.tables import files

_AT_ONCE = 500
"""Values in one statement."""


def add(connection: Connection, file: FileRow) -> None:
    """Register a file whose content is on disk already."""
    connection.execute(insert(files).values(**values_of(file)))


def get(connection: Connection, namespace: str, ids: Sequence[str]) -> dict[str, FileRow]:
    """Return those of the files that exist, by id."""
    statement = select(files).where(files.c.namespace == namespace, files.c.id.in_(ids))
    rows = [FileRow(**columns(row)) for row in connection.execute(statement).mappings()]
    return {row.id: row for row in rows}


def known(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are registered, in any namespace."""
    found: set[str] = set()
    for start in range(0, len(ids), _AT_ONCE):
        chunk = ids[start : start + _AT_ONCE]
        found |= set(connection.execute(select(files.c.id).where(files.c.id.in_(chunk))).scalars())
    return found


def drop(connection: Connection, ids: Sequence[str]) -> None:
    """Forget files."""
    connection.execute(delete(files).where(files.c.id.in_(ids)))
