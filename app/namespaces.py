"""The service: make, change and remove namespaces."""

from functools import partial
from typing import Any

from app.callers import DEFAULT_NAMESPACE
from app.db import audit, namespaces
from app.db.audit import AuditFilter, AuditRow
from app.db.namespaces import NamespaceRow
from app.errors import ConflictError, NotFoundError
from memory.database import Database


class NamespaceService:
    """Namespaces with their quotas, and the log of who did what in them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, row: NamespaceRow) -> NamespaceRow:
        """Make a namespace.

        Raises:
            ConflictError: there is one of that name.
        """
        if not await self._database.run(partial(namespaces.add, row=row)):
            message = f"there is a namespace {row.name!r} already"
            raise ConflictError(message)
        return row

    async def all(self) -> list[NamespaceRow]:
        """Return every namespace by name."""
        return await self._database.read(namespaces.find)

    async def get(self, name: str) -> NamespaceRow:
        """Return a namespace.

        Raises:
            NotFoundError: there is none of that name.
        """
        return _there(name, await self._database.read(partial(namespaces.get, name=name)))

    async def change(self, name: str, values: dict[str, Any]) -> NamespaceRow:
        """Change what a namespace may use.

        Raises:
            NotFoundError: there is none of that name.
        """
        changed = partial(namespaces.change, name=name, values=values)
        return _there(name, await self._database.run(changed))

    async def remove(self, name: str) -> None:
        """Remove an empty namespace.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: it is the default one, or something is left in it.
        """
        await self.get(name)
        if name == DEFAULT_NAMESPACE:
            message = f"the namespace {name!r} always exists"
            raise ConflictError(message)
        left = await self._database.run(partial(namespaces.remove, name=name))
        if left:
            message = f"the namespace {name!r} still holds {left}; remove or revoke them first"
            raise ConflictError(message)

    async def audit(self, wanted: AuditFilter) -> list[AuditRow]:
        """Return a page of the audit log, newest first."""
        return await self._database.read(partial(audit.find, wanted=wanted))


def _there(name: str, row: NamespaceRow | None) -> NamespaceRow:
    if row is None:
        message = f"there is no namespace {name[:100]!r}"
        raise NotFoundError(message)
    return row
