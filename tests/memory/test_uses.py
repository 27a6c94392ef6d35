import pytest

from memory.base import EntryNotFoundError
from memory.records import Provenance, Recall, Recalled, RecallQuery, RunOutcome, Tip
from memory.store import MemoryStore
from memory.uses import Arm, UseLog

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


async def test_a_record_counts_runs_with_and_without_and_claims_nothing(
    store: MemoryStore, log: UseLog, provenance: Provenance
) -> None:
    remembered = await store.remember(
        Tip(text="Use tabs here."), namespace="n", provenance=provenance
    )
    entry = remembered.entry
    assert entry is not None
    runs = [
        ("a", False, True, 2),
        ("b", False, False, 6),
        ("c", True, False, 8),
        ("d", False, None, 0),
    ]
    for run_id, withheld, success, steps in runs:
        query = RecallQuery(text="x", namespace="n", run_id=run_id, family="f")
        item = Recalled(entry=entry, score=1.0, rank=1, withheld=withheld, reasons=("words 1",))
        for _ in range(2):
            await log.record_recall(query, Recall(items=(item,)), probability=0.1)
        if success is not None:
            await log.record_outcome(outcome(run_id, success=success, steps=steps))
    record = await log.record_of(entry.id)
    assert record.shown == Arm(runs=2, successes=1, mean_steps=4.0)
    assert record.withheld == Arm(runs=1, successes=0, mean_steps=8.0)
    assert record.unfinished == 1
    assert (record.effect, record.note) == (None, "not yet known")
    assert (await store.get(entry.id)).uses == 3


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
        item = Recalled(entry=entry, score=1.0, rank=1, withheld=withheld)
        await log.record_recall(query, Recall(items=(item,)), probability=0.1)
    await log.record_outcome(outcome("r", success=False))
    await log.record_outcome(outcome("r", success=True))
    assert await log.decided("r") == {entry.id: True}
    record = await log.record_of(entry.id)
    assert (record.withheld.runs, record.withheld.successes, record.shown.runs) == (1, 0, 0)


async def test_an_unknown_entry_has_no_record(log: UseLog) -> None:
    with pytest.raises(EntryNotFoundError, match="no entry 'x'"):
        await log.record_of("x")
