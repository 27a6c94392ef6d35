"""The real server and real workers, each in a process of its own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.service import parse_events

ROOT = Path(__file__).parents[2]
START_S = 90
_FOLLOW_S = 90


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
        limit = time.monotonic() + _FOLLOW_S
        text = ""
        with self.client.stream("GET", f"/api/v1/tasks/{task_id}/events") as response:
            for part in response.iter_text():
                text += part
                assert time.monotonic() < limit, f"task {task_id} did not end, only: {text}"
        return parse_events(text)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def terminate(self) -> int:
        """Ask the process to stop and return its exit status."""
        self.process.terminate()
        return self.process.wait(60)


class Worker:
    """A running `python -m app work`."""

    def __init__(self, process: "subprocess.Popen[str]", told: str) -> None:
        self.process = process
        self.told = told
        """What it said once it worked."""

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def terminate(self) -> int:
        """Ask the process to stop and return its exit status."""
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def server(home: Path, *, within: Sequence[str] = (), **environment: str) -> Generator[Server]:
    """Start a server on a free port and stop it at the end.

    Args:
        home: where it keeps everything.
        within: a command that ends by executing the one that follows it.
        environment: settings, as variables.
    """
    with _started(home, ["serve"], "listens on ", environment, within) as (process, line):
        running = Server(process, line.split("listens on ")[1].split()[0])
        with running.client:
            yield running


@contextmanager
def worker(home: Path, *words: str, **environment: str) -> Generator[Worker]:
    """Start a worker, wait until it works, and stop it at the end."""
    with _started(home, ["work", "--json", *words], "concurrency", environment) as (process, line):
        yield Worker(process, line)


@contextmanager
def _started(
    home: Path,
    words: Sequence[str],
    sign: str,
    environment: Mapping[str, str],
    within: Sequence[str] = (),
) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Start a process, give it and the line with which it said that it is ready."""
    kept = {n: v for n, v in os.environ.items() if not n.endswith("_API_KEY")}
    chosen = {"STROP_HOME": str(home), "STROP_PORT": "0", "STROP_LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [*within, sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={**kept, **chosen, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    try:
        with process:
            line = _ready(process, sign, said)
            # The pipe must be read, or a talkative process would stop at a full one.
            reader = threading.Thread(target=_read_on, args=(process, said))
            reader.start()
            try:
                yield process, line
            finally:
                process.kill()
                reader.join(30)
    except BaseException as error:
        error.add_note(f"`strop {words[0]}` said:\n" + "".join(said))
        raise


def _ready(process: "subprocess.Popen[str]", sign: str, said: list[str]) -> str:
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    for line in process.stdout:
        said.append(line)
        if sign in line:
            watchdog.cancel()
            return line
    watchdog.cancel()
    msg = "the process ended before it was ready"
    raise AssertionError(msg)


def _read_on(process: "subprocess.Popen[str]", said: list[str]) -> None:
    assert process.stdout is not None
    said.extend(process.stdout)
