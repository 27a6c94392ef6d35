import pytest

from models.base import ModelTimeoutError, ScriptExhaustedError
from models.messages import Message, Reply, Request
from models.scripted import ScriptedModel, tool_call_message

pytestmark = pytest.mark.anyio


def request(text: str) -> Request:
    return Request(messages=(Message(role="user", content=text),), purpose="solver.act")


async def test_lines_come_in_order_and_requests_are_remembered():
    turn = Message(role="assistant", content="two")
    model = ScriptedModel(["one", turn, Reply(message=turn, model="other")])
    replies = [await model.complete(request(str(n))) for n in range(3)]
    assert [reply.message.content for reply in replies] == ["one", "two", "two"]
    assert [reply.model for reply in replies] == ["scripted", "scripted", "other"]
    assert [asked.messages[0].content for asked in model.requests] == ["0", "1", "2"]


async def test_a_tool_call_ends_the_turn_as_one():
    model = ScriptedModel([tool_call_message("add", {"a": 1})])
    reply = await model.complete(request("x"))
    assert reply.finish == "tool_calls"
    assert reply.message.tool_calls[0].arguments == {"a": 1}


async def test_an_error_in_the_script_is_raised():
    with pytest.raises(ModelTimeoutError):
        await ScriptedModel([ModelTimeoutError("late")]).complete(request("x"))


async def test_a_function_reads_the_request():
    model = ScriptedModel(lambda asked: asked.messages[-1].content.upper())
    assert (await model.complete(request("hello"))).message.content == "HELLO"


async def test_text_is_streamed():
    pieces: list[str] = []
    await ScriptedModel(["hello"]).complete(request("x"), on_text=pieces.append)
    assert pieces == ["hello"]


async def test_an_exhausted_script_says_what_was_asked():
    model = ScriptedModel(["one"])
    await model.complete(request("first"))
    with pytest.raises(ScriptExhaustedError, match=r"call 2 \(purpose 'solver.act', .*'second'"):
        await model.complete(request("second"))
