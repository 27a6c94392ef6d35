"""What a crowd costs: tasks that wait for people, and readers of event streams, on one server."""

import asyncio
import json
import os
import random
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path

from sqlalchemy import Connection

from agents.approvals import ApprovalRequest
from agents.state import READABLE_GRAPHS
from app.db import claims, endings, events, tasks, waits
from app.making import new_task
from app.schemas import TaskRequest
from benchmarks.figures import Figure, figure
from benchmarks.places import Place, place, runtime
from memory.database import Database
from tests.support.server import Server, server

_BATCH = 250
_QUIET_S, _QUIET_CPU = 3.0, 0.05
_UP_S = 60.0
_TASKS = 100
_PAUSE_S = 0.05
_SETTLE_S = 2.0
_SLOW = 10
_SAID = 15
"""Messages to one task; it takes twenty before it must go on."""
_LARGE = "x" * 8000
_numbers = count()
"""Of events, each another; a reader is told of older ones too."""


async def crowd_of_tasks(kind: str, waiting: int, watched_s: float) -> list[Figure]:
    """Return memory and idle CPU of a server whose tasks wait for people."""
    with place(kind) as where:
        async with runtime(where, work=False):
            pass
        with where.database() as database:
            _let_wait(database, waiting)
        with _served(where) as running:
            _settle(running.process.pid)
            cpu, memory = _watched(running.process.pid, watched_s)
    name = f"{kind}: a server with {waiting:,} waiting tasks"
    aim = 500.0 if waiting else None
    return [
        figure(f"{name}, idle CPU", "%", [cpu]),
        figure(f"{name}, memory", "MB", [memory], aim=aim),
    ]


async def crowd_of_readers(kind: str, readers: int, times: int) -> list[Figure]:
    """Return how late events reach readers, one or many, some of which read nothing at all."""
    with place(kind) as where:
        async with runtime(where, work=False):
            pass
        with where.database() as database, _served(where, STROP_SERVER_WORKS="false") as running:
            names = _let_wait(database, _TASKS)
            alone = await _latencies(database, running, names[:1], 1, times)
            said = await _said(running, names[: 1 + times // _SAID], times)
            _settle(running.process.pid)
            async with _slow_readers(database, running, names[-1]):
                began = _cpu_s(running.process.pid), time.monotonic()
                many = await _latencies(database, running, names[:-1], readers, times)
                spent = _cpu_s(running.process.pid) - began[0]
                cpu = 100 * spent / (time.monotonic() - began[1])
                memory = _memory_mb(running.process.pid)
    crowd = f"{kind}: {readers:,} readers, {_SLOW} more who read nothing"
    return [
        *_late(f"{kind}: event of another process to its reader", alone),
        *_late(f"{kind}: message over REST to its event at a reader", said),
        *_late(f"{crowd}: event of another process", many),
        figure(f"{crowd}: CPU at 20 events a second", "%", [cpu]),
        figure(f"{crowd}: memory of the server", "MB", [memory]),
    ]


def _late(name: str, seconds: Sequence[float]) -> list[Figure]:
    late = sorted(1000 * one for one in seconds)
    return [figure(name, "ms", late), figure(f"{name}, p95", "ms", [late[int(0.95 * len(late))]])]


# Tasks that wait


def _let_wait(database: Database, count: int) -> list[str]:
    """Make tasks that wait for an approval, an answer or a budget, as runs would leave them."""
    names: list[str] = []
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        names += database.run_sync(partial(_some_wait, numbers=numbers))
    return names


def _some_wait(connection: Connection, numbers: Sequence[int]) -> list[str]:
    return [_one_waits(connection, number) for number in numbers]


def _one_waits(connection: Connection, number: int) -> str:
    request = TaskRequest(instruction=f"Order {number} of the screws that were asked for.")
    row = new_task(request, (), "default", None)
    tasks.create(connection, row)
    claim = claims.begin(
        connection, row.id, row.turn, "run", owner="gone", graph_versions=READABLE_GRAPHS
    )
    assert claim is not None
    events.append(connection, row.id, "plan", {"subgoals": ["ask", "order"]})
    if number % 3 == 0:
        wanted = ApprovalRequest(
            key="call_1",
            tool="shell",
            risk="high",
            arguments={"command": f"order {number}"},
            digest=uuid.uuid4().hex,
        )
        waits.for_approval(connection, claim, [wanted])
    elif number % 3 == 1:
        endings.wait(connection, claim, "which ones?")
    else:
        waits.for_budget(connection, claim, "0.50 USD are spent")
    return row.id


# The server


@contextmanager
def _served(where: Place, **environment: str) -> Generator[Server]:
    own = {
        "STROP_DATABASE_URL": where.url,
        "STROP_MODEL": "embedded",
        "STROP_EMBEDDING": "none",
        "STROP_SANDBOX": "unsafe-local",
        "STROP_RATE_LIMIT": "0",
    }
    with server(where.home, **own, **environment) as running:
        yield running


def _settle(pid: int) -> None:
    """Wait until what a server does at its start is done."""
    limit = time.monotonic() + _UP_S
    while time.monotonic() < limit:
        cpu, _ = _watched(pid, _QUIET_S)
        if cpu < 100 * _QUIET_CPU:
            return


def _watched(pid: int, seconds: float) -> tuple[float, float]:
    """Return how much of a core a process takes while nothing happens, and its megabytes."""
    before, began = _cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (_cpu_s(pid) - before) / (time.monotonic() - began), _memory_mb(pid)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    msg = f"process {pid} tells no memory"
    raise OSError(msg)


# Readers


async def _latencies(
    database: Database, running: Server, names: Sequence[str], readers: int, times: int
) -> list[float]:
    """Return after how many seconds events that this process commits are read from the server."""
    arrived: list[tuple[int, float]] = []
    committed: dict[int, float] = {}
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    async with _following(running, [names[n % len(names)] for n in range(readers)], arrived):
        for number in islice(_numbers, times):
            name = chance.choice(names)
            note = partial(events.append, task_id=name, kind="note", data={"n": number})
            await database.run(note)
            committed[number] = time.time()
            await asyncio.sleep(chance.uniform(0, 2 * _PAUSE_S))
        await asyncio.sleep(_SETTLE_S)
    wanted = times * readers // len(names) // 2
    assert len(arrived) > wanted, f"only {len(arrived)} of the events arrived"
    return [max(0.0, at - committed[number]) for number, at in arrived if number in committed]


async def _said(running: Server, names: Sequence[str], times: int) -> list[float]:
    """Return how long after sending a message the reader has its event."""
    arrived: list[tuple[int, float]] = []
    began: dict[int, float] = {}
    async with _following(running, names, arrived):
        for turn, number in enumerate(islice(_numbers, times)):
            path = f"/api/v1/tasks/{names[turn // _SAID]}/messages"
            body = {"text": json.dumps({"n": number})}
            began[number] = time.time()
            answer = await asyncio.to_thread(partial(running.client.post, path, json=body))
            assert answer.status_code == 202, answer.text
        await asyncio.sleep(_SETTLE_S)
    return [at - began[number] for number, at in arrived if number in began]


@asynccontextmanager
async def _following(
    running: Server, names: Sequence[str], arrived: list[tuple[int, float]]
) -> AsyncGenerator[None]:
    """Read the streams of tasks, one reader for each name; keep when each numbered event came."""
    ready: asyncio.Queue[None] = asyncio.Queue()
    reading = [asyncio.create_task(_read(running, name, arrived, ready)) for name in names]
    try:
        for _ in names:
            await asyncio.wait_for(ready.get(), _UP_S)
        yield
    finally:
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _read(
    running: Server, name: str, arrived: list[tuple[int, float]], ready: "asyncio.Queue[None]"
) -> None:
    """Read one stream as cheaply as can be, since the reader shares the machine."""
    reader, writer = await asyncio.open_connection(*_address(running))
    writer.write(_request(running, name))
    seen = 0
    try:
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            at, told = time.time(), json.loads(line[6:])
            if not seen:
                ready.put_nowait(None)
            seen += 1
            if told["kind"] == "note":
                arrived.append((told["data"]["n"], at))
            elif told["kind"] == "message":
                arrived.append((json.loads(told["data"]["text"])["n"], at))
    finally:
        writer.close()


@asynccontextmanager
async def _slow_readers(database: Database, running: Server, name: str) -> AsyncGenerator[None]:
    """Open streams that nobody reads, with more to tell than any buffer holds."""
    connections: list[socket.socket] = []
    try:
        for _ in range(_SLOW):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(_address(running))
            one.sendall(_request(running, name))
            connections.append(one)
        for number in range(500):
            data = {"n": -1 - number, "text": _LARGE}
            await database.run(partial(events.append, task_id=name, kind="note", data=data))
        yield
    finally:
        for one in connections:
            one.close()


def _address(running: Server) -> tuple[str, int]:
    host, _, port = running.url.removeprefix("http://").partition(":")
    return host, int(port)


def _request(running: Server, name: str) -> bytes:
    host = running.url.removeprefix("http://")
    text = f"GET /api/v1/tasks/{name}/events HTTP/1.1\r\nHost: {host}\r\nLast-Event-ID: 0\r\n\r\n"
    return text.encode()
