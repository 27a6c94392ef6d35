"""Keep what was shown or withheld in which run, and how the run ended: what receipts read."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from memory.database import Database
from memory.records import Frozen, Recall, RecallQuery, RunOutcome
from memory.rows import insert_new, load, now
from memory.tables import outcomes, uses


class Arm(Frozen):
    """The finished runs on one side of the comparison."""

    runs: int = 0
    successes: int = 0
    mean_steps: float | None = None
    """Over the finished runs; `None` before the first."""


class Record(Frozen):
    """What is on record about an entry, before any judgement."""

    entry_id: str
    shown: Arm
    """Runs that had it in their prompts."""
    withheld: Arm
    """Runs that would have had it, but for the draw."""
    unfinished: int
    """Runs that used it and have not ended yet."""
    effect: float | None = None
    """Difference in the rate of success; `None` while it is not known."""
    note: Literal["not yet known"] = "not yet known"


class UseLog:
    """Two append-only tables; what was written first for a run stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_recall(
        self, query: RecallQuery, recall: Recall, *, probability: float = 0.0
    ) -> None:
        """Write what a run saw and did not see; a recovered run changes nothing."""
        rows = [
            {
                "run_id": query.run_id,
                "entry_id": item.entry.id,
                "version": item.entry.version,
                "rank": item.rank,
                "score": item.score,
                "withheld": item.withheld,
                "probability": probability,
                "reasons": list(item.reasons),
                "namespace": query.namespace,
                "family": query.family,
                "created_at": now(),
            }
            for item in recall.items
        ]
        if rows:
            await self._database.run(lambda connection: insert_new(connection, uses, rows))

    async def record_outcome(self, outcome: RunOutcome) -> None:
        """Write how a run ended; only the first ending of a run counts."""
        row: Mapping[str, Any] = {**outcome.model_dump(), "created_at": now()}
        await self._database.run(lambda connection: insert_new(connection, outcomes, [row]))

    async def decided(self, run_id: str) -> Mapping[str, bool]:
        """Return what was already decided for a run: withheld or not, by entry."""
        chosen = select(uses.c.entry_id, uses.c.withheld).where(uses.c.run_id == run_id)
        rows = await self._database.read(lambda connection: connection.execute(chosen).all())
        return {row[0]: row[1] for row in rows}

    async def record_of(self, entry_id: str) -> Record:
        """Return the counts with and without an entry.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._database.read(lambda connection: _record_of(connection, entry_id))


def _record_of(connection: Connection, entry_id: str) -> Record:
    load(connection, entry_id)
    joined = uses.outerjoin(outcomes, outcomes.c.run_id == uses.c.run_id)
    rows: Sequence[Any] = connection.execute(
        select(
            uses.c.withheld,
            outcomes.c.success,
            func.count(),
            func.avg(outcomes.c.steps),
        )
        .select_from(joined)
        .where(uses.c.entry_id == entry_id)
        .group_by(uses.c.withheld, outcomes.c.success)
    ).all()
    return Record(
        entry_id=entry_id,
        shown=_arm([row for row in rows if not row[0]]),
        withheld=_arm([row for row in rows if row[0]]),
        unfinished=sum(row[2] for row in rows if row[1] is None),
    )


def _arm(rows: Sequence[Any]) -> Arm:
    finished = [row for row in rows if row[1] is not None]
    runs = sum(row[2] for row in finished)
    if not runs:
        return Arm()
    return Arm(
        runs=runs,
        successes=sum(row[2] for row in finished if row[1]),
        mean_steps=sum(row[2] * float(row[3]) for row in finished) / runs,
    )
