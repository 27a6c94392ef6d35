"""`strop solve` as a person or a script meets it: a process of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.exits import Exit
from app.cli.solve import exit_code
from app.schemas import TaskView
from tests.support.openai_server import OpenAIServer, text

ROOT = Path(__file__).parents[2]
Popen = Callable[..., "subprocess.Popen[str]"]
TIMEOUT_S = 120


@pytest.fixture
def start(tmp_path: Path) -> Popen:
    """Start the command line on a fresh home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STROP_")}
    environment = kept | {"STROP_HOME": str(tmp_path / "home"), "STROP_MODEL": "embedded"}

    def popen(*words: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "app", *words],
            cwd=ROOT,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return popen


def test_the_answer_goes_to_stdout_and_everything_else_to_stderr(
    start: Popen, tmp_path: Path
) -> None:
    (tmp_path / "fruit.csv").write_text("fruit,kg\napple,2\npear,3\n")
    process = start(
        "solve",
        "What is the total kg in fruit.csv? Write it to report.md.",
        *("--file", str(tmp_path / "fruit.csv")),
        *("--out", str(tmp_path / "made")),
    )
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == Exit.DONE, err
    assert "5" in out
    assert "step 1: " in err
    assert "step 1: " not in out
    assert "5" in (tmp_path / "made" / "report.md").read_text()


def test_a_task_beyond_the_model_fails_with_1_and_stays_on_record(start: Popen) -> None:
    process = start("solve", "Write a poem about the sea.", "--json")
    out, _ = process.communicate(timeout=TIMEOUT_S)
    task = json.loads(out)
    assert (process.returncode, task["status"]) == (Exit.FAILED, "failed")
    shown = start("tasks", "show", task["id"][:10])
    text, _ = shown.communicate(timeout=TIMEOUT_S)
    assert task["id"] in text
    assert "Write a poem about the sea." in text
    events = start("tasks", "events", task["id"], "--json")
    lines, _ = events.communicate(timeout=TIMEOUT_S)
    told = [json.loads(line) for line in lines.splitlines()]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["kind"] == "end"


def test_an_unknown_model_is_wrong_use(start: Popen) -> None:
    process = start("solve", "What is 1 + 1?", "--model", "no-such-model")
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == Exit.WRONG_USE
    assert "no-such-model" in err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Undo what a shell does to its background jobs: they ignore Ctrl-C, and so would ours."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_the_task_and_ends_with_130(start: Popen) -> None:
    with OpenAIServer(text("", hang_after=0)) as provider:
        model = {"STROP_MODEL": "auto", "STROP_MODEL_BASE_URL": provider.base_url}
        process = start("solve", "What is 1 + 1?", **model)
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("task t_")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == Exit.INTERRUPTED
    assert "interrupted; cancelling task" in err
    assert "Traceback" not in err
    shown = start("tasks", "show", first.split()[1], "--json")
    out, _ = shown.communicate(timeout=TIMEOUT_S)
    assert json.loads(out)["status"] == "cancelled"


def test_it_works_beside_a_running_server_on_the_same_home(start: Popen) -> None:
    server = start("serve", "--port", "0")
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        assert address.startswith("http://127.0.0.1:")
        process = start("solve", "What is 17 * 3?", "--json")
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == Exit.DONE, err
        task = json.loads(out)
        assert "51" in task["result"]
        with urllib.request.urlopen(f"{address}/api/v1/tasks/{task['id']}", timeout=30) as seen:  # noqa: S310 - our own server
            assert json.load(seen)["result"] == task["result"]
    finally:
        server.terminate()
        server.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("succeeded", "done", Exit.DONE),
        ("failed", "max_steps", Exit.FAILED),
        ("failed", "budget", Exit.BUDGET),
        ("failed", "model_unavailable", Exit.MISSING),
        ("failed", "tool_unavailable", Exit.MISSING),
        ("cancelled", "cancelled", Exit.FAILED),
    ],
)
def test_how_a_task_ended_is_the_exit_code(status: str, reason: str, code: Exit) -> None:
    task = TaskView.model_construct(status=status, end_reason=reason)
    assert exit_code(task) is code
