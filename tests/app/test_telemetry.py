"""A task as spans at a real collector, and with a collector that is not there."""

import logging
import socket
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.spans import trace_id_of
from app.telemetry import traces_url
from models.base import ModelServerError
from tests.support.collector import Received, collector
from tests.support.service import RoleModel, call, ended, serving, until

pytestmark = pytest.mark.anyio
WORDS = "what-only-the-owner-may-know"
CALLER = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{CALLER}-b7ad6b7169203331-01"


def _model() -> RoleModel:
    return RoleModel(
        call("write_file", path="a.txt", content=WORDS),
        call("read_file", path="missing.txt"),
        call("answer", text=f"done: {WORDS}"),
    )


async def _solved(home: Path, endpoint: str, model: RoleModel) -> str:
    async with serving(home, model, otlp_endpoint=endpoint) as client:
        task = {"instruction": f"keep {WORDS}"}
        headers = {"traceparent": TRACEPARENT}
        accepted = await client.post("/api/v1/tasks", json=task, headers=headers)
        await ended(client, accepted.json()["id"])
        return accepted.json()["id"]


def _children(spans: list[Received], parent: Received) -> list[Received]:
    return [span for span in spans if span.parent_id == parent.span_id]


async def test_a_task_is_one_trace_of_turns_agents_model_calls_and_tool_calls_without_their_words(
    tmp_path: Path,
) -> None:
    with collector() as kept:
        task_id = await _solved(tmp_path, kept.url, _model())
        spans = [span for span in kept.spans if span.trace_id == f"{trace_id_of(task_id):032x}"]
        assert kept.paths == {"/v1/traces"}
        assert {span.service for span in spans} == {"strop"}
        assert {span.attributes["gen_ai.conversation.id"] for span in spans} == {task_id}

        roots = [span for span in spans if not span.parent_id]
        assert [root.name for root in roots] == ["invoke_workflow task", "invoke_workflow learning"]
        assert roots[0].attributes["strop.status"] == "succeeded"
        agents = _children(spans, roots[0])
        roles = {agent.attributes["gen_ai.agent.name"] for agent in agents}
        assert roles >= {"manager", "solver", "reviewer"}
        assert all(agent.name.startswith("invoke_agent ") for agent in agents)
        below = [span for agent in agents for span in _children(spans, agent)]
        chats = [span for span in below if span.name == "chat scripted"]
        assert {chat.kind for chat in chats} == {"CLIENT"}
        assert chats[0].attributes["gen_ai.request.model"] == "scripted"
        assert chats[0].attributes["gen_ai.provider.name"] == "_OTHER"
        assert "gen_ai.usage.input_tokens" in chats[0].attributes
        assert chats[0].attributes["gen_ai.response.finish_reasons"] == ("stop",)
        tools = [span for span in below if span.name.startswith("execute_tool ")]
        assert [(tool.name, tool.failed) for tool in tools] == [
            ("execute_tool write_file", False),
            ("execute_tool read_file", True),
            ("execute_tool answer", False),
        ]
        assert tools[1].attributes["error.type"] == "not_found"
        assert tools[0].attributes["gen_ai.agent.name"] == "solver"

        assert not any(WORDS.encode() in body for body in kept.bodies)
        (told,) = [span for span in kept.spans if span.trace_id == CALLER]
        assert told.parent_id == "b7ad6b7169203331"
        assert told.links == (spans[0].trace_id,)


async def test_what_fails_or_waits_is_told_by_kind_and_not_in_words(tmp_path: Path) -> None:
    model = RoleModel(call("ask_human", question=WORDS), ModelServerError(f"no answer to {WORDS}"))
    with collector() as kept:
        async with serving(tmp_path, model, otlp_endpoint=kept.url) as client:
            asking = (await client.post("/api/v1/tasks", json={"instruction": "ask"})).json()["id"]
            waiting = False
            while not waiting:
                seen = await client.get(f"/api/v1/tasks/{asking}")
                waiting = seen.json()["status"] == "waiting_input"
            failing = (await client.post("/api/v1/tasks", json={"instruction": "fail"})).json()[
                "id"
            ]
            await ended(client, failing)
        of_failing = [s for s in kept.spans if s.attributes["gen_ai.conversation.id"] == failing]
        assert {(s.name, s.attributes["error.type"]) for s in of_failing if s.failed} >= {
            ("chat scripted", "ModelServerError"),
            ("invoke_workflow task", "model_unavailable"),
        }
        of_asking = {
            s.name: s for s in kept.spans if s.attributes["gen_ai.conversation.id"] == asking
        }
        assert not any(span.failed for span in of_asking.values())
        assert of_asking["execute_tool ask_human"].attributes["strop.waits"] is True
        assert of_asking["invoke_workflow task"].attributes["strop.status"] == "waiting"
        assert not any(WORDS.encode() in body for body in kept.bodies)


async def test_a_collector_that_is_not_there_or_hangs_costs_a_task_nothing_but_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging, caplog.at_level(logging.DEBUG):
        endpoint = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        model = _model()
        async with serving(tmp_path, model, otlp_endpoint=endpoint) as client:
            for _ in range(3):
                accepted = await client.post("/api/v1/tasks", json={"instruction": "add it up"})
                events = await ended(client, accepted.json()["id"])
                assert events[-1]["event"] == "end"
            await until(lambda: "cannot be delivered" in caplog.text)
    told = [record for record in caplog.records if "opentelemetry" in record.name]
    assert told == []
    assert caplog.text.count("cannot be delivered") == 1


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://otel.example.org/tenant/", "https://otel.example.org/tenant/v1/traces"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
    ],
)
def test_an_endpoint_may_have_a_path(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://a", "http://", "http://a:b@c:1"])
def test_an_endpoint_that_is_none_is_refused_by_name(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="STROP_OTLP_ENDPOINT"):
        traces_url(endpoint)
