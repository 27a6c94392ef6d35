"""The service for tests: a migrated database, a runtime on a scripted model, a client."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Connection

from agents.state import READABLE_GRAPHS
from app.db import claims, tasks
from app.db.migrate import upgrade
from app.db.records import Claim, Phase, TaskRow, Turn
from app.db.types import now
from app.durable.store import TurnStore
from app.main import create_app
from app.settings import Settings
from memory.database import Database, sqlite_engine
from models.base import ModelError, ModelInfo, OnText
from models.messages import Message, Reply, Request, ToolCall
from models.scripted import SCRIPTED_INFO, as_reply

PLAN = '{"thought": "one worker will do", "subgoals": ["do it"]}'
ACCEPT = '{"accepted": true, "score": 1.0, "feedback": "", "mend": "nothing"}'
FINE = '{"outcome": "success", "error_class": null, "feedback": "", "progress": "well"}'
NO_LESSON = '{"tips": [], "shortcut": null}'
Line = Message | str | ModelError


def call(tool: str, **arguments: object) -> Message:
    """Return a Solver's turn that calls one tool."""
    return Message(role="assistant", tool_calls=(ToolCall(id="x", name=tool, arguments=arguments),))


class RoleModel:
    """Answers each role from a script of its own; the last line of a script repeats."""

    def __init__(self, *solver: Line, lessons: str = NO_LESSON) -> None:
        self.lines: dict[str, list[Line]] = {
            "manager.plan": [PLAN],
            "solver.operate": list(solver or (call("answer", text="42"),)),
            "reviewer.step": [FINE],
            "reviewer.answer": [ACCEPT],
            "refiner.lessons": [lessons],
        }
        self.requests: list[Request] = []
        self.holds_at = 0
        """The call of the Solver that is held back until `go_on`, from 1; 0 for none."""
        self.held = asyncio.Event()
        """Set when that call is made."""
        self.go_on = asyncio.Event()

    @property
    def info(self) -> ModelInfo:
        return SCRIPTED_INFO

    async def complete(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        self.requests.append(request)
        if [r.purpose for r in self.requests].count("solver.operate") == self.holds_at > 0:
            self.held.set()
            await self.go_on.wait()
        lines = self.lines[request.purpose]
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        if isinstance(line, ModelError):
            raise line
        return as_reply(line)


def settings_for(home: Path, **given: Any) -> Settings:
    """Return settings that need nothing of this machine."""
    quick: dict[str, Any] = {"poll_s": 0.02, "sweep_s": 0.05, "drain_s": 0.0}
    apart: dict[str, Any] = {"sandbox": "unsafe-local", "embedding": "none", "model": "embedded"}
    fields: dict[str, Any] = apart | quick | {"home": home} | given
    return Settings(**fields)


def migrated(folder: Path) -> Database:
    """Return a database with every table."""
    database = Database(sqlite_engine(folder / "strop.db"))
    upgrade(database.engine)
    turns = TurnStore(database)
    turns.prepare()
    turns.close()
    return database


def queued(task_id: str = "t_1", **given: Any) -> TaskRow:
    """Return a task that was never run."""
    fresh: dict[str, Any] = {
        "namespace": "default",
        "instruction": "add it up",
        "inputs": {},
        "acceptance": [],
        "files": [],
        "task_metadata": {},
        "model": "",
        "budget": {},
        "family": "compute",
        "status": "queued",
        "artifacts": [],
        "plan": {},
        "recalled": [],
        "learned": [],
        "run_id": f"{task_id}.1",
        "created_at": now(),
    }
    fields: dict[str, Any] = fresh | {"id": task_id} | given
    return TaskRow(**fields)


def put(database: Database, *rows: TaskRow) -> None:
    """Insert tasks."""
    for row in rows:
        database.run_sync(lambda connection, row=row: tasks.create(connection, row))


def found(database: Database, task_id: str = "t_1") -> TaskRow:
    """Return a task that must be there."""
    task = database.run_sync(lambda connection: tasks.get(connection, task_id))
    assert task is not None
    return task


def claimed(connection: Connection, owner: str, phase: Phase) -> Claim | None:
    """Claim the task that has waited longest, as an engine would."""
    oldest = claims.waiting(connection, phase, 1)
    if not oldest:
        return None
    task = oldest[0]
    return claims.begin(
        connection, task.id, task.turn, phase, owner=owner, graph_versions=READABLE_GRAPHS
    )


def unqueued(connection: Connection, turn: Turn) -> None:
    """Stand in for an engine where a test looks at the tables only."""


@asynccontextmanager
async def serving(
    home: Path, model: RoleModel | None = None, **given: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the whole application."""
    app = create_app(settings_for(home, **given), model=model or RoleModel())
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """Return a client of an application that is open."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321", timeout=30)


async def until(done: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait until something holds, which other coroutines bring about."""
    async with asyncio.timeout(limit_s):
        while not done():  # noqa: ASYNC110 - what is waited for lies in a database
            await asyncio.sleep(0.005)


async def ended(client: httpx.AsyncClient, task_id: str) -> list[Mapping[str, Any]]:
    """Wait for the end of a task and return its events."""
    return parse_events((await client.get(f"/api/v1/tasks/{task_id}/events")).text)


def parse_events(text: str) -> list[Mapping[str, Any]]:
    """Return the events of a stream, each as `{"id", "event", "data"}`."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
