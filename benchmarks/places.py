"""Databases and runtimes to measure on, fresh ones for each measure."""

import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from app.db.engine import open_database
from app.db.types import now
from app.durable.store import TurnStore
from app.making import create, new_task
from app.schemas import TaskRequest
from app.settings import load_settings
from app.wiring import Runtime, open_runtime
from memory.database import Database
from models.messages import Request
from models.scripted import Line, ScriptedModel
from tests.support.postgres import PostgresServer, postgres_programs

_BATCH = 250
_server: list[PostgresServer] = []


@dataclass(frozen=True)
class Place:
    """A home that nobody has used, and the database that belongs to it."""

    home: Path
    url: str
    """Empty for SQLite in the home."""

    @contextmanager
    def database(self) -> Generator[Database]:
        """Open the database; a runtime must have been opened on it before."""
        database = open_database(self.url, self.home / "strop.db")
        try:
            yield database
        finally:
            database.close()


@contextmanager
def place(kind: str) -> Generator[Place]:
    """Give a fresh place on `sqlite` or `postgres`; a PostgreSQL server is started once."""
    with tempfile.TemporaryDirectory(prefix="strop-bench-") as folder:
        home = Path(folder) / "home"
        if kind == "sqlite":
            yield Place(home, "")
            return
        if not _server:
            _server.append(PostgresServer(postgres_programs(), durable=True))
        with _server[0].fresh() as url:
            yield Place(home, url)


def stop_servers() -> None:
    """Stop what `place` has started."""
    while _server:
        _server.pop().remove()


@asynccontextmanager
async def runtime(
    where: Place,
    script: Callable[[Request], Line] = lambda _: "",
    *,
    work: bool = True,
    **own: object,
) -> AsyncGenerator[Runtime]:
    """Open a runtime on a place, with a model that answers at once."""
    settings = load_settings(
        directory=where.home.parent,
        home=where.home,
        database_url=where.url,
        plugins=("benchmarks.nothing",),
        **own,
    )
    async with open_runtime(settings, model=ScriptedModel(script), work=work) as opened:
        yield opened


def fill(where: Place, count: int, *, priority: int = 0, later_s: float = 0.0) -> None:
    """Queue many tasks at once; with `later_s` they are not due for so long."""
    due = now() + timedelta(seconds=later_s) if later_s else None
    with where.database() as database:
        turns = TurnStore(database)
        try:
            for start in range(0, count, _BATCH):
                names = range(start, min(start + _BATCH, count))

                def work(connection: Connection, names: Iterable[int] = names) -> None:
                    for name in names:
                        request = TaskRequest(instruction=f"Do nothing, {name}.", priority=priority)
                        row = new_task(request, (), "default", None, not_before=due)
                        create(connection, row, turns.enqueue)

                database.run_sync(work)
        finally:
            turns.close()
