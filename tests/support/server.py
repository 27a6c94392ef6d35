"""The real server in a process of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.service import parse_events

ROOT = Path(__file__).parents[2]
START_S = 90


class Server:
    """A running `python -m app serve` and a client for it."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=120)

    def submit(self, **fields: Any) -> str:
        """Submit a task and return its id."""
        response = self.client.post("/api/v1/tasks", json=fields)
        assert response.status_code == 202, response.text
        return response.json()["id"]

    def submit_with(self, file: Path, **fields: Any) -> str:
        """Submit a task with a file and return its id."""
        upload = {"file": (file.name, file.read_bytes())}
        response = self.client.post("/api/v1/tasks", data=fields, files=upload)
        assert response.status_code == 202, response.text
        return response.json()["id"]

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task as it stands."""
        return self.client.get(f"/api/v1/tasks/{task_id}").json()

    def events(self, task_id: str) -> list[Mapping[str, Any]]:
        """Follow a task to its end."""
        return parse_events(self.client.get(f"/api/v1/tasks/{task_id}/events").text)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def terminate(self) -> int:
        """Ask the process to stop and return its exit status."""
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def server(home: Path, **environment: str) -> Generator[Server]:
    """Start a server on a free port and stop it at the end."""
    kept = {n: v for n, v in os.environ.items() if not n.endswith("_API_KEY")}
    chosen = {"STROP_HOME": str(home), "STROP_PORT": "0", "STROP_LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=ROOT,
        env=kept | chosen | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    try:
        with process:
            running = Server(process, _address(process, said))
            # The pipe must be read, or a talkative server would stop at a full one.
            reader = threading.Thread(target=_read_on, args=(process, said))
            reader.start()
            try:
                with running.client:
                    yield running
            finally:
                process.kill()
                reader.join(30)
    except BaseException as error:
        error.add_note("The server said:\n" + "".join(said))
        raise


def _address(process: "subprocess.Popen[str]", said: list[str]) -> str:
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    for line in process.stdout:
        said.append(line)
        if "listens on " in line:
            watchdog.cancel()
            return line.split("listens on ")[1].split()[0]
    watchdog.cancel()
    msg = "the server ended before it listened"
    raise AssertionError(msg)


def _read_on(process: "subprocess.Popen[str]", said: list[str]) -> None:
    assert process.stdout is not None
    said.extend(process.stdout)
