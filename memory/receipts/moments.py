"""Counts and sums of runs, which are all that the estimates need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Moments:
    """A group of runs and one of their figures: how many, its sum, its sum of squares."""

    runs: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Moments") -> "Moments":
        """Unite two groups."""
        return Moments(
            self.runs + other.runs, self.total + other.total, self.squares + other.squares
        )

    def __sub__(self, other: "Moments") -> "Moments":
        """Take a part of the group out of it."""
        return Moments(
            self.runs - other.runs, self.total - other.total, self.squares - other.squares
        )

    @property
    def mean(self) -> float:
        """Return the mean, 0 for no runs."""
        return self.total / self.runs if self.runs else 0.0

    @property
    def spread(self) -> float:
        """Return the sum of squared distances from the mean."""
        return self.around(self.mean)

    @property
    def variance(self) -> float:
        """Return the variance of a run, 0 for fewer than two."""
        return self.spread / (self.runs - 1) if self.runs > 1 else 0.0

    def around(self, point: float) -> float:
        """Return the sum of squared distances from a point."""
        about = self.squares - 2 * point * self.total + self.runs * point**2
        return max(about, 0.0)


@dataclass(frozen=True)
class Cell:
    """Runs of one family on which an entry had the same chance and the same fate."""

    family: str
    shown: bool
    probability: float
    """The chance with which it could have been withheld."""
    moments: Moments

    @property
    def randomised(self) -> bool:
        """Return whether the draw could have gone either way."""
        return 0 < self.probability < 1


def unite(groups: Iterable[Moments]) -> Moments:
    """Return all groups as one."""
    return sum(groups, Moments())


def by_family(cells: Iterable[Cell]) -> Mapping[str, Moments]:
    """Return the runs of each family."""
    found: dict[str, Moments] = {}
    for cell in cells:
        found[cell.family] = found.get(cell.family, Moments()) + cell.moments
    return found
