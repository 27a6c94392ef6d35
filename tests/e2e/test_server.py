"""The server as its users meet it: a process, a socket, a model, a kill."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import Answer, OpenAIServer, as_json, error, text, tool_call
from tests.support.server import Server, server

CSV = Path(__file__).parents[2] / "examples" / "air-quality" / "air_quality_week.csv"
QUESTION = (
    f"Which day had the highest mean CO(GT) in {CSV.name}? Write the day and its mean to report.md."
)
EMBEDDED = {"STROP_MODEL": "embedded", "STROP_WITHHOLDING_RATE": "0"}
PLAN = {"thought": "one worker will do", "subgoals": ["do it"]}
REPLIES: dict[str, dict[str, Any]] = {
    "Plan": PLAN,
    "StepReview": {"outcome": "success", "progress": "well"},
    "AnswerReview": {"accepted": True, "score": 1.0},
    "Lessons": {"tips": [], "shortcut": None},
}


def _kinds(events: list[Mapping[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def _gapless(events: list[Mapping[str, Any]]) -> bool:
    return [int(event["id"]) for event in events] == list(range(1, len(events) + 1))


def test_a_csv_question_is_answered_and_the_second_run_needs_fewer_steps(tmp_path: Path) -> None:
    with server(tmp_path / "home", **EMBEDDED) as running:
        tasks: list[dict[str, Any]] = []
        for _ in range(2):
            task_id = running.submit_with(CSV, instruction=QUESTION)
            events = running.events(task_id)
            assert _gapless(events)
            assert _kinds(events)[-1] == "end"
            tasks.append(running.task(task_id))
        first, second = tasks
        report = running.client.get(f"/api/v1/tasks/{second['id']}/artifacts/report.md").text
        tips = running.client.get("/api/v1/memory/tips").json()["items"]
        shortcuts = running.client.get("/api/v1/memory/shortcuts").json()["items"]
        assert running.terminate() == 0
    assert [task["status"] for task in tasks] == ["succeeded", "succeeded"]
    assert first["result"]
    assert report.strip()
    assert [artifact["name"] for artifact in second["artifacts"]] == ["report.md"]
    learned = {item["id"] for item in first["learned"] if item["outcome"] == "new"}
    assert learned
    assert learned <= {item["id"] for item in [*tips, *shortcuts]}
    assert learned & {item["id"] for item in second["recalled"]}
    assert second["usage"]["steps"] < first["usage"]["steps"]


class Actor:
    """Plays a language model behind an OpenAI-compatible server."""

    def __init__(self, *solver: Answer) -> None:
        self.solver = list(solver)
        self.asked = threading.Event()
        """Set when the Solver is asked for the action at which it hesitates."""
        self.go_on = threading.Event()
        self.hesitates_at = -1

    def __call__(self, request: dict[str, Any]) -> Answer:
        if "tools" not in request:
            name = request["response_format"]["json_schema"]["name"]
            return as_json(REPLIES[name])
        if len(self.solver) == self.hesitates_at:
            self.asked.set()
            self.go_on.wait(60)
        return self.solver.pop(0) if len(self.solver) > 1 else self.solver[0]


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenAIServer]:
    with OpenAIServer() as started:
        yield started


@pytest.fixture(scope="module")
def running(provider: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    with server(home, **_settings(provider)) as started:
        yield started


def _settings(provider: OpenAIServer) -> dict[str, str]:
    return {
        "STROP_MODEL_BASE_URL": provider.base_url,
        "STROP_MODEL": "m",
        "STROP_EMBEDDING": "none",
        "STROP_SANDBOX": "unsafe-local",
        "STROP_DRAIN_S": "0",
    }


def _answer(said: str = "42") -> Answer:
    return tool_call("answer", {"text": said})


def _solved(running: Server, provider: OpenAIServer, *solver: Answer, **fields: Any) -> Any:
    provider.respond(Actor(*solver))
    task_id = running.submit(instruction="say 42", **fields)
    events = running.events(task_id)
    assert _gapless(events)
    assert _kinds(events).count("end") == 1
    return running.task(task_id) | {"kinds": _kinds(events)}


def test_a_model_behind_an_openai_server_solves_a_task(
    running: Server, provider: OpenAIServer
) -> None:
    task = _solved(running, provider, tool_call("list_files", {"path": "."}), _answer())
    assert (task["status"], task["result"]) == ("succeeded", "42")
    assert task["usage"]["tokens"] > 0


def test_a_rate_limit_is_waited_for(running: Server, provider: OpenAIServer) -> None:
    task = _solved(running, provider, error(429, "slow down", retry_after="0"), _answer())
    assert (task["status"], task["kinds"].count("model_retry")) == ("succeeded", 1)


def test_a_server_error_is_tried_again(running: Server, provider: OpenAIServer) -> None:
    task = _solved(running, provider, error(500, "boom"), _answer())
    assert (task["status"], task["kinds"].count("model_retry")) == ("succeeded", 1)


def test_a_call_that_hangs_is_stopped_when_the_time_is_over(
    running: Server, provider: OpenAIServer
) -> None:
    task = _solved(running, provider, text("", hang_after=0), budget={"seconds": 1})
    assert (task["status"], task["end_reason"]) == ("failed", "timeout")


def test_a_call_that_hangs_can_be_cancelled(running: Server, provider: OpenAIServer) -> None:
    actor = Actor(text("", hang_after=0))
    actor.hesitates_at = 1
    provider.respond(actor)
    task_id = running.submit(instruction="say 42")
    assert actor.asked.wait(60)
    actor.go_on.set()
    cancelled = running.client.post(f"/api/v1/tasks/{task_id}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert _kinds(running.events(task_id))[-1] == "end"


@pytest.mark.parametrize(
    "reply",
    [text("{{{ no action"), text(""), Answer(body=b"<html>not json</html>")],
    ids=["words instead of a tool", "nothing", "no JSON"],
)
def test_rubbish_ends_the_task_with_a_reason(
    running: Server, provider: OpenAIServer, reply: Answer
) -> None:
    task = _solved(running, provider, reply)
    assert (task["status"], task["end_reason"]) == ("failed", "model_unavailable")
    assert task["error"]


def test_a_reply_that_breaks_off_is_asked_for_again(
    running: Server, provider: OpenAIServer
) -> None:
    task = _solved(running, provider, text("half an answer", cut_after=0), _answer())
    assert (task["status"], task["kinds"].count("model_retry")) == ("succeeded", 1)


def test_a_killed_server_goes_on_where_it_was_and_ends_the_task_once(
    provider: OpenAIServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    once = tool_call("shell", {"command": "echo once >> log.txt"})
    actor = Actor(once, _answer())
    actor.hesitates_at = 1
    provider.respond(actor)
    with server(home, **_settings(provider)) as killed:
        task_id = killed.submit(instruction="say 42")
        assert actor.asked.wait(90)
        killed.kill()
    actor.hesitates_at = -1
    actor.go_on.set()
    with server(home, **_settings(provider)) as again:
        events = again.events(task_id)
        task = again.task(task_id)
    assert _gapless(events)
    assert (_kinds(events).count("end"), _kinds(events).count("answer")) == (1, 1)
    assert _kinds(events).count("plan") == 1
    assert (task["status"], task["usage"]["steps"]) == ("succeeded", 2)
    assert (home / "workspaces" / task_id / "log.txt").read_text() == "once\n"
