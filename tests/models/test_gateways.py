"""Every gateway against a real server on loopback; one file, because LiteLLM is slow to load."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from models.base import (
    BadReplyError,
    ContextOverflowError,
    FeatureMissingError,
    ModelAuthError,
    ModelError,
    ModelInfo,
    ModelRefusedError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    RateLimitedError,
    UnknownModelError,
)
from models.gateway import Gateway
from models.litellm_gateway import LiteLLMModel
from models.messages import Message, OutputSchema, Reply, Request, ToolCall
from models.openai_gateway import OpenAIModel
from tests.support.gateways import ADD, INFO, SECRET, request
from tests.support.openai_server import Answer, OpenAIServer, error, text

pytestmark = pytest.mark.anyio


class Served(OpenAIServer):
    """A server, and the library that asks it."""

    def __init__(self, kind: type[Gateway]) -> None:
        super().__init__()
        self.kind = kind


@pytest.fixture(params=[OpenAIModel, LiteLLMModel])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _nothing_leaks() -> Iterator[None]:
    yield
    # What a leaked socket or coroutine would say, it says here, while warnings are errors.
    gc.collect()


def model(server: Served, info: ModelInfo = INFO, **options: Any) -> Gateway:
    return server.kind(info, api_base=server.base_url, api_key=SECRET, **options)


async def answers(server: Served, streamed: bool, asked: Request) -> tuple[Reply, list[str]]:
    pieces: list[str] = []
    reply = await model(server).complete(asked, on_text=pieces.append if streamed else None)
    return reply, pieces


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_plain_answer_comes_with_usage_and_cost(server: Served, streamed: bool):
    server.respond(text("Hello, world of ünïcode.", usage=(1000, 100)))
    reply, pieces = await answers(server, streamed, request(purpose="solver.act"))
    assert reply.message == Message(role="assistant", content="Hello, world of ünïcode.")
    assert (reply.finish, reply.model) == ("stop", "local")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1000, 100)
    assert reply.usage.usd == pytest.approx(0.003)
    assert reply.usage.calls == 1
    assert "".join(pieces) == (reply.message.content if streamed else "")
    assert "solver.act" not in str(server.requests)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_arrive_whole(server: Served, streamed: bool):
    calls = (("add", {"a": 1, "b": 2.5}), ("add", {"a": -3, "b": 4}))
    server.respond(Answer(text="Let me see.", tool_calls=calls))
    reply, _ = await answers(server, streamed, request(tools=(ADD,)))
    assert reply.message.content == "Let me see."
    assert reply.message.tool_calls == (
        ToolCall(id="call_0", name="add", arguments={"a": 1, "b": 2.5}),
        ToolCall(id="call_1", name="add", arguments={"a": -3, "b": 4}),
    )
    assert reply.finish == "tool_calls"
    assert server.requests[0]["tools"][0]["function"]["name"] == "add"


async def test_a_conversation_with_tools_is_sent_as_the_api_wants_it(server: Served):
    call = ToolCall(id="c1", name="add", arguments={"a": 1, "b": 2})
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="1+2?"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="3", tool_call_id="c1"),
    )
    await model(server).complete(Request(messages=turns, tools=(ADD,), max_tokens=9))
    sent = server.requests[0]
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"a": 1, "b": 2}'
    assert sent["messages"][3]["tool_call_id"] == "c1"
    assert sent["max_tokens"] == 9
    assert sent["model"] == "m"


async def test_torn_text_of_tools_and_models_does_not_stop_the_next_call(server: Served):
    call = ToolCall(id="c1", name="add", arguments={"a": "\ud800"})
    messages = (
        Message(role="user", content="half a pair: \ud800"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="\udfff", tool_call_id="c1"),
    )
    await model(server).complete(Request(messages=messages, tools=(ADD,), purpose="test"))
    sent = server.requests[0]["messages"]
    assert [sent[0]["content"], sent[2]["content"]] == ["half a pair: ?", "?"]
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"a": "?"}


async def test_a_wanted_structure_is_sent_as_a_json_schema(server: Served):
    output = OutputSchema(name="Plan", schema_={"type": "object"})
    await model(server).complete(request(output=output))
    assert server.requests[0]["response_format"]["json_schema"]["name"] == "Plan"


async def test_a_model_without_json_schema_is_asked_in_words(server: Served):
    plain = INFO.model_copy(update={"features": frozenset({"chat"})})
    output = OutputSchema(name="Plan", schema_={"type": "object", "title": "Plan"})
    await model(server, plain).complete(request(output=output))
    assert "response_format" not in server.requests[0]
    assert '"title": "Plan"' in server.requests[0]["messages"][-1]["content"]


async def test_tools_for_a_model_without_tools_are_refused_before_any_call(server: Served):
    plain = INFO.model_copy(update={"features": frozenset({"chat"})})
    with pytest.raises(FeatureMissingError, match="takes no tools"):
        await model(server, plain).complete(request(tools=(ADD,)))
    assert server.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_tokens_are_counted_when_the_server_does_not(server: Served, streamed: bool):
    server.respond(text("one two three four five", usage=None))
    reply, _ = await answers(server, streamed, request())
    assert 3 < reply.usage.prompt_tokens < 30
    assert 3 < reply.usage.completion_tokens < 12
    assert reply.usage.usd > 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (error(429, "slow down", retry_after="7"), RateLimitedError, "slow down"),
        (
            error(429, "You exceeded your current quota", code="insufficient_quota"),
            ModelAuthError,
            "credit",
        ),
        (error(500, "boom"), ModelServerError, "boom"),
        (error(503, "overloaded"), ModelServerError, "overloaded"),
        (error(502, "bad gateway"), ModelServerError, "bad gateway"),
        (error(401, f"Incorrect API key provided: {SECRET}"), ModelAuthError, "Incorrect"),
        (error(403, "not yours"), ModelAuthError, "not yours"),
        (error(404, "no such model"), UnknownModelError, "no such model"),
        (error(400, "odd request"), ModelRequestError, "odd request"),
        (error(422, "odd entity"), ModelRequestError, "odd entity"),
        (
            error(400, "maximum context length is 10 tokens", code="context_length_exceeded"),
            ContextOverflowError,
            "maximum context",
        ),
        (
            error(400, "the request exceeds the available context size, try increasing it"),
            ContextOverflowError,
            "context size",
        ),
        (
            error(400, "flagged by content_policy_violation", code="content_policy_violation"),
            ModelRefusedError,
            "policy",
        ),
    ],
)
async def test_each_failure_of_the_server_has_its_own_error(
    server: Served,
    streamed: bool,
    answer: Answer,
    expected: type[ModelError],
    words: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    server.respond(answer)
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError, match=words) as caught:
        await answers(server, streamed, request())
    assert type(caught.value) is expected
    assert len(server.requests) == 1
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text
    assert capfd.readouterr() == ("", "")


async def test_a_rate_limit_tells_how_long_to_wait(server: Served):
    server.respond(error(429, "slow down", retry_after="7.5"))
    with pytest.raises(RateLimitedError) as caught:
        await model(server).complete(request())
    assert caught.value.retry_after_s == 7.5


async def test_a_stream_that_hangs_ends_as_a_timeout(server: Served):
    server.respond(text("a long answer", hang_after=2))
    pieces: list[str] = []
    with pytest.raises(ModelTimeoutError, match="sent nothing"):
        await model(server, idle_timeout_s=0.2).complete(request(), on_text=pieces.append)
    assert pieces == ["a lo"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_never_answers_ends_as_a_timeout(server: Served, streamed: bool):
    server.respond(text("never", hang_after=0))
    with pytest.raises(ModelTimeoutError):
        await answers(server, streamed, request(timeout_s=0.3))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_connection_closed_midway_is_a_server_error(server: Served, streamed: bool):
    server.respond(text("a long answer", cut_after=2))
    with pytest.raises(ModelServerError):
        await answers(server, streamed, request())


async def test_a_stream_that_just_ends_is_no_whole_answer(server: Served):
    server.respond(text("a long answer", end_after=3))
    with pytest.raises(ModelServerError, match="without a reason"):
        await answers(server, True, request())


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", [OpenAIModel, LiteLLMModel])
async def test_nobody_listening_is_a_server_error(kind: type[Gateway], streamed: bool):
    with Served(kind) as gone:
        pass
    with pytest.raises(ModelServerError):
        await answers(gone, streamed, request())


@pytest.mark.parametrize("body", [b"not json {", b"", b"[]", b'{"choices": []}', b'{"choices": 3}'])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_that_is_no_completion_is_told_as_rubbish(
    server: Served, body: bytes, streamed: bool
):
    server.respond(Answer(body=body))
    with pytest.raises((BadReplyError, ModelServerError)):
        await answers(server, streamed, request())


async def test_a_cancelled_call_ends_at_once_and_leaves_nothing_open(server: Served):
    server.respond(text("a long answer", hang_after=2))
    arrived = asyncio.Event()
    asked = model(server).complete(request(), on_text=lambda piece: arrived.set())
    task = asyncio.create_task(asked)
    async with asyncio.timeout(30):
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_calls_at_the_same_time_do_not_mix(server: Served):
    server.respond(lambda asked: text(asked["messages"][-1]["content"] * 3))
    replies = await asyncio.gather(
        *(answers(server, number % 2 == 0, request(str(number))) for number in range(10, 18))
    )
    assert [reply.message.content for reply, _ in replies] == [str(n) * 3 for n in range(10, 18)]


def test_calls_from_several_event_loops_work(server: Served):
    for _ in range(3):
        reply, _ = asyncio.run(answers(server, True, request()))
        assert reply.message.content == "hello"


async def test_an_empty_answer_comes_back_empty(server: Served):
    server.respond(text(""))
    reply, _ = await answers(server, False, request())
    assert reply.message.content == ""


async def test_arguments_that_are_no_json_are_a_bad_reply(server: Served):
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{a: oops"}}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
    server.respond(Answer(body=json.dumps({"choices": [choice]}).encode()))
    with pytest.raises(BadReplyError, match="'add' are not JSON"):
        await answers(server, False, request(tools=(ADD,)))


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_cut_at_the_limit_says_so(server: Served, streamed: bool):
    server.respond(text("half an ans", finish="length"))
    reply, _ = await answers(server, streamed, request())
    assert reply.finish == "length"


async def test_the_key_reaches_the_server(server: Served):
    await model(server).complete(request())
    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"


async def test_a_key_of_the_environment_is_not_sent_to_another_address(
    server: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    await server.kind(INFO, api_base=server.base_url).complete(request())
    assert server.headers[0]["Authorization"] == "Bearer not-needed"
