"""Write and read the audit log: who did what; never what a task says, never a secret."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from app.callers import acting
from app.db.access_tables import audit_log
from app.db.types import clean, now


@dataclass(frozen=True)
class AuditRow:
    """One thing that was done, or refused."""

    id: int
    at: datetime
    key_id: str | None
    """None for the command line, and for a server without keys."""
    namespace: str
    action: str
    """Such as `task.submitted` or `key.revoked`."""
    object: str
    """Id or name of what it was done to."""
    result: str
    address: str | None
    """Where the request came from."""


@dataclass(frozen=True)
class AuditFilter:
    """Which lines to list."""

    namespace: str | None = None
    action: str = ""
    """An action, or the start of one before a dot, such as `key`."""
    key_id: str = ""
    after: datetime | None = None
    before: datetime | None = None
    before_id: int | None = None
    """The last line of the page before."""
    limit: int = 50


def note(
    connection: Connection, action: str, thing: str, *, namespace: str = "", result: str = "done"
) -> None:
    """Write a line about what the present caller does, in the transaction of the deed.

    Args:
        connection: the transaction.
        action: what is done, such as `task.submitted`.
        thing: id or name of what it is done to.
        namespace: where that is; the caller's when left out.
        result: how it went.
    """
    caller = acting()
    connection.execute(
        insert(audit_log).values(
            at=now(),
            key_id=caller.key_id,
            namespace=namespace or caller.namespace,
            action=action,
            object=clean(thing)[:200],
            result=result,
            address=caller.address,
        )
    )


def find(connection: Connection, wanted: AuditFilter) -> list[AuditRow]:
    """Return a page of lines, newest first."""
    log = audit_log.c
    statement = select(audit_log).order_by(log.id.desc()).limit(wanted.limit)
    if wanted.namespace is not None:
        statement = statement.where(log.namespace == wanted.namespace)
    if wanted.action:
        inside = log.action.startswith(f"{wanted.action}.", autoescape=True)
        statement = statement.where((log.action == wanted.action) | inside)
    if wanted.key_id:
        statement = statement.where(log.key_id == wanted.key_id)
    if wanted.after is not None:
        statement = statement.where(log.at > wanted.after)
    if wanted.before is not None:
        statement = statement.where(log.at < wanted.before)
    if wanted.before_id is not None:
        statement = statement.where(log.id < wanted.before_id)
    return [AuditRow(**row) for row in connection.execute(statement).mappings()]
