import pytest

from models.base import ModelServerError
from models.messages import Message, Reply, Usage
from models.probe import probe
from models.scripted import SCRIPTED_INFO, ScriptedModel, tool_call_message

pytestmark = pytest.mark.anyio

CALL = tool_call_message("add", {"a": 19, "b": 23})
JSON = '{"country": "France", "capital": "Paris"}'


async def test_a_capable_model_passes_everything():
    usage = Usage(prompt_tokens=5, completion_tokens=2, calls=1)
    pong = Reply(message=Message(role="assistant", content="pong"), usage=usage)
    report = await probe(ScriptedModel([pong, CALL, JSON]))
    assert [(check.name, check.status) for check in report.checks] == [
        ("answer", "ok"),
        ("tools", "ok"),
        ("json", "ok"),
    ]
    assert report.ok
    assert (report.usage.calls, report.usage.prompt_tokens) == (3, 5)


async def test_what_a_model_cannot_do_is_told_with_what_came():
    report = await probe(ScriptedModel(["", "the sum is 42", "Paris", "Paris!"]))
    assert [check.status for check in report.checks] == ["failed", "failed", "failed"]
    assert "empty" in report.checks[0].detail
    assert "the sum is 42" in report.checks[1].detail
    assert "Paris!" in report.checks[2].detail
    assert not report.ok


async def test_tools_that_are_not_declared_are_not_tried():
    info = SCRIPTED_INFO.model_copy(update={"features": frozenset({"chat"})})
    report = await probe(ScriptedModel(["pong", JSON], info=info))
    assert [check.status for check in report.checks] == ["ok", "not_offered", "ok"]
    assert report.ok


async def test_a_dead_server_is_a_report_not_a_crash():
    report = await probe(ScriptedModel(lambda request: ModelServerError("nobody there")))
    assert report.checks[0].detail == "ModelServerError: nobody there"
    assert not report.ok
