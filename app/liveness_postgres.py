"""Tell living processes from dead ones by locks that the PostgreSQL server releases.

Each process holds an advisory lock, named after its boot id, on a connection of its own for as
long as it lives; when it dies, on whatever machine, the server ends the connection and frees
the lock. The connection must reach the server itself: a pooler hands sessions around.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg

from app.errors import SettingsError
from memory.postgres import TRY_LOCK, UNLOCK, connect_options

_HOLDS = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1
    AND ((classid::bigint << 32) | objid::bigint) = hashtextextended(%s, 0)
)
"""
_ENROL = """
INSERT INTO workers (id, host, pid, version, concurrency, started_at)
VALUES (%s, %s, %s, '', 0, now()) ON CONFLICT (id) DO NOTHING
"""
_ENROLLED = "SELECT EXISTS (SELECT FROM workers WHERE id = %s)"
_STRIKE = "DELETE FROM workers WHERE id = %s"
_OTHERS = "SELECT id FROM workers WHERE id <> %s"
_SETTLED = "SELECT clock_timestamp() - pg_postmaster_start_time() >= %s"
_SERVER_SIDE = """
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 15000; SET statement_timeout = 10000;
SET idle_session_timeout = 0
"""
"""So that the server, too, notices soon when this machine is gone."""


class PostgresLiveness:
    """The locks of the processes on one database; see `app.liveness.Liveness`.

    A connection that breaks, such as when the server starts anew, is opened again and the lock
    taken again. `on_lost` is called, from a thread, when another process was faster and has
    taken this one for dead: it must then stop, since its tasks are others' now.
    """

    def __init__(
        self,
        dsn: str,
        on_lost: Callable[[], None],
        *,
        check_s: float = 0.5,
        grace_s: float = 5.0,
    ) -> None:
        """Keep in mind where the server is; `begin` connects.

        Args:
            dsn: of the server itself, not of a pooler.
            on_lost: called once this process counts as dead.
            check_s: how often the lock is looked at.
            grace_s: how long after the server's start nobody is buried, because the living
                have yet to come back.
        """
        self._dsn = dsn
        self._on_lost = on_lost
        self._check_s = check_s
        self._grace = timedelta(seconds=grace_s)
        self._connection: psycopg.Connection[Any] | None = None
        self._mutex = threading.RLock()
        self._ended = threading.Event()
        self._watch: threading.Thread | None = None
        self.boot_id = ""
        """Who this process is; a new one at every start."""

    def begin(self) -> None:
        """Take this process's lock.

        Raises:
            SettingsError: the server cannot be reached, or a pooler stands before it.
        """
        if self._watch is not None:
            return
        self.boot_id = uuid.uuid4().hex
        try:
            self._connection = self._connected()
            self._connection.execute(_ENROL, (self.boot_id, socket.gethostname(), os.getpid()))
            held = self._take(self._connection, self.boot_id) and self._holds()
        except psycopg.Error as error:
            msg = f"STROP_DATABASE_URL: no connection for the lock of this process: {error}"
            raise SettingsError(msg) from None
        if not held:
            self._close()
            raise SettingsError(_POOLED)
        self._ended.clear()
        self._watch = threading.Thread(target=self._watch_over, name="liveness", daemon=True)
        self._watch.start()

    def end(self) -> None:
        """Give this process's lock back."""
        if self._watch is None:
            return
        self._ended.set()
        if self._watch is not threading.current_thread():
            self._watch.join()
        self._watch = None
        with self._mutex:
            if self._connection is not None:
                with suppress(psycopg.Error):
                    self._connection.execute(_STRIKE, (self.boot_id,))
            self._close()

    def others(self) -> set[str]:
        """Return the boot ids of the other processes that were not buried yet."""
        try:
            with self._mutex:
                if self._connection is None:
                    return set()
                return {str(row[0]) for row in self._connection.execute(_OTHERS, (self.boot_id,))}
        except psycopg.Error:
            return set()  # the watch connects again

    @contextmanager
    def burying(self, boot_id: str) -> Generator[bool]:
        """Say whether that process is dead; if so, nobody else buries it meanwhile."""
        connection = self._burier(boot_id)
        if connection is None:
            yield False
            return
        try:
            yield True
        except BaseException:
            self._let_go(connection, boot_id, strike=False)
            raise
        self._let_go(connection, boot_id, strike=True)

    def _burier(self, boot_id: str) -> "psycopg.Connection[Any] | None":
        """Return the connection that holds the lock of a dead process, or None if it lives."""
        try:
            with self._mutex:
                connection = self._connection
                if connection is None or boot_id == self.boot_id:
                    return None
                settled = connection.execute(_SETTLED, (self._grace,)).fetchone()
                if settled is None or not settled[0]:
                    return None
                return connection if self._take(connection, boot_id) else None
        except psycopg.Error:
            return None

    def _let_go(self, connection: "psycopg.Connection[Any]", boot_id: str, *, strike: bool) -> None:
        with suppress(psycopg.Error), self._mutex:
            if strike:
                connection.execute(_STRIKE, (boot_id,))
            connection.execute(UNLOCK, (_name(boot_id),))

    def _take(self, connection: "psycopg.Connection[Any]", boot_id: str) -> bool:
        row = connection.execute(TRY_LOCK, (_name(boot_id),)).fetchone()
        return row is not None and bool(row[0])

    def _holds(self) -> bool:
        if self._connection is None:
            return False
        row = self._connection.execute(_HOLDS, (_name(self.boot_id),)).fetchone()
        return row is not None and bool(row[0])

    def _watch_over(self) -> None:
        """Look at the lock until the end; take it again, or say that it is lost."""
        while not self._ended.wait(self._check_s):
            try:
                with self._mutex:
                    alive = self._holds() or self._taken_again()
            except psycopg.Error:
                with self._mutex:
                    self._close()
                continue  # the server is away: nobody can bury anybody
            if not alive:
                self._on_lost()
                return

    def _taken_again(self) -> bool:
        """Take the lock on a new connection, unless this process was buried or is about to be."""
        self._close()
        self._connection = connection = self._connected()
        if not self._take(connection, self.boot_id):
            return False
        row = connection.execute(_ENROLLED, (self.boot_id,)).fetchone()
        return row is not None and bool(row[0])

    def _connected(self) -> "psycopg.Connection[Any]":
        connection = psycopg.connect(self._dsn, autocommit=True, **connect_options("liveness"))
        for statement in _SERVER_SIDE.split(";"):
            connection.execute(statement.encode())
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_POOLED = (
    "STROP_DATABASE_URL: the lock of this process did not stay with its connection, as behind a "
    "pooler that shares connections; set STROP_DATABASE_DIRECT_URL to the server itself"
)


def _name(boot_id: str) -> str:
    return f"strop alive {boot_id}"
