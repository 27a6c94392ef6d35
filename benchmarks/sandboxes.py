"""Measure what it costs to run code apart from the server, and the same for two peers.

python -m benchmarks.sandboxes                     # 30 rounds: some minutes
python -m benchmarks.sandboxes --rounds 5 --no-peers

All cases take turns within each round, so that whatever else the machine does hits all alike.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from random import Random
from statistics import median

from benchmarks.figures import RESULTS
from benchmarks.process_costs import available_mb, below, cpu_below_ms, of_containers, pss_mb
from benchmarks.sandbox_cases import Case, Grounds, docker, grounds, ours
from benchmarks.sandbox_peers import Driven, peers
from sandboxes.base import Sandbox, SandboxBackend
from sandboxes.python_session import PythonSession

_SIDE_BY_SIDE = 8
_WARM_UP = 2


@dataclass
class Row:
    """How long one case took, in milliseconds."""

    name: str
    median: float
    p90: float
    least: float
    cpu: float
    """Mean processor time of this process and all below it."""
    samples: int


@dataclass
class Burst:
    """Many tiny executions, eight at a time."""

    name: str
    executions: int
    per_second: float
    median: float
    p99: float
    cpu: float
    failures: int


@dataclass
class Held:
    """What idle ones cost."""

    name: str
    held: int
    mb_each: float
    first_ms: float
    """Median time to make one, of the first fifth."""
    last_ms: float
    note: str


@dataclass
class Report:
    """Everything that one run found."""

    machine: str
    rows: list[Row]
    bursts: list[Burst]
    held: list[Held]
    aims: list[str]
    notes: list[str]


def main() -> int:
    """Measure, print tables, write them and JSON to `benchmarks/results`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sandboxes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=30, help="at least 30 for figures to keep")
    parser.add_argument("--held", type=int, default=200, help="how many workers are held at once")
    parser.add_argument("--no-peers", action="store_true", help="install nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args()
    report = asyncio.run(measure(args.rounds, args.held, with_peers=not args.no_peers))
    document = json.dumps(asdict(report), indent=2) + "\n"
    text = as_text(report)
    print(document if args.json else text)
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for stem in (f"sandboxes-{stamp}", "sandboxes-latest"):
        (RESULTS / f"{stem}.json").write_text(document, encoding="utf-8")
        (RESULTS / f"{stem}.md").write_text(text, encoding="utf-8")
    return 0


async def measure(rounds: int, held: int, *, with_peers: bool) -> Report:
    """Run everything."""
    async with grounds() as ground:
        cases = [*await ours(ground), *await docker(ground)]
        driven: dict[str, Driven] = {}
        if with_peers:
            more, driven = await peers(ground)
            cases += more
        before = os.getloadavg()[0]
        rows = await _rounds(cases, rounds)
        bursts = [await _burst(case, rounds) for case in cases if case.burst]
        memory = await _idle(ground, held, driven)
        after = os.getloadavg()[0]
        machine = (
            f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}, load "
            f"{before:.1f} before and {after:.1f} after, Python {platform.python_version()}, "
            f"{'root' if os.geteuid() == 0 else 'an ordinary user'}"
        )
        return Report(machine, rows, bursts, memory, aims(rows), ground.notes)


async def _rounds(cases: Sequence[Case], rounds: int) -> list[Row]:
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    cpu: dict[str, float] = dict.fromkeys(times, 0.0)
    shuffled = Random(rounds)  # noqa: S311 - an order, not a secret
    for number in range(-_WARM_UP, rounds):
        say(f"round {number + 1} of {rounds}" if number >= 0 else "warming up")
        order = list(cases)
        shuffled.shuffle(order)
        for case in order:
            took, spent = await _lap(case)
            await asyncio.sleep(case.settle_s)
            if number >= 0:
                times[case.name] += took
                cpu[case.name] += spent
    return [
        Row(name, median(took), _part(took, 0.9), min(took), cpu[name] / len(took), len(took))
        for name, took in times.items()
    ]


async def _lap(case: Case) -> tuple[list[float], float]:
    """Run a case as often as it is run in a round; return the times and the processor time."""
    took: list[float] = []
    below_before, own_before = cpu_below_ms(), time.process_time()
    for _ in range(case.repeat):
        began = time.perf_counter()
        told = await case.work()
        took.append(1000 * (time.perf_counter() - began) if told is None else told)
    own = 1000 * (time.process_time() - own_before)
    return took, own + cpu_below_ms() - below_before


async def _burst(case: Case, rounds: int) -> Burst:
    """Run many, eight at a time; with few rounds a tenth of them."""
    wanted = case.burst if rounds >= 30 else max(8, case.burst // 10)
    say(f"{wanted} times {case.name}")
    took: list[float] = []
    failures = 0
    left = iter(range(wanted))

    async def lane() -> None:
        nonlocal failures
        for _ in left:
            began = time.perf_counter()
            try:
                await case.work()
            except (RuntimeError, TimeoutError):
                failures += 1
            else:
                took.append(1000 * (time.perf_counter() - began))

    below_before, own_before = cpu_below_ms(), time.process_time()
    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(_SIDE_BY_SIDE)))
    seconds = time.perf_counter() - began
    own = 1000 * (time.process_time() - own_before)
    each = (own + cpu_below_ms() - below_before) / wanted
    middle, high = (median(took), _part(took, 0.99)) if took else (0.0, 0.0)
    return Burst(case.name, wanted, len(took) / seconds, middle, high, each, failures)


async def _idle(ground: Grounds, most: int, driven: dict[str, Driven]) -> list[Held]:
    held = [
        Held(f"{name}, one process that waits", 1, one.memory_mb(), 0, 0, "")
        for name, one in driven.items()
    ]
    backend = await ground.usable("bubblewrap")
    if backend is not None:
        held.append(await _hold(backend, ground, most, workers=False))
        held.append(await _hold(backend, ground, most, workers=True))
    container = await ground.usable("docker")
    if container is not None:
        held.append(await _hold(container, ground, min(most, 20), workers=True))
    return held


async def _hold(backend: SandboxBackend, ground: Grounds, most: int, *, workers: bool) -> Held:
    """Hold so many sandboxes with an interpreter each, and see what they cost."""
    name = type(backend).__name__.removesuffix("Backend").lower()
    what = "sandbox with a python worker" if workers else "sandbox"
    say(f"holding {most} times {name}, {what}")
    places: list[Sandbox] = []
    sessions: list[PythonSession] = []
    took: list[float] = []
    note = ""
    free_before, before = available_mb(), {*below(os.getpid()), *of_containers()}
    try:
        for _ in range(most):
            began = time.perf_counter()
            places.append(await backend.create(ground.spec()))
            sessions.append(PythonSession(places[-1]))
            if workers:
                await sessions[-1].warm()
            took.append(1000 * (time.perf_counter() - began))
    except Exception as error:  # noqa: BLE001 - whatever ends it is what is to be told
        note = f"ended by {type(error).__name__}: {str(error)[:120]}; "
    count = max(1, len(took))
    mine = [pid for pid in {*below(os.getpid()), *of_containers()} if pid not in before]
    by_pss = pss_mb(mine) / count
    by_free = (free_before - available_mb()) / count
    if mine:
        more = available_mb() / max(by_pss, by_free, 0.1)
        note += f"{by_free:.1f} MB each by what the machine has left; about {more:.0f} more would "
        note += "fit its memory, if nothing else bound them"
    else:
        note += "no process waits"
    for session in sessions:
        with suppress(Exception):
            await session.close()
    for place in places:
        await place.close()
    fifth = max(1, count // 5)
    first, last = (median(took[:fifth]), median(took[-fifth:])) if took else (0.0, 0.0)
    return Held(f"{name}, {what}", len(took), by_pss, first, last, note)


def aims(rows: Sequence[Row]) -> list[str]:
    """Return what was aimed at, and whether it was reached."""

    def of(name: str) -> float | None:
        return next((row.median for row in rows if name in row.name), None)

    wanted = (
        ("bubblewrap cold", of("bubblewrap, cold"), "60 ms", 60.0),
        ("bubblewrap cold", of("bubblewrap, cold"), "twice the bare", 2 * (of("bare") or 0)),
        ("bubblewrap cold", of("bubblewrap, cold"), "sandbox-runtime cold", of("line, cold")),
        (
            "bubblewrap command",
            of("bubblewrap, command"),
            "sandbox-runtime kept",
            of("kept in node"),
        ),
        ("python worker call", of("worker, call"), "3 ms", 3.0),
        ("monty", of("monty"), "1 ms", 1.0),
        ("monty", of("monty"), "smolagents", of("smolagents")),
    )
    return [
        f"{name} {found:.2f} ms, aim: at most {what} ({most:.2f} ms): "
        f"{'reached' if found <= most else 'MISSED'}"
        for name, found, what, most in wanted
        if found is not None and most is not None
    ]


def as_text(report: Report) -> str:
    """Return the tables as Markdown."""
    lines = [f"Measured on {report.machine}.", ""]
    lines += [
        "| `print(1)` | median | p90 | least | CPU | rounds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r.name} | {r.median:.2f} ms | {r.p90:.2f} ms | {r.least:.2f} ms | {r.cpu:.1f} ms "
        f"| {r.samples} |"
        for r in report.rows
    ]
    lines += ["", "| at concurrency 8 | times | a second | median | p99 | CPU each | failed |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {b.name} | {b.executions} | {b.per_second:.1f} | {b.median:.1f} ms | {b.p99:.1f} ms "
        f"| {b.cpu:.2f} ms | {b.failures} |"
        for b in report.bursts
    ]
    lines += ["", "| idle | held | memory each (PSS) | to make: first fifth | last fifth | |"]
    lines += ["|---|---:|---:|---:|---:|---|"]
    lines += [
        f"| {h.name} | {h.held} | {h.mb_each:.1f} MB | {h.first_ms:.0f} ms | {h.last_ms:.0f} ms "
        f"| {h.note} |"
        for h in report.held
    ]
    lines += ["", *[f"- {aim}" for aim in report.aims]]
    if report.notes:
        lines += ["", *[f"- {' '.join(note.split())}" for note in report.notes]]
    return "\n".join(lines) + "\n"


def _part(samples: Sequence[float], part: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(part * len(samples)))]


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
