"""Run a case with any model, in a real sandbox, over real tools and graphs."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from langgraph.checkpoint.memory import InMemorySaver

from agents.in_memory import InMemoryRecorder, ListMemory
from agents.run import AgentRuntime, RunContext, RunEnd, RunWaits, ask_person, checkpoint_serde
from agents.state import TaskSpec
from models.base import Model
from sandboxes.base import SandboxSpec
from sandboxes.selection import select
from tests.replays.cases import PAGE, PAGE_HOST, Case
from tools.base import ToolContext, discover
from tools.toolbox import Toolbox


@dataclass(frozen=True)
class Played:
    """What became of a case."""

    end: RunEnd
    recorder: InMemoryRecorder
    memory: ListMemory


async def play(case: Case, model: Model, workspace: Path) -> Played:
    """Run the case to its end, answer its questions, and learn from it."""
    for name, content in case.files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    selected = await select("auto")
    sandbox = await selected.backend.create(SandboxSpec(workspace=workspace))
    context = ToolContext(sandbox=sandbox, ask=ask_person, allowed_hosts=(PAGE_HOST,))
    recorder, memory = InMemoryRecorder(), ListMemory()
    run = RunContext(
        task=TaskSpec(
            task_id="replay",
            run_id="replay",
            namespace="default",
            instruction=case.instruction,
            acceptance=case.acceptance,
            files=tuple(case.files),
            limits=case.limits,
        ),
        model=model,
        toolbox=Toolbox(discover(), context),
        sandbox=sandbox,
        memory=memory,
        recorder=recorder,
    )
    runtime = AgentRuntime(InMemorySaver(serde=checkpoint_serde()))
    try:
        end = await runtime.run(run)
        while isinstance(end, RunWaits):
            end = await runtime.run(run, answer=case.person)
        await runtime.learn(run, end)
    finally:
        await sandbox.close()
    return Played(end, recorder, memory)


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/peaks.html"
        body = (PAGE if found else "not here").encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def pages(case: Case) -> Generator[None]:
    """Serve the pages of a case that reads any."""
    if PAGE_HOST not in case.instruction:
        yield
        return
    host, _, port = PAGE_HOST.partition(":")
    server = ThreadingHTTPServer((host, int(port)), _Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
