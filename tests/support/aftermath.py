"""Hold what must be true once everything has ended, whatever was killed before.

Each thing that is not as it must be is a sentence in `Outcome.wrong`.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from statistics import median
from typing import Any

from sqlalchemy import Connection, Table, select

from app.db.engine import open_database
from app.db.tables import model_calls, tool_calls
from app.db.tables import tasks as task_rows
from app.durable.store import TurnStore
from memory.database import Database
from tests.support.crew import Crew
from tests.support.effects import marks
from tests.support.streams import Reader

TERMINAL = {"succeeded", "failed", "cancelled"}
_PAUSE_S = 0.1
_SETTLE_S = 60.0
_SOON_S = 5.0
_SUMS = ("prompt_tokens", "completion_tokens", "usd")


@dataclass
class Outcome:
    """What came of it."""

    tasks: int = 0
    kills: int = 0
    zombies: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    takeovers: list[float] = field(default_factory=list[float])
    """Seconds from a kill to each task of the dead being begun again by one that survived."""
    restarts: list[float] = field(default_factory=list[float])
    """The same where nobody survived: new processes had to start."""
    cuts: list[float] = field(default_factory=list[float])
    """The same where a process was frozen and cut off, perhaps within a transaction."""
    reclaims: int = 0
    """How often a task was begun again, the hand-overs of the last process included."""
    marks: int = 0
    unsettled: int = 0
    """Marks that may be missing: the process died between writing down the call and its result."""
    repeated_asks: int = 0
    """Model calls beyond those of a quiet run: their answer had not been kept at a kill."""
    reconnects: int = 0
    events: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list[str])


@dataclass
class Tracked:
    """A task of the run."""

    name: str
    marks: int
    reader: Reader
    cancelled: bool = False


@dataclass(frozen=True)
class Death:
    """A process, or all of them, were killed or counted as dead."""

    at: float
    held: dict[str, int]
    """The tasks that were worked on, with their epochs."""
    blow: str
    """By what; see `chaos.Blow`."""


class Aftermath:
    """What is left when every stream has ended."""

    def __init__(
        self, crew: Crew, tracked: list[Tracked], deaths: list[Death], outcome: Outcome
    ) -> None:
        self._crew = crew
        self._tracked = tracked
        self._deaths = deaths
        self._found = outcome

    async def examine(self) -> None:
        """Look at everything, stop the crew, and fill in the outcome."""
        found = self._found
        found.tasks = len(self._tracked)
        await self._nothing_waits()
        rows = {row.id: row for row in await looking(self._crew, partial(_rows, table=task_rows))}
        if len(rows) != found.tasks:
            self._wrong(f"{found.tasks} tasks were accepted and {len(rows)} are there")
        tools = await looking(self._crew, partial(_by_task, table=tool_calls))
        asked = await looking(self._crew, partial(_by_task, table=model_calls))
        for tracked in self._tracked:
            name = tracked.reader.task_id
            self._examine_task(tracked, rows[name])
            self._examine_events(tracked)
            self._examine_marks(tracked, tools.get(name, []))
            self._examine_cost(tracked, rows[name], asked.get(name, []))
        for death in self._deaths:
            self._examine_death(death, rows)
        if found.takeovers and median(found.takeovers) > _SOON_S:
            self._wrong(f"tasks were taken over after {median(found.takeovers)} s, not {_SOON_S}")
        for command in self._crew.leftovers():
            self._wrong(f"a process was left behind: {command}")
        for name, status in (await self._crew.stop()).items():
            if status:
                self._wrong(f"{name} ended with status {status}")

    def _wrong(self, sentence: str) -> None:
        self._found.wrong.append(sentence)

    async def _nothing_waits(self) -> None:
        """Wait until the queue is empty: nobody holds what is over."""
        limit = time.monotonic() + _SETTLE_S
        while left := await looking(self._crew, _left_in_queue):
            if time.monotonic() > limit:
                self._wrong(f"turns are left in the queue: {left[:5]}")
                return
            await asyncio.sleep(_PAUSE_S)

    def _examine_task(self, tracked: Tracked, row: Any) -> None:
        expected = "cancelled" if tracked.cancelled else "succeeded"
        if row.status != expected or row.owner is not None or row.learning == "pending":
            sentence = f"is {row.status}, {row.learning}, not {expected}: {row.error}"
            self._wrong(f"{row.id}: {sentence}")
        self._found.statuses[row.status] += 1

    def _examine_events(self, tracked: Tracked) -> None:
        """Hold that the task ended once, answered once and did no step again."""
        found, reader, name = self._found, tracked.reader, tracked.reader.task_id
        expected = "cancelled" if tracked.cancelled else "succeeded"
        found.reconnects += reader.connections - 1
        found.events += len(reader.seen)
        found.wrong += reader.wrong
        found.reclaims += max(0, len(_moments(reader, "running")) - 1)
        ends = [status for status in TERMINAL for _ in _moments(reader, status)]
        if ends != [expected] or reader.kinds.count("end") != 1:
            self._wrong(f"{name}: ended as {ends}, {reader.kinds.count('end')} times")
        if expected == "succeeded" and reader.kinds.count("answer") != 1:
            self._wrong(f"{name}: {reader.kinds.count('answer')} answers")
        steps = [event["data"]["n"] for kind, event in reader.seen if kind == "step"]
        if steps != list(range(1, len(steps) + 1)):
            self._wrong(f"{name}: did the steps {steps}")

    def _examine_marks(self, tracked: Tracked, calls: list[Any]) -> None:
        """Hold that each mark was left once, or was in doubt and not left again."""
        found, name = self._found, tracked.reader.task_id
        calls = [call for call in calls if call.tool == "shell"]
        left = Counter(mark for mark, _ in marks(self._crew.home, name))
        found.marks += left.total()
        for mark, times in left.items():
            if times != 1:
                self._wrong(f"{name}: {mark} was left {times} times")
        doubtful = [call for call in calls if not call.settled or not call.record["ok"]]
        found.unsettled += len(doubtful)
        if not tracked.cancelled and left.total() + len(doubtful) < tracked.marks:
            self._wrong(f"{name}: only {sorted(left)} of {tracked.marks}, {len(doubtful)} in doubt")
        for ended_at in _moments(tracked.reader, "cancelled"):
            if any(call.began_at.timestamp() > ended_at for call in calls):
                self._wrong(f"{name}: a call began after it was cancelled")

    def _examine_cost(self, tracked: Tracked, row: Any, asked: list[Any]) -> None:
        """Hold that each call was paid once, and that only what was cut off was asked again."""
        for column in _SUMS:
            total, paid = sum(getattr(call, column) for call in asked), getattr(row, column)
            if abs(total - paid) > 1e-9:
                self._wrong(f"{row.id}: {column} is {paid}, its calls make {total}")
        if len(asked) != row.model_calls:
            self._wrong(f"{row.id}: {row.model_calls} model calls, {len(asked)} written down")
        if tracked.cancelled:
            return
        again = Counter(call.purpose for call in asked) - _asked_in_quiet(tracked.marks)
        self._found.repeated_asks += again.total()
        # Each claim but the first can have cut off one call; learning is claimed by itself.
        if again.total() > row.epoch:
            self._wrong(f"{row.id}: asked again {dict(again)} in {row.epoch} claims")

    def _times(self, death: Death) -> list[float]:
        found = self._found
        return {"kill all": found.restarts, "cut": found.cuts}.get(death.blow, found.takeovers)

    def _examine_death(self, death: Death, rows: dict[str, Any]) -> None:
        """Hold that what the dead held was begun again, and note after how long."""
        readers = {one.reader.task_id: one.reader for one in self._tracked}
        for name in death.held:
            reader = readers[name]
            ended = [at for status in TERMINAL for at in _moments(reader, status)]
            again = [at for at in _moments(reader, "running") if at > death.at]
            if again:
                self._times(death).append(round(again[0] - death.at, 3))
            elif (
                min(ended, default=0.0) > death.at
                and rows[name].status != "cancelled"
                and death.blow != "cut"  # may come back before others have its task
            ):
                self._wrong(f"{name}: ended without being begun again after a death")


def _moments(reader: Reader, status: str) -> list[float]:
    """Return when a task came to a status."""
    return [
        datetime.fromisoformat(event["at"]).timestamp()
        for kind, event in reader.seen
        if kind == "task" and event["data"].get("status") == status
    ]


def _asked_in_quiet(marks_left: int) -> Counter[str]:
    """Return for what the model is asked when nobody dies."""
    steps = marks_left + 1
    return Counter(
        {
            "manager.plan": 1,
            "solver.operate": steps,
            "reviewer.step": steps,
            "reviewer.answer": 1,
            "refiner.lessons": 1,
            "refiner.notes": 1,
        }
    )


async def looking(crew: Crew, look: Callable[[Database], Any]) -> Any:
    """Look into the database as one more process would."""

    def work() -> Any:
        database = open_database(crew.database_url, crew.home / "strop.db")
        try:
            return look(database)
        finally:
            database.close()

    return await asyncio.to_thread(work)


def held(database: Database, owners: Collection[str] | None) -> dict[str, int]:
    """Return the tasks that are worked on, by these processes or by any, with their epochs."""

    def look(connection: Connection) -> dict[str, int]:
        statement = select(task_rows.c.id, task_rows.c.epoch).where(task_rows.c.owner.is_not(None))
        if owners is not None:
            statement = statement.where(task_rows.c.owner.in_(owners))
        return {row.id: row.epoch for row in connection.execute(statement)}

    return database.read_sync(look)


def can_write(database: Database) -> bool:
    """Return whether nobody keeps SQLite's one lock for writers."""
    if database.is_postgres:
        return True
    with closing(sqlite3.connect(str(database.engine.url.database), timeout=0.1)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def _rows(database: Database, table: Table) -> list[Any]:
    def look(connection: Connection) -> list[Any]:
        return [*connection.execute(select(table))]

    return database.read_sync(look)


def _by_task(database: Database, table: Table) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in _rows(database, table):
        found.setdefault(row.task_id, []).append(row)
    return found


def _left_in_queue(database: Database) -> list[str]:
    turns = TurnStore(database)
    try:
        rows = turns.client.list_workflows(
            status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False
        )
        return [f"{row.workflow_id} {row.status} {row.executor_id}" for row in rows]
    finally:
        turns.close()
