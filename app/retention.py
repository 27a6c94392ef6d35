"""Keep things for as long as the operator wants, and no longer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from app.db import retention
from app.db.retention import Rules
from app.db.types import now
from app.home import Home
from memory.database import Database
from sandboxes.swapping import remove_tree


class Clear(Protocol):
    """Removes some of what is old, and says how much; zero when there is no more."""

    def __call__(self, connection: Connection, since: datetime) -> int:
        """Remove a batch of what is from before."""
        ...


class Retention:
    """Removes what is older than the rules say, in small batches."""

    def __init__(self, database: Database, home: Home, rules: Rules) -> None:
        self._database = database
        self._home = home
        self._rules = rules

    async def run(self, tell: Callable[[Counter[str]], None] | None = None) -> Counter[str]:
        """Remove what is old; return how many of what, and `tell` it after each batch."""
        done: Counter[str] = Counter()
        moment = now()
        wanted = partial(retention.cutoffs, rules=self._rules, moment=moment)
        for namespace, since in (await self._database.read(wanted)).items():
            tasks = partial(retention.clear_tasks, namespace=namespace, since=since)
            while ids := await self._database.run(tasks):
                await asyncio.to_thread(self._clear_workspaces, ids)
                _count(done, "tasks", len(ids), tell)
            files = partial(retention.clear_files, namespace=namespace, since=since)
            while ids := await self._database.run(files):
                await asyncio.to_thread(self._clear_files, ids)
                _count(done, "files", len(ids), tell)
            inboxes = partial(retention.clear_inboxes, namespace=namespace, since=since)
            while removed := await self._database.run(inboxes):
                _count(done, "messages to agents", removed, tell)
        for what, days, clear in self._records():
            old = partial(clear, since=moment - timedelta(days=days))
            while removed := await self._database.run(old):
                _count(done, what, removed, tell)
        return done

    def _records(self) -> Iterator[tuple[str, int, Clear]]:
        """Give what is kept alike for all namespaces, for how many days, and what removes it."""
        rules = self._rules
        yield "idempotency keys", rules.idempotency_days, retention.clear_keys
        yield "messages to webhooks", rules.record_days, retention.clear_deliveries
        yield "due times", rules.record_days, retention.clear_occurrences
        if rules.audit_days is not None:
            yield "audit lines", rules.audit_days, retention.clear_audit

    def _clear_workspaces(self, ids: list[str]) -> None:
        for task_id in ids:
            remove_tree(self._home.workspace(task_id))

    def _clear_files(self, ids: list[str]) -> None:
        for file_id in ids:
            (self._home.files / file_id).unlink(missing_ok=True)


def _count(
    done: Counter[str], what: str, number: int, tell: Callable[[Counter[str]], None] | None
) -> None:
    done[what] += number
    if tell is not None:
        tell(done)
