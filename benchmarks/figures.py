"""What was measured, as values, a table and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured thing."""

    name: str
    unit: str
    median: float
    p99: float
    samples: int
    aim: float | None
    """The median is to stay below this, or above it where more is better; None for no aim."""
    more_is_better: bool = False


def figure(
    name: str,
    unit: str,
    samples: Sequence[float],
    aim: float | None = None,
    *,
    more_is_better: bool = False,
) -> Figure:
    """Return the figure of some samples; with few of them p99 is their maximum."""
    high = quantiles(samples, n=100)[98] if len(samples) >= 100 else max(samples)
    return Figure(name, unit, median(samples), high, len(samples), aim, more_is_better)


def as_table(figures: Sequence[Figure], machine: str) -> str:
    """Return a Markdown table."""
    lines = [
        f"Measured on {machine}.",
        "",
        "| what | median | p99 | samples | aim |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {f.name} | {f.median:.1f} {f.unit} | {f.p99:.1f} {f.unit} | {f.samples} | {_aim(f)} |"
        for f in figures
    ]
    return "\n".join(lines)


def _aim(one: Figure) -> str:
    if one.aim is None:
        return ""
    return f"{'>' if one.more_is_better else '<'} {one.aim:g} {one.unit}"


def as_json(figures: Sequence[Figure], machine: str, stamp: str) -> str:
    """Return the figures for programs."""
    document = {"at": stamp, "machine": machine, "figures": [asdict(f) for f in figures]}
    return json.dumps(document, indent=2) + "\n"
