"""Workers beside a server that works on nothing itself: real processes on one database.

That they take over from the dead is tried by `test_chaos.py`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.effects import Marking, asked_for, marks
from tests.support.openai_server import OpenAIServer
from tests.support.server import ROOT, Server, Worker, server, worker

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

JSON = {"Accept": "application/json"}
PROBE = [sys.executable, "-P", str(ROOT / "app/probe.py")]


class Place:
    """A home, a database of some kind, and a server that leaves the work to workers."""

    def __init__(self, home: Path, provider: OpenAIServer, url: str) -> None:
        self.home = home
        self._provider = provider
        self.environment = {
            "STROP_DATABASE_URL": url,
            "STROP_MODEL_BASE_URL": provider.base_url,
            "STROP_MODEL": "m",
            "STROP_EMBEDDING": "none",
            "STROP_SANDBOX": "unsafe-local",
            "STROP_SERVER_WORKS": "false",
        }

    def actor(self, holds_at: int = 0) -> Marking:
        """Let a fresh model answer from now on."""
        actor = Marking()
        actor.holds_at = holds_at
        self._provider.respond(actor)
        return actor

    def worker(self, *words: str, drain_s: float = 0.0) -> AbstractContextManager[Worker]:
        """Start a worker."""
        return worker(self.home, *words, **self.environment, STROP_DRAIN_S=str(drain_s))


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenAIServer]:
    with OpenAIServer() as started:
        yield started


@pytest.fixture(scope="module")
def place(
    provider: OpenAIServer, postgres: "PostgresServer", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A place on a database's server."""
    with postgres.fresh() as url:
        yield Place(tmp_path_factory.mktemp("place") / "home", provider, url)


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Server]:
    with server(place.home, **place.environment) as started:
        yield started


def _names(events: list[Mapping[str, Any]]) -> list[str]:
    """Return what happened, with each status that the task had."""
    told = [(event["event"], json.loads(event["data"])) for event in events]
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))
    return [data["data"].get("status", kind) if kind == "task" else kind for kind, data in told]


def test_a_worker_takes_what_the_server_leaves_and_ends_it_when_asked_to_stop(
    place: Place, running: Server, tmp_path: Path
) -> None:
    actor = place.actor(holds_at=3)
    alive = tmp_path / "alive"
    first = running.submit(instruction=asked_for(1, "a"))
    assert running.client.get("/readyz").status_code == 200
    assert running.task(first)["status"] == "queued"
    words = ("--concurrency", "2", "--alive-file", str(alive))
    with place.worker(*words, drain_s=60) as working:
        assert json.loads(working.told) == {"concurrency": 2, "home": str(place.home)}
        names = _names(running.events(first))
        examined = subprocess.run([*PROBE, str(alive)], check=False, timeout=30)
        second = running.submit(instruction=asked_for(3, "b"))
        assert actor.held.wait(60)
        working.process.terminate()
        actor.go_on.set()
        assert working.process.wait(60) == 0
    assert running.task(first)["status"] == running.task(second)["status"] == "succeeded"
    assert examined.returncode == 0
    assert not alive.exists()
    assert (names.count("answer"), names.count("end")) == (1, 1)
    assert _statuses(running, second).count("running") == 1
    assert [name for name, _ in marks(place.home, first)] == ["a-1"]
    assert [name for name, _ in marks(place.home, second)] == ["b-1", "b-2", "b-3"]


def test_a_worker_that_may_not_wait_hands_its_task_to_another(
    place: Place, running: Server
) -> None:
    actor = place.actor(holds_at=2)
    with place.worker() as working:
        task_id = running.submit(instruction=asked_for(3, "c"))
        assert actor.held.wait(60)
        assert working.terminate() == 0
    assert running.task(task_id)["status"] == "queued"
    actor.go_on.set()
    with place.worker():
        names = _names(running.events(task_id))
    _assert_went_on(place, running, task_id, names, "c")


def _assert_went_on(
    place: Place, running: Server, task_id: str, names: list[str], mark: str
) -> None:
    """Hold that the second process went on where the first one was, and did nothing again."""
    assert running.task(task_id)["status"] == "succeeded"
    assert [n for n in names if n in {"queued", "running"}] == ["queued", "running"] * 2
    assert (names.count("answer"), names.count("plan"), names.count("end")) == (1, 1, 1)
    assert [name for name, _ in marks(place.home, task_id)] == [f"{mark}-{n}" for n in (1, 2, 3)]


def _statuses(running: Server, task_id: str) -> list[str]:
    """Return the statuses that the task has had so far."""
    shown = running.client.get(f"/api/v1/tasks/{task_id}/events", headers=JSON).json()["items"]
    return [item["data"]["status"] for item in shown if item["kind"] == "task"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--concurrency", "0"], "expected a number"),
        (["--concurrency", "many"], "expected a number"),
        (["--alive-file", "/proc/nowhere/alive"], "--alive-file: expected a file"),
    ],
    ids=["none", "no number", "no place"],
)
def test_wrong_use_is_explained(words: list[str], sentence: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "work", *words],
        cwd=ROOT,
        env={"STROP_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "STROP_MODEL": "embedded"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""
