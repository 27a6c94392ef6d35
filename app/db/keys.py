"""Read and write API keys; what is kept of one does not let anyone in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, update

from app.db import audit
from app.db.access_tables import api_keys
from app.db.types import now

_USED_EVERY = timedelta(minutes=5)
"""How exactly it is known when a key was used last."""


@dataclass(frozen=True)
class KeyRow:
    """An API key as it is kept."""

    id: str
    namespace: str
    name: str
    hash: str
    scopes: list[str]
    created_at: datetime
    created_by: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, moment: datetime) -> bool:
        """Whether it lets anyone in."""
        expired = self.expires_at is not None and self.expires_at <= moment
        return self.revoked_at is None and not expired


def add(connection: Connection, key: KeyRow) -> None:
    """Keep a new key."""
    connection.execute(insert(api_keys).values(**vars(key)))
    audit.note(connection, "key.created", key.id, namespace=key.namespace)


def get(connection: Connection, key_id: str) -> KeyRow | None:
    """Return a key, or None."""
    row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().first()
    return None if row is None else KeyRow(**row)


def find(connection: Connection) -> list[KeyRow]:
    """Return every key, newest first, revoked ones too."""
    statement = select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    return [KeyRow(**row) for row in connection.execute(statement).mappings()]


def any_made(connection: Connection) -> bool:
    """Whether a key was ever made; one that was revoked since does not open the server again."""
    return connection.execute(select(api_keys.c.id).limit(1)).first() is not None


def used(connection: Connection, key_id: str, moment: datetime) -> None:
    """Note that a key was used, at most every few minutes."""
    connection.execute(
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            or_(
                api_keys.c.last_used_at.is_(None),
                api_keys.c.last_used_at < moment - _USED_EVERY,
            ),
        )
        .values(last_used_at=moment)
    )


def stale(key: KeyRow, moment: datetime) -> bool:
    """Whether its use should be noted again."""
    return key.last_used_at is None or key.last_used_at < moment - _USED_EVERY


def revoke(connection: Connection, key_id: str) -> KeyRow | None:
    """Let a key open nothing any more; None when there is none of that id."""
    made = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now())
    )
    changed = connection.execute(made).rowcount
    key = get(connection, key_id)
    if key is not None and changed:
        audit.note(connection, "key.revoked", key.id, namespace=key.namespace)
    return key
