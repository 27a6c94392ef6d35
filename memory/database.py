"""Run short SQL transactions off the event loop."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from memory.postgres import SNAPSHOT

T = TypeVar("T")
_READ_ONLY = "strop_read_only"
_PATIENCE_S = 30.0
_SOON_S = 0.1
_WAITS = "strop_busy_timeout"
_LOCKED = "database is locked"
_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :wait, true)")
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    f"PRAGMA busy_timeout = {_PATIENCE_S * 1000:.0f}",
    "PRAGMA foreign_keys = ON",
)

Trouble = Literal["full", "locked", "away"]
"""Of a database: no room on its disk, others write for too long, or anything else."""
_TROUBLES: dict[str, Trouble] = {
    "SQLITE_FULL": "full",
    "53100": "full",
    "SQLITE_BUSY": "locked",
    "SQLITE_BUSY_SNAPSHOT": "locked",
    "55P03": "locked",
}
"""By the name of SQLite's error, or the state that PostgreSQL gives."""

_PATIENCE: ContextVar[float] = ContextVar("strop_patience_s", default=_PATIENCE_S)


@contextmanager
def patience(seconds: float) -> Generator[None]:
    """Let transactions inside wait that long for other writers, and not half a minute."""
    token = _PATIENCE.set(seconds)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


def trouble(error: SQLAlchemyError) -> Trouble:
    """Return what keeps the database from doing what it was asked."""
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    if code is None and _LOCKED in str(cause):
        return "locked"
    return _TROUBLES.get(str(code), "away")


class Database:
    """One SQL database; every use of it is one transaction in a worker thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # A file has one writer at a time; in one thread they wait in line, and take none of the
        # threads in which others read.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="strop-writer")

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns; commit when it returns, roll back when it raises.

        A cancelled caller leaves the transaction to finish by itself: it is either
        wholly there or not at all.

        Raises:
            OperationalError: other writers hold the database for longer than there is patience.
        """
        if self.is_postgres:
            return await asyncio.to_thread(self.run_sync, work)
        return await self._in_line(work)

    async def _in_line(self, work: Callable[[Connection], T]) -> T:
        allowed_s, asked = _PATIENCE.get(), time.monotonic()

        def in_turn() -> T:
            waited_s = time.monotonic() - asked
            with patience(allowed_s if waited_s < _SOON_S else max(0.0, allowed_s - waited_s)):
                return self.run_sync(work)

        queued = self._writer.submit(copy_context().run, in_turn)
        waiting = asyncio.wrap_future(queued)
        try:
            await asyncio.wait({waiting}, timeout=allowed_s)
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if queued.cancel():  # its turn has not come; once begun, it is waited for
            raise OperationalError("BEGIN", None, sqlite3.OperationalError(_LOCKED))
        return await waiting

    def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Do the same in this thread."""
        with self.engine.begin() as connection:
            if self.is_postgres and _PATIENCE.get() < _PATIENCE_S:
                connection.execute(_LOCK_TIMEOUT, {"wait": _milliseconds()})
            return work(connection)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads, from one snapshot; it waits for no writer.

        What it should write all the same is rolled back, or refused by the server.
        """
        return await asyncio.to_thread(self.read_sync, work)

    def read_sync(self, work: Callable[[Connection], T]) -> T:
        """Do the same in this thread."""
        options = SNAPSHOT if self.is_postgres else {_READ_ONLY: True}
        with self.engine.connect().execution_options(**options) as connection:
            return work(connection)

    @property
    def name(self) -> str:
        """Where it is, without who logs in."""
        url = self.engine.url
        return f"{url.host}:{url.port}/{url.database}" if self.is_postgres else str(url.database)

    @property
    def is_postgres(self) -> bool:
        """Whether a PostgreSQL server holds it, and not a file."""
        return self.engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def sqlite_engine(path: Path) -> Engine:
    """Return an engine on a SQLite file that several processes may write.

    Writers queue at `BEGIN IMMEDIATE`, as long as `patience` says, instead of failing half-way;
    readers see the last commit and wait for nobody (WAL).
    """
    # What was being written, such as the text of a task, has no place in an error or a log.
    engine = create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)
    file = _SameFile(path)
    event.listen(engine, "do_connect", file.check)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "connect", file.remember)
    event.listen(engine, "checkout", file.check)
    event.listen(engine, "begin", _begin)
    return engine


class _SameFile:
    """Refuses to go on when the file was removed or replaced under the open connections.

    They would go on in a file without a name, and everything written would be lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None

    def remember(self, _connection: DBAPIConnection, _record: object) -> None:
        """Take the file for the right one, if it is the first."""
        self._known = self._known or self._found()

    def check(self, *_event: object) -> None:
        """Raise when there is another file, or none.

        Raises:
            OperationalError: the file is not the one that was opened first.
        """
        if self._known is not None and self._found() != self._known:
            why = sqlite3.OperationalError("its file was removed or replaced; start again")
            raise OperationalError("open", None, why)

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    # The driver must not begin transactions by itself: `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    deferred = connection.get_execution_options().get(_READ_ONLY, False)
    if not deferred and connection.info.get(_WAITS) != (waits := _milliseconds()):
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {waits}")
        connection.info[_WAITS] = waits
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


def _milliseconds() -> str:
    return f"{_PATIENCE.get() * 1000:.0f}"
