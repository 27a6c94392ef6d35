"""Who comes in: look at the key of a request, make keys and take them back."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app import keys as tokens
from app.callers import DEFAULT_NAMESPACE, LOCAL, Caller, Scope, act_as
from app.db import audit, keys, namespaces
from app.db.keys import KeyRow
from app.db.types import now
from app.errors import InvalidInputError, NotFoundError, TooManyError, UnauthorizedError
from app.rates import Rates, Standing
from memory.database import Database, patience

_LOOK_S = 0.5
"""How soon a process sees that another one made the first key."""
_REMEMBERED_S = 1.0
_REMEMBERED = 1000
"""Keys of which is known, for so long, whether those who read on with them may."""
_NOTE_S = 0.1
"""How long the note that a key was used waits for other writers."""
_FAILURES_PER_MINUTE = 20
"""Refused sign-ins that are written down; more of them tell nothing new."""


@dataclass(frozen=True)
class MadeKey:
    """A key that was just made, with its secret, which is shown this once."""

    row: KeyRow
    token: str


class Access:
    """Let in who has a key; without any key, whoever sits at this machine."""

    def __init__(self, database: Database, rates: Rates) -> None:
        self._database = database
        self._rates = rates
        self._locked = False
        self._looked = -_LOOK_S
        self._minute = 0
        self._failures = 0
        self._usable: dict[str, tuple[float, bool]] = {}

    async def locked(self) -> bool:
        """Whether every request needs a key: from the first one on, and for good."""
        if not self._locked and time.monotonic() - self._looked >= _LOOK_S:
            self._locked = await self._database.read(keys.any_made)
            self._looked = time.monotonic()
        return self._locked

    async def admit(self, authorization: str | None, address: str | None) -> Caller:
        """Return who makes a request.

        Raises:
            UnauthorizedError: it brings no key, or one that is of no use.
        """
        if not await self.locked():
            if address is not None and not _is_loopback(address):
                message = "without keys only this machine is served; make one: strop keys create"
                raise UnauthorizedError(message)
            return Caller(LOCAL.namespace, None, LOCAL.scopes, address)
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise UnauthorizedError("expected a key: Authorization: Bearer strop_...")
        token = tokens.parse(text.strip())
        row = await self._checked(token) if token else None
        if row is None:
            await self._note_failure(token, address)
            raise UnauthorizedError("this key is unknown, expired or revoked")
        scopes = frozenset(cast("Sequence[Scope]", row.scopes))
        return Caller(row.namespace, row.id, scopes, address)

    async def still_admits(self, caller: Caller) -> bool:
        """Whether who was let in some time ago would be let in now; a little late, for many ask.

        While the database does not answer nobody is turned out: there is nothing to read either.
        """
        try:
            if caller.key_id is None:
                return not await self.locked()
            asked, usable = self._usable.get(caller.key_id, (-_REMEMBERED_S, True))
            if time.monotonic() - asked >= _REMEMBERED_S:
                # Whoever asks meanwhile takes what was known: one read is enough for all.
                self._usable[caller.key_id] = time.monotonic(), usable
                row = await self._database.read(partial(keys.get, key_id=caller.key_id))
                usable = row is not None and row.usable(now())
                if len(self._usable) > _REMEMBERED:
                    self._usable.clear()
                self._usable[caller.key_id] = time.monotonic(), usable
        except SQLAlchemyError:
            return True
        return usable

    async def _checked(self, token: tokens.Token) -> KeyRow | None:
        row = await self._database.read(partial(keys.get, key_id=token.key_id))
        moment = now()
        right = tokens.matches(token, row.hash if row else None)
        if row is None or not right or not row.usable(moment):
            return None
        if keys.stale(row, moment):
            # When it was used matters less than the request: a database that is busy, or
            # full, still lets a key read.
            with suppress(SQLAlchemyError), patience(_NOTE_S):
                await self._database.run(partial(keys.used, key_id=row.id, moment=moment))
        return row

    async def _note_failure(self, token: tokens.Token | None, address: str | None) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._failures = minute, 0
        self._failures += 1
        if self._failures > _FAILURES_PER_MINUTE:
            return
        act_as(Caller(DEFAULT_NAMESPACE, None, frozenset(), address))
        thing = token.key_id if token else ""
        await self._database.run(
            lambda connection: audit.note(connection, "key.refused", thing, result="refused")
        )

    def count(self, caller: Caller) -> Standing | None:
        """Count a request of a key; None where nothing is counted.

        Raises:
            TooManyError: the key makes more requests than it may.
        """
        standing = self._rates.take(caller.key_id) if caller.key_id else None
        if standing is not None and standing.wait_s > 0:
            message = "this key makes too many requests; wait as long as Retry-After says"
            raise TooManyError(message, retry_after_s=int(standing.wait_s) + 1)
        return standing

    async def create(
        self,
        name: str,
        namespace: str,
        scopes: Sequence[Scope],
        *,
        expires_at: datetime | None = None,
        created_by: str | None = None,
    ) -> MadeKey:
        """Make a key and return it with its secret.

        Raises:
            InvalidInputError: there is no such namespace, or it would be expired already.
        """
        if expires_at is not None and expires_at <= now():
            raise InvalidInputError.of("expires_at", "expected a time to come")
        token = tokens.new_token()
        row = KeyRow(
            id=token.key_id,
            namespace=namespace,
            name=name,
            hash=tokens.hashed(token),
            scopes=sorted(set(scopes)),
            created_at=now(),
            created_by=created_by,
            expires_at=expires_at,
        )

        def add(connection: Connection) -> None:
            if namespaces.get(connection, namespace) is None:
                message = f"there is no namespace {namespace!r}; make it first"
                raise InvalidInputError.of("namespace", message)
            keys.add(connection, row)

        await self._database.run(add)
        self._locked = True
        return MadeKey(row, str(token))

    async def keys(self) -> list[KeyRow]:
        """Return every key, newest first."""
        return await self._database.read(keys.find)

    async def revoke(self, key_id: str) -> KeyRow:
        """Take a key back, at once and for good.

        Raises:
            NotFoundError: there is none of that id.
        """
        row = await self._database.run(partial(keys.revoke, key_id=key_id))
        if row is None:
            message = f"there is no key {key_id[:100]!r}"
            raise NotFoundError(message)
        return row


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
