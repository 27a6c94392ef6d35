"""Keys, quotas and the audit log, on every database."""

from functools import partial

import pytest

from app.access import Access
from app.db import audit, namespaces
from app.db.audit import AuditFilter
from app.db.namespaces import NamespaceRow
from app.db.types import now
from app.errors import NotFoundError, TooManyError, UnauthorizedError
from app.rates import Rates
from memory.database import Database
from tests.support.service import put, queued

pytestmark = pytest.mark.anyio


async def test_a_key_opens_until_it_is_revoked(database: Database) -> None:
    access = Access(database, Rates(0, 1, lambda: 0.0))
    assert not await access.locked()
    made = await access.create("laptop", "default", ["tasks:read"])
    caller = await access.admit(f"Bearer {made.token}", "10.0.0.1")
    assert (caller.key_id, caller.namespace) == (made.row.id, "default")
    assert (await access.keys())[0].last_used_at is not None
    await access.revoke(made.row.id)
    with pytest.raises(UnauthorizedError):
        await access.admit(f"Bearer {made.token}", "10.0.0.1")
    with pytest.raises(NotFoundError):
        await access.revoke("nobody")
    lines = await database.read(partial(audit.find, wanted=AuditFilter(action="key")))
    assert [line.action for line in lines] == ["key.refused", "key.revoked", "key.created"]


async def test_without_keys_only_this_machine_is_served(database: Database) -> None:
    access = Access(database, Rates(0, 1, lambda: 0.0))
    assert (await access.admit(None, "::1")).key_id is None
    with pytest.raises(UnauthorizedError, match="only this machine"):
        await access.admit(None, "10.0.0.1")


def test_quotas_bound_tasks_and_bytes_and_a_full_namespace_stays(database: Database) -> None:
    row = NamespaceRow(name="red", tasks_per_day=1, usd_per_day=1, stored_bytes=5, created_at=now())
    assert database.run_sync(partial(namespaces.add, row=row))
    assert not database.run_sync(partial(namespaces.add, row=row))
    database.run_sync(partial(namespaces.admit_task, name="red"))
    put(database, queued(namespace="red"))
    with pytest.raises(TooManyError, match="1 tasks a day"):
        database.run_sync(partial(namespaces.admit_task, name="red"))
    database.run_sync(partial(namespaces.admit_bytes, name="red", size=5))
    with pytest.raises(TooManyError, match="5 bytes"):
        database.run_sync(partial(namespaces.admit_bytes, name="red", size=6))
    assert database.run_sync(partial(namespaces.remove, name="red")) == "tasks"
