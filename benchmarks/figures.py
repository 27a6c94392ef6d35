"""What was measured, as values, a table and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Figure:
    """One measured thing."""

    name: str
    unit: str
    median: float
    p99: float
    samples: int
    aim: float
    """The median is to stay below this."""


def figure(name: str, unit: str, samples: Sequence[float], aim: float) -> Figure:
    """Return the figure of some samples; with few of them p99 is their maximum."""
    high = quantiles(samples, n=100)[98] if len(samples) >= 100 else max(samples)
    return Figure(name, unit, median(samples), high, len(samples), aim)


def as_table(figures: Sequence[Figure], machine: str) -> str:
    """Return a Markdown table."""
    lines = [
        f"Measured on {machine}.",
        "",
        "| what | median | p99 | samples | aim |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {f.name} | {f.median:.1f} {f.unit} | {f.p99:.1f} {f.unit} | {f.samples} "
        f"| < {f.aim:g} {f.unit} |"
        for f in figures
    ]
    return "\n".join(lines)


def as_json(figures: Sequence[Figure], machine: str, stamp: str) -> str:
    """Return the figures for programs."""
    document = {"at": stamp, "machine": machine, "figures": [asdict(f) for f in figures]}
    return json.dumps(document, indent=2) + "\n"
