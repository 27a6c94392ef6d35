"""Receipts of a real memory: what is counted, what is moved, and what is left alone."""

import json
import textwrap
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from sqlalchemy import select

from memory.base import EntryNotFoundError, StaleVersionError
from memory.database import Database
from memory.memory import Memory, build_memory
from memory.ranking import is_held_out, is_withheld
from memory.recall import HOLDOUT, RecallSettings
from memory.receipts.rules import ACTOR
from memory.receipts.settings import ReceiptSettings
from memory.receipts.wording import receipt_text
from memory.records import Provenance, RecallQuery, RunOutcome, Tip
from memory.store import MemoryStore
from memory.tables import audit, uses
from models.embedders.hashing import HashingEmbedder

pytestmark = pytest.mark.anyio

TEXT = "Sort the table by its date first."


@pytest.fixture
async def drawing(
    database: Database, embedder: HashingEmbedder, tmp_path: Path
) -> AsyncIterator[Memory]:
    """Return a memory that withholds often, and holds no run out."""
    settings = RecallSettings(withhold=0.4, holdout=0.0)
    # Draws hang on the ids of entries, so these count up.
    memory = build_memory(
        database,
        embedder,
        folder=tmp_path,
        settings=settings,
        make_id=(f"{number:026d}" for number in count()).__next__,
    )
    yield memory
    await memory.close()


async def plant(memory: Memory, provenance: Provenance, text: str = TEXT) -> str:
    found = await memory.propose(Tip(text=text), namespace="n", provenance=provenance)
    assert found.entry is not None
    return found.entry.id


async def run(
    memory: Memory,
    run_id: str,
    *,
    with_it: bool = True,
    without: bool = True,
    text: str = TEXT,
    family: str = "f",
) -> bool:
    """Play a run whose success hangs on what it was shown; return whether it was shown."""
    query = RecallQuery(text=text, namespace="n", run_id=run_id, family=family)
    shown = bool((await memory.recall(query)).shown)
    success = with_it if shown else without
    await memory.finish(
        RunOutcome(
            run_id=run_id,
            task_id=f"task {run_id}",
            namespace="n",
            family=family,
            success=success,
            end_reason="done" if success else "max_steps",
            steps=4 if success else 9,
            failures=0,
            tokens=100,
            usd=0.01,
            seconds=2.0,
        )
    )
    return shown


def audit_of(database: Database, entry_id: str) -> Sequence[tuple[str, str, str]]:
    chosen = select(audit.c.actor, audit.c.before, audit.c.after).where(
        audit.c.entry_id == entry_id, audit.c.action == "status"
    )
    rows = database.run_sync(lambda connection: connection.execute(chosen).all())
    return [(row[0], row[1], row[2]) for row in rows]


async def test_an_entry_without_runs_has_an_empty_receipt(
    memory: Memory, provenance: Provenance
) -> None:
    receipt = await memory.receipt(await plant(memory, provenance))
    assert receipt.note == "not yet known"
    assert receipt.effect is None
    assert receipt.summary == "shown in no runs, withheld in none: not yet known"
    assert receipt.harm_cases == receipt.families == ()


async def test_an_unknown_entry_has_no_receipt(memory: Memory) -> None:
    with pytest.raises(EntryNotFoundError, match="no entry 'x'"):
        await memory.receipt("x")


async def test_runs_are_counted_by_what_the_draw_did(
    drawing: Memory, provenance: Provenance
) -> None:
    entry_id = await plant(drawing, provenance)
    shown = [await run(drawing, f"r{n}", without=False) for n in range(10)]
    await drawing.recall(RecallQuery(text=TEXT, namespace="n", run_id="open", family="f"))
    receipt = await drawing.receipt(entry_id)
    assert (receipt.shown.runs, receipt.withheld.runs) == (sum(shown), 10 - sum(shown))
    assert receipt.shown.successes == sum(shown)
    assert (receipt.shown.mean_steps, receipt.withheld.mean_steps) == (4.0, 9.0)
    assert (receipt.unfinished, receipt.held_out) == (1, 0)
    success, steps = receipt.metrics[0], receipt.metrics[1]
    assert success.randomised.effect == pytest.approx(1)
    assert success.baseline.effect == pytest.approx(1)
    assert steps.randomised.effect == pytest.approx(-5)
    assert success.shrunk is not None
    assert 0 < success.shrunk < 1


async def test_what_harms_is_quarantined_by_itself_and_can_come_back(
    drawing: Memory, database: Database, provenance: Provenance
) -> None:
    entry_id = await plant(drawing, provenance)
    number = 0
    while (await drawing.get(entry_id)).status == "trial" and number < 60:
        await run(drawing, f"r{number}", with_it=False)
        number += 1
    entry = await drawing.get(entry_id)
    assert entry.status == "quarantined"
    assert 10 <= entry.uses < 30
    assert "chance of help" in entry.status_reason
    assert "interval" in entry.status_reason
    [change] = audit_of(database, entry_id)
    assert change == (ACTOR, "trial", "quarantined")
    receipt = await drawing.receipt(entry_id)
    assert receipt.belief.p_harm > 0.95
    assert len(receipt.harm_cases) == 5
    assert 1 <= len(receipt.harm_cases[0].peers) <= 3

    await drawing.set_status(entry_id, "active", reason="I know better")
    for n in range(100, 110):
        await run(drawing, f"r{n}", with_it=False)
    assert (await drawing.get(entry_id)).status == "active"


async def test_what_helps_becomes_active_and_is_withheld_less(
    database: Database, embedder: HashingEmbedder, tmp_path: Path, provenance: Provenance
) -> None:
    settings = RecallSettings(withhold=0.1, trial_factor=3, holdout=0.0)
    make_id = (f"{number:026d}" for number in count()).__next__
    memory = build_memory(database, embedder, folder=tmp_path, settings=settings, make_id=make_id)
    entry_id = await plant(memory, provenance)
    for number in range(60):
        await run(memory, f"r{number}", without=False)
    assert (await memory.get(entry_id)).status == "active"
    chosen = select(uses.c.probability).order_by(uses.c.created_at)
    chances = [
        row[0] for row in database.run_sync(lambda connection: connection.execute(chosen).all())
    ]
    assert (chances[0], chances[-1]) == (pytest.approx(0.3), 0.1)
    assert chances == sorted(chances, reverse=True)


async def test_receipts_that_may_not_act_only_measure(
    database: Database, embedder: HashingEmbedder, tmp_path: Path, provenance: Provenance
) -> None:
    memory = build_memory(
        database,
        embedder,
        folder=tmp_path,
        settings=RecallSettings(withhold=0.4, holdout=0.0),
        receipts=ReceiptSettings(act=False),
        make_id=(f"{number:026d}" for number in count()).__next__,
    )
    entry_id = await plant(memory, provenance)
    for number in range(60):
        await run(memory, f"r{number}", with_it=False)
    assert (await memory.get(entry_id)).status == "trial"
    receipt = await memory.receipt(entry_id)
    assert receipt.note == "harms"
    assert receipt.effect == pytest.approx(-1)


async def test_another_version_begins_with_a_clean_receipt(
    drawing: Memory, provenance: Provenance
) -> None:
    entry_id = await plant(drawing, provenance)
    await run(drawing, "r1")
    await drawing.revise(
        entry_id, Tip(text="Sort by date."), expected_version=1, provenance=provenance
    )
    receipt = await drawing.receipt(entry_id)
    assert (receipt.version, receipt.shown.runs, receipt.withheld.runs) == (2, 0, 0)
    await drawing.revert(entry_id, 1, expected_version=2, reason="worse")
    receipt = await drawing.receipt(entry_id)
    assert receipt.shown.runs + receipt.withheld.runs == 1


async def test_a_status_that_someone_changed_meanwhile_is_left_alone(
    store: MemoryStore, provenance: Provenance
) -> None:
    remembered = await store.remember(Tip(text=TEXT), namespace="n", provenance=provenance)
    assert remembered.entry is not None
    await store.set_status(remembered.entry.id, "active", reason="seen")
    with pytest.raises(StaleVersionError, match="to be trial, but it is active"):
        await store.set_status(remembered.entry.id, "quarantined", reason="late", expected="trial")


async def test_a_run_that_is_held_out_gets_nothing_and_is_on_record_as_such(
    database: Database, embedder: HashingEmbedder, tmp_path: Path, provenance: Provenance
) -> None:
    settings = RecallSettings(withhold=0.1, holdout=0.3)
    memory = build_memory(database, embedder, folder=tmp_path, settings=settings)
    entry_id = await plant(memory, provenance)
    held_out = 0
    for number in range(40):
        run_id = f"r{number}"
        recall = await memory.recall(RecallQuery(text=TEXT, namespace="n", run_id=run_id))
        assert recall.held_out == is_held_out(run_id, 0.3)
        assert recall.holdout == 0.3
        if recall.held_out:
            assert recall.shown == ()
            assert [item.probability for item in recall.items] == [1.0]
        held_out += recall.held_out
        await run(memory, run_id, without=False)
    overall = await memory.overall("n")
    assert overall.held_out.runs == held_out > 0
    assert overall.with_memory.runs == 40 - held_out
    assert overall.held_out.successes == 0
    effect = overall.effects["success"].effect
    assert effect == pytest.approx(overall.with_memory.successes / overall.with_memory.runs)
    receipt = await memory.receipt(entry_id)
    assert receipt.held_out == held_out
    assert receipt.shown.runs + receipt.withheld.runs == 40 - held_out

    # A recovered run stays in its arm, whatever the settings say by then.
    later = build_memory(database, embedder, folder=tmp_path, settings=RecallSettings(withhold=0.0))
    first = next(n for n in range(40) if is_held_out(f"r{n}", 0.3))
    again = await later.recall(RecallQuery(text=TEXT, namespace="n", run_id=f"r{first}"))
    assert (again.held_out, again.holdout, again.shown) == (True, 0.3, ())


async def test_uses_that_the_first_homes_wrote_are_read(
    memory: Memory, database: Database, provenance: Provenance
) -> None:
    entry_id = await plant(memory, provenance)
    await run(memory, "old")
    database.run_sync(
        lambda connection: connection.execute(uses.update().values(reasons=["words 1"]))
    )
    again = await memory.recall(RecallQuery(text=TEXT, namespace="n", run_id="old"))
    assert (again.held_out, len(again.shown)) == (False, 1)
    assert (await memory.overall("n")).with_memory.runs == 0
    assert (await memory.receipt(entry_id)).shown.runs == 1


def test_the_chances_are_bounded_and_can_be_nought_in_a_namespace() -> None:
    settings = RecallSettings(withhold_in={"quiet": 0.0, "loud": 0.35})
    usual, loud, quiet = (settings.chances(name) for name in ("other", "loud", "quiet"))
    assert (usual.active, usual.trial, usual.holdout) == (0.1, pytest.approx(0.3), HOLDOUT)
    assert (loud.active, loud.trial) == (0.35, 0.4)
    assert (quiet.active, quiet.trial, quiet.holdout) == (0.0, 0.0, 0.0)
    off = RecallSettings(withhold=0.0).chances("any")
    assert (off.active, off.trial, off.holdout) == (0.0, 0.0, 0.0)
    only_holdout = RecallSettings(withhold=0.0, holdout=0.1).chances("any")
    assert (only_holdout.active, only_holdout.holdout) == (0.0, 0.1)


def test_the_holdout_is_drawn_by_run_and_apart_from_the_entries() -> None:
    runs = [f"run-{number}" for number in range(5000)]
    held = [name for name in runs if is_held_out(name, 0.02)]
    assert held == [name for name in runs if is_held_out(name, 0.02)]
    assert 60 <= len(held) <= 145
    assert not any(is_held_out(name, 0.0) for name in runs)
    among = sum(is_withheld(name, "e", 0.3) for name in runs if is_held_out(name, 0.5))
    assert 0.25 < among / sum(is_held_out(name, 0.5) for name in runs) < 0.35


async def test_a_receipt_reads_well_at_a_terminal(drawing: Memory, provenance: Provenance) -> None:
    entry_id = await plant(drawing, provenance)
    for number in range(20):
        await run(
            drawing,
            f"r{number}",
            with_it=number % 5 != 0,
            without=number % 2 == 0,
            family="sum csv" if number % 3 else "plot csv",
        )
    receipt = await drawing.receipt(entry_id)
    text = receipt_text(receipt).replace("\N{MINUS SIGN}", "-")
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 80) or [""]]
    assert lines == snapshot(
        [
            "shown in 12 runs, withheld in 8; success with 67 %, without 62 %, difference +4",
            "points, interval -69…+78: not yet known",
            "chance of help 47 %, of harm 33 %, of no practical difference 20 % (prior of its",
            "kind 0 ± 15 points, not learned yet)",
            "",
            "with minus without  by the draws  interval       against the family  shrunk",
            "success             +4            -69…+78        +7                  +2",
            "steps               -0.2          -3.9…+3.4      -0.3                -0.1",
            "tokens              0             0…0            0                   0",
            "usd                 0.0000        0.0000…0.0000  0.0000              0.0000",
            "seconds             0.0           0.0…0.0        0.0                 0.0",
            "",
            "by family          by the draws  interval  against",
            "success, plot csv  -50           -         -50",
            "success, sum csv   +35           -         +35",
            "failed with it: task task r15, run r15 (max_steps); its like succeeded without:",
            "r18, r12, r6",
            "failed with it: task task r10, run r10 (max_steps); its like succeeded without:",
            "r14, r4",
            "failed with it: task task r5, run r5 (max_steps); its like succeeded without:",
            "r14, r4",
            "failed with it: task task r0, run r0 (max_steps); its like succeeded without:",
            "r18, r12, r6",
        ]
    )
    assert json.loads(receipt.model_dump_json())["summary"] == receipt.summary
