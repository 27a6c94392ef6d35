"""Kill and freeze processes while hundreds of tasks run, and say what did not hold afterwards.

    python -m benchmarks.chaos                       # both databases, some minutes each
    python -m benchmarks.chaos sqlite --tasks 400 --waves 40 --seed 7
    python -m benchmarks.chaos postgres --real       # each process a `python -m app` of its own

It ends with status 1 if anything was wrong. The short form is `tests/e2e/test_chaos.py`.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.figures import RESULTS
from tests.support.aftermath import Outcome
from tests.support.chaos import Blow, Chaos, Wave
from tests.support.crew import Crew
from tests.support.effects import Marking
from tests.support.nursery import MODEL_DELAY_S, Nursery
from tests.support.openai_server import OpenAIServer
from tests.support.postgres import PostgresServer, postgres_programs

_BLOWS: list[Blow] = ["kill", "kill", "kill", "kill all", "freeze", "cut"]
_HOURS_S = 4 * 3600.0
_DELAY_S = 0.1
_ENVIRONMENT = {
    "STROP_EMBEDDING": "none",
    "STROP_SANDBOX": "bubblewrap",
    "STROP_KEEP_ALIVE_S": "2",
    "STROP_CONCURRENCY": "12",
    MODEL_DELAY_S: str(_DELAY_S),
}


def main() -> int:
    """Run what was asked for, print what came of it and keep it in `benchmarks/results`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("databases", nargs="*", metavar="DATABASE", help="sqlite, postgres")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--waves", type=int, default=30, help="each is ended by a kill or a freeze")
    parser.add_argument("--marks", type=int, default=4, help="effects of each task")
    parser.add_argument("--workers", type=int, default=3, help="on PostgreSQL; on files it is one")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--real", action="store_true", help="start each process from nothing")
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name in args.databases or ["sqlite", "postgres"]:
        print(f"{name}: {args.tasks} tasks, seed {args.seed}", file=sys.stderr, flush=True)
        outcome = asyncio.run(_tried(name, args))
        told: dict[str, Any] = {"database": name, "seed": args.seed, **vars(outcome)}
        told["statuses"] = dict(outcome.statuses)
        told |= {f"{kind}_s": _summary(told[kind]) for kind in ("takeovers", "restarts", "cuts")}
        found.append(told)
        shown = {key: value for key, value in told.items() if f"{key}_s" not in told}
        print(json.dumps(shown, indent=2), flush=True)
    _keep(found)
    return 1 if any(one["wrong"] for one in found) else 0


def _summary(samples: list[float]) -> dict[str, float]:
    """Return how many there are, their median, 99th percentile and maximum."""
    if not samples:
        return {"count": 0}
    high = quantiles(samples, n=100, method="inclusive")[98] if len(samples) > 1 else samples[0]
    return {
        "count": len(samples),
        "median": round(median(samples), 2),
        "p99": round(high, 2),
        "max": max(samples),
    }


async def _tried(name: str, args: argparse.Namespace) -> Outcome:
    chance = random.Random(args.seed)  # noqa: S311 - repeatable, not secret
    share, rest = divmod(args.tasks, args.waves)
    waves = [Wave(share + (number < rest), chance.choice(_BLOWS)) for number in range(args.waves)]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(_database(name))
        own, nursery = {**_ENVIRONMENT, "STROP_DATABASE_URL": url}, None
        if args.real:
            provider = stack.enter_context(OpenAIServer(Marking(delay_s=_DELAY_S)))
            own |= {"STROP_MODEL_BASE_URL": provider.base_url, "STROP_MODEL": "m"}
        else:
            nursery = stack.enter_context(Nursery())
        crew = Crew(Path(folder) / "home", own, server_works=not url, nursery=nursery)
        for _ in range(args.workers if url else 1):
            crew.add("work")
        chaos = Chaos(crew, args.seed, marks=args.marks, limit_s=_HOURS_S)
        outcome = await chaos.run(*waves)
        if outcome.wrong:
            for member in crew.members:
                print(f"--- {member.name} said:\n{crew.said(member)[-20_000:]}", file=sys.stderr)
        return outcome


@contextmanager
def _database(name: str) -> Generator[str]:
    """Give the address of an empty database; nothing for files in the home."""
    if name == "sqlite":
        yield ""
        return
    server = PostgresServer(postgres_programs())
    try:
        with server.fresh() as url:
            yield url
    finally:
        server.remove()


def _keep(found: list[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    text = json.dumps({"at": stamp, "machine": machine, "runs": found}, indent=2)
    (RESULTS / f"chaos-{stamp}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
