import pytest

from memory.records import Provenance, Recall, Recalled, RecallQuery, RunOutcome, Tip
from memory.store import MemoryStore
from memory.uses import UseLog

pytestmark = pytest.mark.anyio


def outcome(run_id: str, *, success: bool, steps: int = 4) -> RunOutcome:
    return RunOutcome(
        run_id=run_id,
        task_id="t",
        namespace="n",
        family="f",
        success=success,
        end_reason="done",
        steps=steps,
        failures=0,
        tokens=10,
        usd=0.1,
        seconds=1.0,
    )


async def test_what_was_written_first_for_a_run_stays(
    store: MemoryStore, log: UseLog, provenance: Provenance
) -> None:
    remembered = await store.remember(
        Tip(text="Use tabs here."), namespace="n", provenance=provenance
    )
    entry = remembered.entry
    assert entry is not None
    query = RecallQuery(text="x", namespace="n", run_id="r")
    for withheld in (True, False):
        item = Recalled(entry=entry, score=1.0, rank=1, withheld=withheld, probability=0.1)
        await log.record_recall(query, Recall(items=(item,), holdout=0.02))
    assert await log.record_outcome(outcome("r", success=False))
    assert not await log.record_outcome(outcome("r", success=True))
    decided = await log.decided("r")
    assert decided.entries == {entry.id: (True, 0.1)}
    assert (decided.held_out, decided.holdout) == (False, 0.02)


async def test_nothing_is_decided_for_an_unknown_run(log: UseLog) -> None:
    assert (await log.decided("r")).held_out is None
