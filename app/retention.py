"""Keep things for as long as the operator wants, and no longer."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from app.db import retention
from app.db.retention import Rules
from app.db.types import now
from app.home import Home
from memory.database import Database


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
        keys_since = moment - timedelta(days=self._rules.idempotency_days)
        while removed := await self._database.run(partial(retention.clear_keys, since=keys_since)):
            _count(done, "idempotency keys", removed, tell)
        if self._rules.audit_days is not None:
            audit = partial(
                retention.clear_audit, since=moment - timedelta(days=self._rules.audit_days)
            )
            while removed := await self._database.run(audit):
                _count(done, "audit lines", removed, tell)
        return done

    def _clear_workspaces(self, ids: list[str]) -> None:
        for task_id in ids:
            shutil.rmtree(self._home.workspace(task_id), ignore_errors=True)

    def _clear_files(self, ids: list[str]) -> None:
        for file_id in ids:
            (self._home.files / file_id).unlink(missing_ok=True)


def _count(
    done: Counter[str], what: str, number: int, tell: Callable[[Counter[str]], None] | None
) -> None:
    done[what] += number
    if tell is not None:
        tell(done)
