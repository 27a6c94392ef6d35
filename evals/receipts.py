"""Prove that the proof works: real receipts in a world where the truth is known.

`python -m evals.receipts` runs the real memory (SQLite, real recall, real receipts) over
several worlds and says: how often the intervals miss the truth when someone looks after every
run; after how many uses harmful entries are gone; how often others are; and how much success
there is with receipts, with no memory, with memory without receipts, and with memory that
answers for the wrong topic.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf, isfinite
from pathlib import Path
from statistics import mean, median
from typing import Literal, get_args

from evals.world import NAMESPACE, Nature, Planted, World
from memory.database import Database, sqlite_engine
from memory.memory import Memory, build_memory
from memory.recall import RecallSettings
from memory.receipts.receipts import Receipts
from memory.receipts.records import Estimate
from memory.receipts.settings import ReceiptSettings
from memory.records import Provenance, Recall, RecallQuery, Status, Tip
from memory.store import MemoryStore
from memory.tables import create_tables
from models.embedders.hashing import HashingEmbedder

Condition = Literal["receipts", "no memory", "no receipts", "shuffled"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
TENTHS = 10


@dataclass
class Fate:
    """What became of a planted entry."""

    nature: Nature
    status: Status = "trial"
    shown: int = 0
    """Finished runs that had it in their prompts."""
    moved_after: int | None = None
    """Runs that had it when a rule took it out of use."""
    looks: int = 0
    """Intervals that were looked at."""
    misses: int = 0
    """Intervals without the truth, of those."""
    truth: float = 0.0
    """Sum of its true effects over the runs in which a draw decided on it."""
    drawn: int = 0


@dataclass
class Played:
    """One condition in one world."""

    chances: list[float] = field(default_factory=list[float])
    """Chance of success of each run: the luck of the draw is left out."""
    fates: list[Fate] = field(default_factory=list[Fate])
    overall: Estimate | None = None
    """Effect of the whole memory by the runs held out."""
    seconds: float = 0.0


class _Player:
    """Plays the tasks of a world against a memory."""

    def __init__(
        self,
        world: World,
        memory: Memory,
        receipts: Receipts,
        condition: Condition,
        by_id: Mapping[str, Planted],
    ) -> None:
        self.world = world
        self.memory = memory
        self.receipts = receipts
        self.condition = condition
        self.by_id = by_id
        self.played = Played()
        self.fates = {entry_id: Fate(plant.nature) for entry_id, plant in by_id.items()}

    async def play(self, number: int) -> None:
        """Let one task run to its end."""
        task = self.world.task(number)
        run_id = f"{self.world.seed}-{number}"
        text = task.text
        if self.condition == "shuffled":
            text = self.world.elsewhere(task)
        query = RecallQuery(
            text=text,
            namespace=NAMESPACE,
            run_id=run_id,
            family=task.topic.family,
            kinds=("tip",),
            top_k=8,
        )
        recall = await self.memory.recall(query)
        shown = [self.by_id[item.entry.id] for item in recall.shown]
        self.played.chances.append(self.world.chance(task, shown))
        self._note(number, recall, shown)
        await self.memory.finish(self.world.outcome(task, run_id, shown))
        if self.condition == "receipts" and not recall.held_out:
            for item in recall.items:
                await self._look(item.entry.id)

    def _note(self, number: int, recall: Recall, shown: Sequence[Planted]) -> None:
        task = self.world.task(number)
        for item in recall.items:
            fate, plant = self.fates[item.entry.id], self.by_id[item.entry.id]
            fate.shown += not item.withheld
            if 0 < item.probability < 1:
                others = [one for one in shown if one is not plant]
                with_it = self.world.chance(task, [*others, plant])
                fate.truth += with_it - self.world.chance(task, others)
                fate.drawn += 1

    async def _look(self, entry_id: str) -> None:
        fate = self.fates[entry_id]
        evidence = await self.receipts.evidence(entry_id)
        fate.status = evidence.status
        if fate.status in ("quarantined", "retired") and fate.moved_after is None:
            fate.moved_after = fate.shown
        low, high = evidence.randomised.low, evidence.randomised.high
        if low is not None and high is not None and fate.drawn:
            fate.looks += 1
            fate.misses += not low <= fate.truth / fate.drawn <= high


async def play(world: World, condition: Condition, runs: int, folder: Path) -> Played:
    """Play the first tasks of a world under a condition, on a new database in the folder."""
    started = time.perf_counter()
    if condition == "no memory":
        tasks = [world.task(number) for number in range(runs)]
        return Played(chances=[world.chance(task, ()) for task in tasks])
    measured = condition == "receipts"
    database = Database(sqlite_engine(folder / f"{world.seed} {condition}.db"))
    database.run_sync(create_tables)
    embedder = HashingEmbedder()
    settings = ReceiptSettings(act=measured)
    memory = build_memory(
        database,
        embedder,
        folder=folder,
        settings=RecallSettings() if measured else RecallSettings(withhold=0.0),
        receipts=settings,
        make_id=(f"{number:026d}" for number in count()).__next__,
    )
    by_id = await _plant(memory, world)
    receipts = Receipts(database, MemoryStore(database, embedder), settings)
    player = _Player(world, memory, receipts, condition, by_id)
    for number in range(runs):
        await player.play(number)
    played = player.played
    played.fates = list(player.fates.values())
    played.overall = (await memory.overall(NAMESPACE)).effects["success"]
    played.seconds = time.perf_counter() - started
    await memory.close()
    database.close()
    return played


async def _plant(memory: Memory, world: World) -> dict[str, Planted]:
    planted: dict[str, Planted] = {}
    for plant in world.plants:
        remembered = await memory.propose(
            Tip(text=plant.text),
            namespace=NAMESPACE,
            provenance=Provenance(run_id="planted", reason="planted"),
        )
        if remembered.outcome != "new" or remembered.entry is None:
            msg = f"expected to plant {plant.text!r} anew, but it was {remembered.outcome}"
            raise RuntimeError(msg)
        planted[remembered.entry.id] = plant
    return planted


def report(played: Mapping[Condition, Sequence[Played]]) -> dict[str, object]:
    """Return the figures of several worlds."""
    worlds = played["receipts"]
    fates = [fate for world in worlds for fate in world.fates]
    looked = [fate for fate in fates if fate.looks]
    natures: dict[Nature, list[Fate]] = defaultdict(list)
    for fate in fates:
        natures[fate.nature].append(fate)
    harmful = natures["harmful"]
    gone = [fate.moved_after or inf for fate in harmful]
    quarantined = [
        fate.moved_after for fate in harmful if fate.moved_after and fate.status == "quarantined"
    ]
    harmless = [fate for fate in fates if fate.nature != "harmful"]
    return {
        "worlds": len(worlds),
        "runs": len(worlds[0].chances),
        "looks": sum(fate.looks for fate in looked),
        "missed_at_a_look": _share(
            sum(fate.misses for fate in looked), sum(fate.looks for fate in looked)
        ),
        "ever_missed": _share(sum(fate.misses > 0 for fate in looked), len(looked)),
        "uses_until_quarantine": median(quarantined) if quarantined else None,
        "uses_until_gone": median(gone) if isfinite(median(gone)) else None,
        "false_quarantine": _share(
            sum(fate.status == "quarantined" for fate in harmless), len(harmless)
        ),
        "fates": {nature: _fates(found) for nature, found in natures.items()},
        "success": {
            name: round(mean(mean(one.chances) for one in found), 4)
            for name, found in played.items()
        },
        "success_by_tenth": {name: _tenths(found) for name, found in played.items()},
        "overall": [None if one.overall is None else one.overall.model_dump() for one in worlds],
        "seconds": round(sum(one.seconds for found in played.values() for one in found), 1),
    }


def _fates(found: Sequence[Fate]) -> dict[str, float]:
    counts = {status: sum(fate.status == status for fate in found) for status in get_args(Status)}
    shares = {status: _share(count, len(found)) for status, count in counts.items() if count}
    return {"entries": len(found), **shares}


def _tenths(found: Sequence[Played]) -> list[float]:
    size = max(len(found[0].chances) // TENTHS, 1)
    return [
        round(mean(mean(one.chances[at : at + size]) for one in found), 3)
        for at in range(0, size * TENTHS, size)
        if at < len(found[0].chances)
    ]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


async def measure(seeds: Sequence[int], runs: int, *, families: int = 3) -> dict[str, object]:
    """Play every condition in every world and return the figures."""
    played: dict[Condition, list[Played]] = {name: [] for name in CONDITIONS}
    with tempfile.TemporaryDirectory(prefix="strop-evals-") as folder:
        for seed in seeds:
            for name in CONDITIONS:
                played[name].append(
                    await play(World(seed, families=families), name, runs, Path(folder))
                )
    return report(played)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m evals.receipts", description=__doc__)
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1500)
    parser.add_argument("--families", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the JSON to this file too")
    args = parser.parse_args(argv)
    seeds = range(args.first_seed, args.first_seed + args.worlds)
    found = asyncio.run(measure(seeds, args.runs, families=args.families))
    text = json.dumps(found, indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
