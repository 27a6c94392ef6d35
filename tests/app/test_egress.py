"""What a task's code reaches and does not reach is told in the events of the task."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.egress import MOST_EVENTS, EgressEvents
from app.schemas import TaskRequest
from app.wiring import open_runtime
from sandboxes.base import Egress
from tests.support.service import RoleModel, call, ended, serving, settings_for
from tests.support.web_server import web_server

pytestmark = pytest.mark.anyio

FETCH = """
import os, urllib.error, urllib.request
print(os.environ.get("TOKEN", "none"))
for url in {urls!r}:
    try:
        print(urllib.request.urlopen(url, timeout=10).read())
    except urllib.error.HTTPError as error:
        print(error.code, error.headers["X-Strop-Egress"])
"""


async def test_code_of_a_task_reaches_listed_hosts_only_and_its_events_tell(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-long-secret\n")
    async with web_server() as web, web_server() as other:
        urls = [web.page("/a", b"from the server"), other.url("/a"), "http://169.254.169.254/"]
        model = RoleModel(call("python", code=FETCH.format(urls=urls)), call("answer", text="42"))
        granted: dict[str, Any] = {
            "sandbox": "bubblewrap",
            "sandbox_hosts": (web.host,),
            "sandbox_secrets": {"TOKEN": f"file:{tmp_path / 'token'}"},
        }
        async with serving(home, model, **granted) as client:
            made = await client.post("/api/v1/tasks", json={"instruction": "fetch it"})
            task_id = made.json()["id"]
            events = await ended(client, task_id)
            task = (await client.get(f"/api/v1/tasks/{task_id}")).json()
    assert task["status"] == "succeeded", task
    seen = "\n".join(m.content for request in model.requests for m in request.messages)
    assert "from the server" in seen
    assert "403 port_not_allowed" in seen
    assert "a-long-secret" not in seen
    told = [json.loads(event["data"])["data"] for event in events if event["event"] == "egress"]
    assert [(one["host"], one["port"], one["method"], one["allowed"]) for one in told] == [
        ("127.0.0.1", web.port, "GET", True),
        ("127.0.0.1", other.port, "GET", False),
        ("169.254.169.254", 80, "GET", False),
    ]
    assert told[0]["received_bytes"] > len("from the server")
    assert told[2]["reason"].startswith("host_not_allowed: ")
    assert len(other.requests) == 0


async def test_a_sandbox_that_cannot_keep_to_a_list_runs_no_task(home: Path) -> None:
    settings = settings_for(home, sandbox_hosts=("a.test",))
    async with open_runtime(settings, model=RoleModel()) as runtime:
        made = await runtime.tasks.submit(TaskRequest(instruction="fetch it"))
        async for _ in runtime.tasks.follow(made.task.id):
            pass
        task = await runtime.tasks.get(made.task.id)
        doctor = {check.name: check for check in await runtime.checks.all()}
    assert (task.status, task.end_reason) == ("failed", "tool_unavailable")
    assert not doctor["sandbox"].ok
    assert "STROP_SANDBOX_HOSTS is set, but unsafe-local" in doctor["sandbox"].detail


def test_what_goes_on_and_on_is_counted() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    events = EgressEvents(lambda kind, data: told.append((kind, data)))
    for n in range(MOST_EVENTS + 5):
        events(Egress(host="a.test", port=80, method="GET", allowed=n % 2 == 0, reason=""))
    events.close()
    assert len(told) == MOST_EVENTS + 1
    assert told[0][0] == "egress"
    assert told[-1] == ("egress_more", {"allowed": 3, "refused": 2})
