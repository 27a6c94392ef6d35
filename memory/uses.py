"""Keep what was shown or withheld in which run, and how the run ended: what receipts read."""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import select

from memory.database import Database
from memory.records import Frozen, Recall, RecallQuery, RunOutcome
from memory.rows import insert_new, now
from memory.tables import outcomes, uses


class Decided(Frozen):
    """What was drawn for a run before, which a recovered run must not draw again."""

    entries: Mapping[str, tuple[bool, float]] = {}
    """Withheld or not, and with what chance it could have been, by entry."""
    held_out: bool | None = None
    """`None` while nothing is on record."""
    holdout: float = 0.0


class UseLog:
    """Two append-only tables; what was written first for a run stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_recall(self, query: RecallQuery, recall: Recall) -> None:
        """Write what a run saw and did not see; a recovered run changes nothing."""
        arm = "holdout" if recall.held_out else "memory"
        rows = [
            {
                "run_id": query.run_id,
                "entry_id": item.entry.id,
                "version": item.entry.version,
                "rank": item.rank,
                "score": item.score,
                "withheld": item.withheld,
                "probability": item.probability,
                "reasons": {"why": list(item.reasons), "arm": arm, "holdout": recall.holdout},
                "namespace": query.namespace,
                "family": query.family,
                "created_at": now(),
            }
            for item in recall.items
        ]
        if rows:
            await self._database.run(lambda connection: insert_new(connection, uses, rows))

    async def record_outcome(self, outcome: RunOutcome) -> bool:
        """Write how a run ended, and return whether that was new; only its first ending counts."""
        row: Mapping[str, Any] = {**outcome.model_dump(), "created_at": now()}
        return await self._database.run(
            lambda connection: insert_new(connection, outcomes, [row]) == 1
        )

    async def decided(self, run_id: str) -> Decided:
        """Return what was already drawn for a run."""
        chosen = select(uses.c.entry_id, uses.c.withheld, uses.c.probability, uses.c.reasons).where(
            uses.c.run_id == run_id
        )
        rows = await self._database.read(lambda connection: connection.execute(chosen).all())
        if not rows:
            return Decided()
        # Rows of the first homes hold a list: nobody was held out then.
        known = [cast("dict[str, Any]", row[3]) for row in rows if isinstance(row[3], dict)]
        kept = known[0] if known else {}
        return Decided(
            entries={row[0]: (row[1], row[2]) for row in rows},
            held_out=kept.get("arm") == "holdout",
            holdout=kept.get("holdout", 0.0),
        )
