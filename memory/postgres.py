"""Open a PostgreSQL server for short transactions from many threads and processes."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, text

DRIVER = "postgresql+psycopg"
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Execution options of a connection that only reads."""

_KEEPALIVE = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_BOUNDS = {
    "statement_timeout": 60_000,
    "lock_timeout": 30_000,
    "idle_in_transaction_session_timeout": 10_000,
}
"""Milliseconds after which the server ends what hangs, so that nobody waits for it forever.

A transaction of ours does nothing but SQL; one that is idle belongs to a process that was frozen,
and its locks keep others from taking over.
"""


TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
"""Takes the lock of a name for the connection, if it is free; the server frees it at its end."""
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


def connect_options(purpose: str) -> dict[str, Any]:
    """Return the arguments of psycopg's `connect` that all connections share.

    Statements are not prepared on the server: behind a pooler the next one may meet another
    session, which does not know them.
    """
    return {**_KEEPALIVE, "application_name": f"strop {purpose}", "prepare_threshold": None}


def bounds(given: object = "") -> str:
    """Return libpq's `options` for sessions that may not hang, with those that an address gives."""
    own = " ".join(f"-c {name}={value}" for name, value in _BOUNDS.items())
    return f"{own} {given}".strip() if isinstance(given, str) else own


def postgres_engine(url: URL) -> Engine:
    """Return an engine on the server; nothing is connected yet.

    A connection that died is replaced before it is used, so that a server which went away
    and came back costs the transactions in its midst and no more.
    """
    options = bounds(url.query.get("options", ""))
    return create_engine(
        url.set(drivername=DRIVER),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=8,
        pool_timeout=30,
        pool_recycle=1800,
        connect_args={**connect_options("transactions"), "options": options},
    )


def dsn(engine: Engine) -> str:
    """Return the server's address as psycopg takes it, password and all: never show it."""
    plain = engine.url.set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


def lock(connection: Connection, name: str) -> None:
    """Wait for the lock of that name and hold it to the end of the transaction.

    SQLite has one writer anyhow, so there is nothing to do.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"name": f"strop {name}"})


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
