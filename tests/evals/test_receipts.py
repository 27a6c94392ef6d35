"""The short form of `python -m evals.receipts`: fixed seeds, so its figures do not wander."""

import math
import random
from pathlib import Path

import pytest

from evals.receipts import Condition, Played, play, report
from evals.world import EFFECTS, Nature, World
from memory.receipts.moments import Cell, Moments
from memory.receipts.randomised import compare, estimate
from memory.receipts.settings import ReceiptSettings

pytestmark = pytest.mark.anyio

STRONG: dict[Nature, float] = {"helpful": 0.3, "harmful": -0.4, "useless": 0.0}
RUNS = 220
SEQUENCES = 200


def small_world() -> World:
    return World(11, families=1, effects=STRONG)


def test_the_same_seed_is_the_same_world() -> None:
    one, other = World(3), World(3)
    assert one.topics == other.topics
    assert one.plants == other.plants
    assert [one.task(n) for n in range(20)] == [other.task(n) for n in range(20)]
    assert World(4).plants != one.plants
    assert {plant.nature for plant in one.plants} == {"local", *EFFECTS}


async def test_receipts_find_what_harms_and_end_with_more_success(tmp_path: Path) -> None:
    played: dict[Condition, list[Played]] = {}
    for name in ("receipts", "no memory", "no receipts"):
        played[name] = [await play(small_world(), name, RUNS, tmp_path)]
    found = report({**played, "shuffled": played["no memory"]})
    fates = [fate for fate in played["receipts"][0].fates if fate.nature == "harmful"]
    assert sum(fate.status in ("quarantined", "retired") for fate in fates) >= 3
    helpful = [fate for fate in played["receipts"][0].fates if fate.nature == "helpful"]
    assert not [fate for fate in helpful if fate.status in ("quarantined", "retired")]
    last = {name: one[0].chances[RUNS // 2 :] for name, one in played.items()}
    mean = {name: sum(chances) / len(chances) for name, chances in last.items()}
    assert mean["receipts"] > mean["no receipts"] + 0.05
    assert mean["receipts"] > mean["no memory"] + 0.05
    assert found["missed_at_a_look"] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("effect", "chance"), [(0.0, 0.1), (-0.2, 0.3), (0.25, 0.1)])
def test_intervals_hold_however_often_one_looks(effect: float, chance: float) -> None:
    """Look after every third run: at most 5 % of sequences may ever miss, with room for luck."""
    settings = ReceiptSettings()
    missed = sum(_ever_misses(seed, effect, chance, settings) for seed in range(SEQUENCES))
    # Three standard errors over the nominal rate.
    assert missed / SEQUENCES <= settings.alpha + 3 * math.sqrt(0.05 * 0.95 / SEQUENCES)


def _ever_misses(seed: int, effect: float, chance: float, settings: ReceiptSettings) -> bool:
    draw = random.Random(f"{seed} {effect} {chance}")  # noqa: S311 - a simulation
    bases = {"easy": 0.7, "hard": 0.35}
    seen: dict[tuple[str, bool], list[int]] = {}
    for number in range(250):
        family = draw.choice(["easy", "hard"])
        shown = draw.random() >= chance
        success = draw.random() < bases[family] + effect * shown
        counts = seen.setdefault((family, shown), [0, 0])
        counts[0] += 1
        counts[1] += success
        if number % 3:
            continue
        cells = [
            Cell(name, fate, chance, Moments(runs, good, good))
            for (name, fate), (runs, good) in seen.items()
        ]
        totals = {
            name: sum((cell.moments for cell in cells if cell.family == name), Moments())
            for name in bases
        }
        found = estimate(compare(cells, totals, binary=True), settings, binary=True)
        low, high = found.low, found.high
        if low is not None and high is not None and not low <= effect <= high:
            return True
    return False
