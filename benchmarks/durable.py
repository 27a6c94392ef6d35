"""What the durable engine costs: handing in, giving out, and a step, beside bare LangGraph.

A scripted model answers at once, so what is measured is the runtime, in one process.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.db import endings
from app.db.records import Claim
from app.durable.engine import DurableEngine
from app.durable.store import TurnStore
from app.engine import EngineConfig
from app.liveness import Liveness
from app.schemas import Budget, TaskRequest
from app.wakes import Wakes
from app.wiring import Runtime
from benchmarks.bare import bare_steps
from benchmarks.crowds import crowd_of_readers, crowd_of_tasks
from benchmarks.figures import Figure, figure
from benchmarks.overhead import Script
from benchmarks.places import fill, place, runtime
from memory.database import Database
from models.messages import Request
from models.scripted import Line
from tests.support.chaos import Chaos, Wave
from tests.support.crew import Crew
from tests.support.nursery import MODEL_DELAY_S, Nursery

_LOOK_S = 0.05
_WARM_UP = 10
_CALLERS = 16
_PROBE = re.compile(r"Probe (\d+)")
_DONE = endings.Ending(status="succeeded", end_reason="done", answer="nothing")


def durable(kind: str, quick: bool) -> list[Figure]:
    """Return every figure of the engine on `sqlite` or `postgres`."""
    few = 5 if quick else 1
    measures: dict[str, Coroutine[Any, Any, list[Figure]]] = {
        "submissions": _submissions(kind, 200 // few),
        "turns": _turns(kind, 400 // few),
        "tasks": _tasks(kind, 40 // few),
        **{
            f"first steps, {pending} pending": _first_steps(kind, pending // few, 40 // few)
            for pending in (0, 1_000, 10_000)
        },
        "steps": _steps(kind, 240 // few),
        "take-over": _takeovers(kind, 8 // few),
        "nothing waits": crowd_of_tasks(kind, 0, 30 / few),
        "tasks wait": crowd_of_tasks(kind, 10_000 // few, 30 / few),
        "readers": crowd_of_readers(kind, 1_000 // few, 240 // few),
    }
    figures: list[Figure] = []
    for name, measure in measures.items():
        print(f"  {kind}: {name}", file=sys.stderr, flush=True)
        found = asyncio.run(measure)
        for one in found:
            print(f"    {one.name}: {one.median:.1f} {one.unit}", file=sys.stderr, flush=True)
        figures += found
    return figures


async def _submissions(kind: str, count: int) -> list[Figure]:
    """Return how many tasks a second the service takes in, as REST and command line do."""
    with place(kind) as where:
        async with runtime(where, work=False) as opened:
            alone, together = _Clock(), _Clock()
            for number in range(count):
                await alone.lap(opened.tasks.submit(_request(number)))
            began = time.monotonic()
            for start in range(0, count, _CALLERS):
                numbers = range(start, min(start + _CALLERS, count))
                await asyncio.gather(*(opened.tasks.submit(_request(n)) for n in numbers))
            together.laps.append(count / (time.monotonic() - began))
    return [
        _rate(kind, "submissions, one caller", [1 / lap for lap in alone.laps]),
        _rate(kind, f"submissions, {_CALLERS} callers", together.laps),
    ]


async def _turns(kind: str, count: int) -> list[Figure]:
    """Return how many turns a second the engine gives out, without any graph."""
    with place(kind) as where:
        async with runtime(where, work=False):
            fill(where, count)
        with where.database() as database:
            worker = _Finisher(database)
            async with _engine(database, worker):
                began = time.monotonic()
                while worker.done < count:  # noqa: ASYNC110 - the engine counts from elsewhere
                    await asyncio.sleep(_LOOK_S)
                rate = count / (time.monotonic() - began)
    return [_rate(kind, "turns begun and ended, no graph", [rate])]


async def _tasks(kind: str, count: int) -> list[Figure]:
    """Return how many whole tasks of one step are done a second: four model calls, learning."""
    with place(kind) as where:
        async with runtime(where, work=False):
            fill(where, count)
        script = _Answers()
        async with runtime(where, script, concurrency=8) as opened:
            began = time.monotonic()
            while script.lessons < count:  # noqa: ASYNC110 - see above
                await asyncio.sleep(_LOOK_S)
            rate = count / (time.monotonic() - began)
            assert opened.engine.running
    return [_rate(kind, "tasks of one step, all agents", [rate])]


async def _first_steps(kind: str, pending: int, count: int) -> list[Figure]:
    """Return how long after it was handed in a task's first model call comes.

    The tasks that are pending are queued too, and not due yet.
    """
    delays: list[float] = []
    with place(kind) as where:
        async with runtime(where, work=False):
            fill(where, pending, later_s=3600)
        script = _Answers()
        async with runtime(where, script) as opened:
            for number in range(-2, count):
                submitted = await _timed(opened, script, number + 2)
                if number >= 0:  # the first ones load what is loaded once
                    delays.append(submitted)
    name = f"{kind}: submit to first model call, {pending:,} pending"
    return [figure(name, "ms", delays, aim=100)]


async def _timed(opened: Runtime, script: "_Answers", number: int) -> float:
    began = time.monotonic()
    request = TaskRequest(instruction=f"Probe {number}.")
    submitted = await opened.tasks.submit(request)
    async for _ in opened.tasks.follow(submitted.task.id):
        pass
    return 1000 * (script.asked[number] - began)


async def _steps(kind: str, count: int) -> list[Figure]:
    """Return what a step costs, and what a step of a bare graph on the same saver costs."""
    with place(kind) as where:
        async with runtime(where, Script(count)) as opened:
            request = TaskRequest(instruction="Do nothing.", budget=Budget(steps=count + 10))
            task = (await opened.tasks.submit(request)).task
            while task.finished_at is None:
                await asyncio.sleep(_LOOK_S)
                task = await opened.tasks.get(task.id)
            ends = [
                event.at.timestamp() - sum(call["seconds"] for call in event.data["calls"])
                async for event in opened.tasks.follow(task.id)
                if event.kind == "step"
            ]
        ours = [1000 * (after - before) for before, after in pairwise(ends)][_WARM_UP:]
        bare = await bare_steps(where, count)
    ratio = sorted(ours)[len(ours) // 2] / sorted(bare)[len(bare) // 2]
    return [
        figure(f"{kind}: a durable step", "ms", ours),
        figure(f"{kind}: a step of a bare graph, same saver", "ms", bare),
        figure(f"{kind}: durable over bare", "x", [ratio]),
    ]


class _Clock:
    """Keeps how long things took."""

    def __init__(self) -> None:
        self.laps: list[float] = []

    async def lap(self, work: Awaitable[object]) -> None:
        """Await something and keep its time."""
        began = time.monotonic()
        await work
        self.laps.append(time.monotonic() - began)


class _Answers:
    """Answers every role at once; notes when the model was first asked for each probe."""

    def __init__(self) -> None:
        self._script = Script(0)
        self.asked: dict[int, float] = {}
        self.lessons = 0

    def __call__(self, request: Request) -> Line:
        """Return the next line."""
        text = "\n".join(str(message.content) for message in request.messages)
        if found := _PROBE.search(text):
            self.asked.setdefault(int(found[1]), time.monotonic())
        self.lessons += request.purpose == "refiner.lessons"
        return self._script(request)


class _Finisher:
    """Ends whatever turn it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.done = 0

    async def work(self, claim: Claim) -> None:
        """End the task."""
        await self._database.run(partial(endings.finish, claim=claim, ending=_DONE, enqueue=None))
        self.done += 1


@asynccontextmanager
async def _engine(database: Database, worker: _Finisher) -> AsyncGenerator[DurableEngine]:
    turns = TurnStore(database)
    config = EngineConfig(concurrency=8)
    with tempfile.TemporaryDirectory() as locks:
        liveness = Liveness(Path(locks))
        engine = DurableEngine(database, turns, worker, liveness, Wakes(), config)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop(0)
            turns.close()


async def _takeovers(kind: str, kills: int) -> list[Figure]:
    """Return how long after a worker's death its tasks are begun again by another."""
    with place(kind) as where, Nursery() as nursery:
        own = {
            "STROP_DATABASE_URL": where.url,
            "STROP_EMBEDDING": "none",
            "STROP_SANDBOX": "unsafe-local",
            MODEL_DELAY_S: "0.1",
        }
        crew = Crew(where.home, own, server_works=False, nursery=nursery)
        for _ in range(3):
            crew.add("work")
        waves = [Wave(6, "kill")] * max(2, kills)
        outcome = await Chaos(crew, seed=1, marks=3).run(*waves)
    if outcome.wrong:
        raise RuntimeError(outcome.wrong)
    return [figure(f"{kind}: take-over after a kill", "s", outcome.takeovers, aim=5)]


def _request(number: int) -> TaskRequest:
    return TaskRequest(instruction=f"Do nothing, {number}.")


def _rate(kind: str, name: str, samples: list[float]) -> Figure:
    return figure(f"{kind}: {name}", "/s", samples, more_is_better=True)
