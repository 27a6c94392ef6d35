"""Who makes a request, what it may do, and in which namespace."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

from app.errors import ForbiddenError

Scope = Literal["tasks:read", "tasks:write", "memory:write", "tools:write", "admin"]
SCOPES: frozenset[Scope] = frozenset(get_args(Scope))
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Caller:
    """A holder of a key, or whoever sits at this machine while there are no keys."""

    namespace: str = DEFAULT_NAMESPACE
    key_id: str | None = None
    """None on a loopback server without keys."""
    scopes: frozenset[Scope] = SCOPES
    address: str | None = None
    """Where the request came from; None for the command line and the service itself."""

    def need(self, scope: Scope) -> None:
        """Refuse what the caller's scopes do not allow; `admin` allows everything.

        Raises:
            ForbiddenError: the scope is missing.
        """
        if not self.scopes & {scope, "admin"}:
            message = (
                f"this key lacks the scope {scope!r}; it has: {', '.join(sorted(self.scopes))}"
            )
            raise ForbiddenError(message)

    def place(self, wanted: str | None) -> str:
        """Return the namespace that a request is about: the caller's own unless it is named.

        Raises:
            ForbiddenError: it is another's, and the caller is no admin.
        """
        if wanted is None or wanted == self.namespace or "admin" in self.scopes:
            return wanted or self.namespace
        message = f"this key belongs to the namespace {self.namespace!r}, not to {wanted!r}"
        raise ForbiddenError(message)


LOCAL = Caller()
"""Whoever sits at this machine."""

_ACTING: ContextVar[Caller] = ContextVar("acting", default=LOCAL)


def acting() -> Caller:
    """Return who makes the request that is worked on here; it is known in worker threads too."""
    return _ACTING.get()


def act_as(caller: Caller) -> None:
    """Remember who makes the request that is worked on here."""
    _ACTING.set(caller)
