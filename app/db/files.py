"""Read and write the register of uploaded files."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from app.db.records import FileRow, columns, values_of
from app.db.tables import files


def add(connection: Connection, file: FileRow) -> None:
    """Register a file whose content is on disk already."""
    connection.execute(insert(files).values(**values_of(file)))


def get(connection: Connection, namespace: str, ids: Sequence[str]) -> dict[str, FileRow]:
    """Return those of the files that exist, by id."""
    statement = select(files).where(files.c.namespace == namespace, files.c.id.in_(ids))
    rows = [FileRow(**columns(row)) for row in connection.execute(statement).mappings()]
    return {row.id: row for row in rows}
