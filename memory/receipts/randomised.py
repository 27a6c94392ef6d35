"""Compare runs that a draw left without an entry with those that it left the entry to.

A run in which the entry would have entered the prompt loses it with a chance p that was on
record before the run began. Weighting each run by one over the chance of what happened to it
makes both sides stand for all such runs (Hájek, 1971: the weights of each side are scaled to
sum to one):

    effect = sum_shown(w y') / sum_shown(w) - sum_withheld(w y') / sum_withheld(w),
    w = 1 / (1 - p) if shown, 1 / p if withheld,    y' = y - m(family).

Taking off m, the mean of the run's family (drawn a little towards the mean of all), is the
stratification: hard and easy families no longer blur the comparison. m does not depend on
the run's own draw but through its own share in it, which vanishes as families grow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from memory.receipts.moments import Cell, Moments, unite
from memory.receipts.records import Estimate
from memory.receipts.sequential import radius
from memory.receipts.settings import ReceiptSettings

_TOWARDS_ALL = 4.0
"""Runs' worth of the mean of all families in the mean of each."""
_PRIOR_RUNS = 4.0
"""Runs' worth of the variance known beforehand in the variance of each side. With that of a
coin for success this is the spirit of Agresti and Caffo (2000): that the few runs on one side
were all alike is no certainty. Without it intervals missed almost twice too often when 10 %
were withheld and the effect was large."""


@dataclass(frozen=True)
class Difference:
    """An estimate taken apart: the noise of each side is known by itself."""

    effect: float
    noise_with: float
    """Variance of the mean with the entry."""
    noise_without: float
    runs_with: int
    runs_without: int

    def scaled(self, factor: float) -> "Difference":
        """Return the same in another unit."""
        return Difference(
            self.effect * factor,
            self.noise_with * factor**2,
            self.noise_without * factor**2,
            self.runs_with,
            self.runs_without,
        )


@dataclass(frozen=True)
class _Side:
    runs: int
    mean: float
    spread: float
    """Weighted mean square around the mean."""
    effective: float
    """Runs of equal weight that would say as much."""


def compare(
    cells: Sequence[Cell], families: Mapping[str, Moments], *, binary: bool
) -> Difference | None:
    """Return the weighted difference, or nothing while one side is empty.

    `families` holds all runs of each family, whatever became of the entry in them.
    """
    drawn = [cell for cell in cells if cell.randomised and cell.moments.runs]
    overall = unite(families.values())
    centred = [_centred(cell, families, overall.mean) for cell in drawn]
    shown = _side([cell for cell in centred if cell.shown])
    withheld = _side([cell for cell in centred if not cell.shown])
    if shown is None or withheld is None:
        return None
    known = 0.25 if binary else overall.variance
    return Difference(
        effect=shown.mean - withheld.mean,
        noise_with=_noise(shown, known),
        noise_without=_noise(withheld, known),
        runs_with=shown.runs,
        runs_without=withheld.runs,
    )


def estimate(
    difference: Difference | None,
    settings: ReceiptSettings,
    *,
    binary: bool,
    counts: tuple[int, int] = (0, 0),
) -> Estimate:
    """Return the difference with its interval; `counts` stand in while there is none."""
    if difference is None:
        return Estimate(runs_with=counts[0], runs_without=counts[1])
    error = sqrt(difference.noise_with + difference.noise_without)
    low = high = None
    if min(difference.runs_with, difference.runs_without) >= settings.min_arm:
        half = radius(
            error,
            difference.runs_with + difference.runs_without,
            alpha=settings.alpha,
            tuned_for_runs=settings.tuned_for_runs,
        )
        low, high = difference.effect - half, difference.effect + half
        if binary:
            low, high = max(low, -1.0), min(high, 1.0)
    return Estimate(
        effect=difference.effect,
        std_error=error,
        low=low,
        high=high,
        runs_with=difference.runs_with,
        runs_without=difference.runs_without,
    )


def _centred(cell: Cell, families: Mapping[str, Moments], overall: float) -> Cell:
    family = families.get(cell.family, Moments())
    mean = (family.total + _TOWARDS_ALL * overall) / (family.runs + _TOWARDS_ALL)
    moments = cell.moments
    moved = Moments(moments.runs, moments.total - moments.runs * mean, moments.around(mean))
    return Cell(cell.family, cell.shown, cell.probability, moved)


def _side(cells: Sequence[Cell]) -> _Side | None:
    runs = sum(cell.moments.runs for cell in cells)
    if not runs:
        return None
    weights = [_weight(cell) for cell in cells]
    pairs = list(zip(weights, (cell.moments for cell in cells), strict=True))
    weight = sum(w * moments.runs for w, moments in pairs)
    mean = sum(w * moments.total for w, moments in pairs) / weight
    spread = sum(w * moments.around(mean) for w, moments in pairs) / weight
    effective = weight**2 / sum(w**2 * moments.runs for w, moments in pairs)
    return _Side(runs, mean, spread, effective)


def _weight(cell: Cell) -> float:
    return 1 / (1 - cell.probability) if cell.shown else 1 / cell.probability


def _noise(side: _Side, known: float) -> float:
    own = side.spread * side.runs + _PRIOR_RUNS * known
    return own / (side.runs + _PRIOR_RUNS) / side.effective
