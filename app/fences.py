"""Know which claims this process works on, and whether they still hold."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial

from app.db import claims
from app.db.records import Claim
from app.errors import Fenced
from memory.database import Database

GOOD_FOR_S = 0.2
"""How long a claim that was found to hold is taken to hold.

Checkpoints lie in another file than claims, so no check can be one transaction with the write
that it guards; this bounds how late a lost claim is noticed, and spares a read for each write.
"""


class Fences:
    """The claims of this process by run, for what knows a graph's thread only."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._claims: dict[str, Claim] = {}
        self._good_until: dict[Claim, float] = {}

    @contextmanager
    def holding(self, claim: Claim) -> Generator[None]:
        """Let the graphs of the claim's run write."""
        self._claims[claim.run_id] = claim
        try:
            yield
        finally:
            if self._claims.get(claim.run_id) == claim:
                del self._claims[claim.run_id]
            self._good_until.pop(claim, None)

    def claim_of(self, thread_id: str) -> Claim:
        """Return the claim under which this process works on a graph's thread.

        Raises:
            Fenced: there is none.
        """
        claim = self._claims.get(thread_id.partition(":")[0])
        if claim is None:
            raise Fenced(thread_id)
        return claim

    async def check(self, thread_id: str) -> None:
        """Refuse a write of a graph whose claim is not the newest one.

        Raises:
            Fenced: it is not.
        """
        claim = self.claim_of(thread_id)
        asked = self._clock()
        if asked < self._good_until.get(claim, 0.0):
            return
        newest = await self._database.read(partial(claims.held, task_ids=[claim.task_id]))
        if newest.get(claim.task_id) != claim.epoch:
            raise Fenced(thread_id)
        self._good_until[claim] = asked + GOOD_FOR_S
