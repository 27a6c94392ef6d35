"""Measure Strop itself and write what was found: `make bench`.

python -m benchmarks                     # what a person waits for: a minute
python -m benchmarks sqlite postgres     # the durable engine on both databases: some minutes
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.durable import durable
from benchmarks.figures import RESULTS, Figure, as_json, as_table
from benchmarks.overhead import first_call_delay, step_overhead
from benchmarks.places import stop_servers
from benchmarks.startup import help_time, server_start


def main() -> int:
    """Run what was asked for, print a table, write it and JSON to `benchmarks/results`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {_ALL}; without any: {', '.join(_SHORT)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, rougher figures")
    args = parser.parse_args()
    unknown = set(args.names) - set(MEASURES)
    if unknown:
        parser.error(f"expected names of {_ALL}, got {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    try:
        for name in args.names or _SHORT:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            figures += MEASURES[name](args.quick)
    finally:
        stop_servers()
    load = f"load {os.getloadavg()[0]:.1f}"
    machine = (
        f"{platform.machine()}, {os.cpu_count()} CPUs, {load}, Python {platform.python_version()}"
    )
    table = as_table(figures, machine)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for stem in (stamp, "latest"):
        (RESULTS / f"{stem}.json").write_text(as_json(figures, machine, stamp), encoding="utf-8")
        (RESULTS / f"{stem}.md").write_text(table + "\n", encoding="utf-8")
    return 0


MEASURES: dict[str, Callable[[bool], list[Figure]]] = {
    "help": lambda quick: help_time(5 if quick else 20),
    "server": lambda quick: server_start(1 if quick else 5),
    "steps": lambda quick: asyncio.run(step_overhead(60 if quick else 300)),
    "first-call": lambda quick: asyncio.run(first_call_delay(5 if quick else 30)),
    "sqlite": lambda quick: durable("sqlite", quick),
    "postgres": lambda quick: durable("postgres", quick),
}
_SHORT = ("help", "server", "steps", "first-call")
_ALL = ", ".join(MEASURES)


if __name__ == "__main__":
    sys.exit(main())
