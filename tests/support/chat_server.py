"""A stand-in for the server: serves the chat page and replays the events that a test gives it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import UploadFile
from typing_extensions import override

from tests.support.served import Served

WEB = Path(__file__).parents[2] / "app" / "web"
POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
STARTED_AT = datetime.now(UTC)


@dataclass
class FakeTask:
    """A task and its events."""

    id: str
    instruction: str
    files: list[str]
    status: str = "queued"
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def view(self) -> dict[str, Any]:
        """Return the task as the API shows it."""
        return {
            "id": self.id,
            "status": self.status,
            "instruction": self.instruction,
            "files": self.files,
            "created_at": STARTED_AT.isoformat(),
            "started_at": STARTED_AT.isoformat(),
            "finished_at": None,
        }


class ChatServer:
    """Runs in a thread on a free loopback port; can go away and come back on the same one."""

    def __init__(self) -> None:
        self.tasks: dict[str, FakeTask] = {}
        self.artifacts: dict[str, bytes] = {}
        self.memory: dict[str, list[dict[str, Any]]] = {"tips": [], "shortcuts": []}
        self.resumed_from: list[int] = []
        """`Last-Event-ID` of each stream that was opened, 0 for none."""
        self.messages: list[str] = []
        self.decisions: list[dict[str, Any]] = []
        self.refusal: dict[str, Any] | None = None
        """Problem to answer the next submission with."""
        self.port = 0
        self._serving: _Serving | None = None

    def forget(self) -> None:
        """Cut every stream and begin anew."""
        self.drop_streams()
        self.tasks = {}
        self.artifacts = {}
        self.memory = {"tips": [], "shortcuts": []}
        self.resumed_from = []
        self.messages = []
        self.decisions = []
        self.refusal = None

    @property
    def url(self) -> str:
        """Return the page's address."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve; on the same port as before, if there was one."""
        self._serving = _Serving(_application(self), self.port)
        self.port = self._serving.port

    def stop(self) -> None:
        """End every stream and stop serving."""
        if self._serving is not None:
            self._serving.stop()
            self._serving = None

    def drop_streams(self) -> None:
        """Cut the connections of those who follow events."""
        if self._serving is not None:
            self._serving.drop()

    def emit(self, task_id: str, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event and wake those who follow the task."""
        task = self.tasks[task_id]
        if kind == "task":
            task.status = data["status"]
        seq = len(task.events) + 1
        at = (STARTED_AT + timedelta(seconds=seq)).isoformat()
        event = {"seq": seq, "kind": kind, "at": at, "run_id": "r1", "data": dict(data)}
        task.events.append(event)
        if self._serving is not None:
            self._serving.wake()

    def newest(self) -> FakeTask:
        """Return the task that was submitted last."""
        return list(self.tasks.values())[-1]

    def add(self, instruction: str, files: list[str]) -> FakeTask:
        """Keep a new task."""
        task = FakeTask(f"t{len(self.tasks) + 1}", instruction, files)
        self.tasks[task.id] = task
        self.emit(task.id, "task", {"status": "queued"})
        return task

    async def stream(self, task: FakeTask, last: int) -> AsyncIterator[str]:
        """Send the task's events after `last` until its end, or until the stream is cut."""
        serving = self._serving
        if serving is None:
            return
        self.resumed_from.append(last)
        generation = serving.generation
        while serving.generation == generation:
            woken = serving.woken
            for event in task.events[last:]:
                last = event["seq"]
                yield f"id: {last}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                if event["kind"] == "end":
                    return
            await woken.wait()


class _Serving:
    """One life of the server."""

    def __init__(self, application: FastAPI, port: int) -> None:
        self.generation = 0
        self.woken = asyncio.Event()
        self._served = Served(application, port=port)
        self.port = self._served.port

    def _wake(self) -> None:
        self.woken.set()
        self.woken = asyncio.Event()

    def wake(self) -> None:
        self._served.loop.call_soon_threadsafe(self._wake)

    def drop(self) -> None:
        self.generation += 1
        self.wake()

    def stop(self) -> None:
        self.drop()
        self._served.stop()


def _application(server: ChatServer) -> FastAPI:
    app = FastAPI()
    _add_tasks(app, server)
    _add_rest(app, server)
    app.mount("/", _Page(directory=WEB, html=True))
    return app


class _Page(StaticFiles):
    """Sends the policy of the real server; lets the browser keep files while tests run."""

    @override
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "max-age=600"
        return response


def _add_tasks(app: FastAPI, server: ChatServer) -> None:
    async def submit(request: Request) -> Response:
        if server.refusal is not None:
            problem, server.refusal = server.refusal, None
            media = "application/problem+json"
            return JSONResponse(problem, problem["status"], media_type=media)
        body = await request.json()
        task = server.add(body["instruction"], body.get("files", []))
        return JSONResponse(task.view(), 202)

    def tasks() -> dict[str, Any]:
        return {"items": [task.view() for task in reversed(server.tasks.values())]}

    def one(task_id: str) -> Response:
        task = server.tasks.get(task_id)
        if task is None:
            problem = {"title": "Not Found", "status": 404, "detail": f"no task {task_id!r}"}
            return JSONResponse(problem, 404, media_type="application/problem+json")
        return JSONResponse(task.view())

    def events(task_id: str, request: Request) -> Response:
        last = int(request.headers.get("last-event-id", "0"))
        stream = server.stream(server.tasks[task_id], last)
        return StreamingResponse(stream, media_type="text/event-stream")

    app.post("/api/v1/tasks")(submit)
    app.get("/api/v1/tasks")(tasks)
    app.get("/api/v1/tasks/{task_id}")(one)
    app.get("/api/v1/tasks/{task_id}/events")(events)


def _add_rest(app: FastAPI, server: ChatServer) -> None:
    async def upload(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            return {"id": file.filename, "name": file.filename, "size": file.size}

    def cancel(task_id: str) -> dict[str, Any]:
        server.emit(task_id, "task", {"status": "cancelled", "end_reason": "cancelled"})
        server.emit(task_id, "end", {"status": "cancelled"})
        return server.tasks[task_id].view()

    def steer(task_id: str, verb: str) -> dict[str, Any]:
        status = {"pause": "paused", "resume": "running", "retry": "queued"}[verb]
        server.emit(task_id, "task", {"status": status})
        return server.tasks[task_id].view()

    async def decide(approval_id: str, request: Request) -> dict[str, Any]:
        said = await request.json()
        server.decisions.append(said)
        status = {"approve": "approved", "reject": "rejected"}[said["decision"]]
        told = {"id": approval_id, "status": status, "tool": "shell", "note": said["note"]}
        server.emit(server.newest().id, "approval", told)
        return told

    async def message(task_id: str, request: Request) -> dict[str, Any]:
        text = (await request.json())["text"]
        server.messages.append(text)
        server.emit(task_id, "message", {"text": text})
        server.emit(task_id, "task", {"status": "running"})
        return server.tasks[task_id].view()

    def artifact(name: str) -> Response:
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(server.artifacts[name], headers=headers, media_type="text/html")

    def entries(kind: str) -> dict[str, Any]:
        return {"items": server.memory[kind]}

    def receipt(entry_id: str) -> dict[str, Any]:
        shown = {"runs": 3, "successes": 2, "mean_steps": 4.5}
        withheld = {"runs": 0, "successes": 0, "mean_steps": None}
        common = {"entry_id": entry_id, "unfinished": 1, "effect": None, "note": "not yet known"}
        return {"shown": shown, "withheld": withheld, **common}

    def models() -> dict[str, Any]:
        return {"items": [{"name": "embedded", "chosen": True, "note": "A small model."}]}

    app.post("/api/v1/files")(upload)
    app.post("/api/v1/tasks/{task_id}/cancel")(cancel)
    app.post("/api/v1/tasks/{task_id}/messages")(message)
    app.post("/api/v1/tasks/{task_id}/{verb}")(steer)
    app.post("/api/v1/approvals/{approval_id}")(decide)
    app.get("/api/v1/tasks/{task_id}/artifacts/{name:path}")(artifact)
    app.get("/api/v1/memory/{entry_id}/receipt")(receipt)
    app.get("/api/v1/memory/{kind}")(entries)
    app.get("/api/v1/models")(models)


@contextlib.contextmanager
def chat_server() -> Generator[ChatServer]:
    """Serve while the block runs."""
    server = ChatServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
