"""Know which claims this process works on, and whether they still hold."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

from app.db import claims
from app.db.records import Claim
from app.errors import Fenced
from memory.database import Database


class Fences:
    """The claims of this process by run, for what knows a graph's thread only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims: dict[str, Claim] = {}

    @contextmanager
    def holding(self, claim: Claim) -> Generator[None]:
        """Let the graphs of the claim's run write."""
        self._claims[claim.run_id] = claim
        try:
            yield
        finally:
            if self._claims.get(claim.run_id) == claim:
                del self._claims[claim.run_id]

    async def check(self, thread_id: str) -> None:
        """Refuse a write of a graph whose claim is not the newest one.

        Raises:
            Fenced: it is not.
        """
        claim = self._claims.get(thread_id.partition(":")[0])
        if claim is None:
            raise Fenced(thread_id)
        newest = await self._database.read(partial(claims.held, task_ids=[claim.task_id]))
        if newest.get(claim.task_id) != claim.epoch:
            raise Fenced(thread_id)
