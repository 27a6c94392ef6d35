"""The gateway against a real server on loopback; one file, because LiteLLM is slow to load."""

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from models import price_map
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
from models.catalogue import BUILT_IN, Catalogue
from models.litellm_gateway import LiteLLMModel, close_connections, load_litellm
from models.messages import Message, OutputSchema, Reply, Request, ToolCall, ToolSchema
from tests.support.openai_server import Answer, OpenAIServer, error, text

pytestmark = pytest.mark.anyio

SECRET = "sk-verysecret-123456"  # noqa: S105 - opens nothing
INFO = ModelInfo(
    name="local",
    model_id="openai/m",
    features=frozenset({"chat", "tools", "json_schema"}),
    usd_per_mtok_in=2.0,
    usd_per_mtok_out=10.0,
)
ADD = ToolSchema(
    name="add",
    description="Add two numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
)


@pytest.fixture(scope="module", autouse=True)
def litellm() -> Iterator[Any]:
    yield load_litellm()
    # What a leaked socket or coroutine would say, it says here, while warnings are errors.
    gc.collect()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def model(server: OpenAIServer, info: ModelInfo = INFO, **options: Any) -> LiteLLMModel:
    return LiteLLMModel(info, api_base=server.base_url, api_key=SECRET, **options)


def request(content: str = "Say hello.", **options: Any) -> Request:
    return Request(messages=(Message(role="user", content=content),), **options)


async def answers(server: OpenAIServer, streamed: bool, asked: Request) -> tuple[Reply, list[str]]:
    pieces: list[str] = []
    reply = await model(server).complete(asked, on_text=pieces.append if streamed else None)
    return reply, pieces


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_plain_answer_comes_with_usage_and_cost(server: OpenAIServer, streamed: bool):
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
async def test_tool_calls_arrive_whole(server: OpenAIServer, streamed: bool):
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


async def test_a_conversation_with_tools_is_sent_as_the_api_wants_it(server: OpenAIServer):
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


async def test_torn_text_of_tools_and_models_does_not_stop_the_next_call(server: OpenAIServer):
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


async def test_a_wanted_structure_is_sent_as_a_json_schema(server: OpenAIServer):
    output = OutputSchema(name="Plan", schema_={"type": "object"})
    await model(server).complete(request(output=output))
    assert server.requests[0]["response_format"]["json_schema"]["name"] == "Plan"


async def test_a_model_without_json_schema_is_asked_in_words(server: OpenAIServer):
    plain = INFO.model_copy(update={"features": frozenset({"chat"})})
    output = OutputSchema(name="Plan", schema_={"type": "object", "title": "Plan"})
    await model(server, plain).complete(request(output=output))
    assert "response_format" not in server.requests[0]
    assert '"title": "Plan"' in server.requests[0]["messages"][-1]["content"]


async def test_tools_for_a_model_without_tools_are_refused_before_any_call(server: OpenAIServer):
    plain = INFO.model_copy(update={"features": frozenset({"chat"})})
    with pytest.raises(FeatureMissingError, match="takes no tools"):
        await model(server, plain).complete(request(tools=(ADD,)))
    assert server.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_tokens_are_counted_when_the_server_does_not(server: OpenAIServer, streamed: bool):
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
    server: OpenAIServer,
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


async def test_a_rate_limit_tells_how_long_to_wait(server: OpenAIServer):
    server.respond(error(429, "slow down", retry_after="7.5"))
    with pytest.raises(RateLimitedError) as caught:
        await model(server).complete(request())
    assert caught.value.retry_after_s == 7.5


async def test_a_stream_that_hangs_ends_as_a_timeout(server: OpenAIServer):
    server.respond(text("a long answer", hang_after=2))
    pieces: list[str] = []
    with pytest.raises(ModelTimeoutError, match="sent nothing"):
        await model(server, idle_timeout_s=0.2).complete(request(), on_text=pieces.append)
    assert pieces == ["a lo"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_never_answers_ends_as_a_timeout(server: OpenAIServer, streamed: bool):
    server.respond(text("never", hang_after=0))
    with pytest.raises(ModelTimeoutError):
        await answers(server, streamed, request(timeout_s=0.3))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_connection_closed_midway_is_a_server_error(server: OpenAIServer, streamed: bool):
    server.respond(text("a long answer", cut_after=2))
    with pytest.raises(ModelServerError):
        await answers(server, streamed, request())


async def test_a_stream_that_just_ends_is_no_whole_answer(server: OpenAIServer):
    server.respond(text("a long answer", end_after=3))
    with pytest.raises(ModelServerError, match="without a reason"):
        await answers(server, True, request())


@pytest.mark.parametrize("streamed", [False, True])
async def test_nobody_listening_is_a_server_error(streamed: bool):
    with OpenAIServer() as gone:
        pass
    with pytest.raises(ModelServerError):
        await answers(gone, streamed, request())


@pytest.mark.parametrize("body", [b"not json {", b"", b"[]", b'{"choices": []}', b'{"choices": 3}'])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_body_that_is_no_completion_is_told_as_rubbish(
    server: OpenAIServer, body: bytes, streamed: bool
):
    server.respond(Answer(body=body))
    with pytest.raises((BadReplyError, ModelServerError)):
        await answers(server, streamed, request())


async def test_a_cancelled_call_ends_at_once_and_leaves_nothing_open(server: OpenAIServer):
    server.respond(text("a long answer", hang_after=2))
    arrived = asyncio.Event()
    asked = model(server).complete(request(), on_text=lambda piece: arrived.set())
    task = asyncio.create_task(asked)
    async with asyncio.timeout(30):
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_calls_at_the_same_time_do_not_mix(server: OpenAIServer):
    server.respond(lambda asked: text(asked["messages"][-1]["content"] * 3))
    replies = await asyncio.gather(
        *(answers(server, number % 2 == 0, request(str(number))) for number in range(10, 18))
    )
    assert [reply.message.content for reply, _ in replies] == [str(n) * 3 for n in range(10, 18)]


async def test_connections_that_litellm_keeps_can_be_closed(server: OpenAIServer):
    kept = INFO.model_copy(update={"model_id": "hosted_vllm/m"})
    reply = await model(server, kept).complete(request())
    assert reply.message.content == "hello"
    await close_connections()


def test_calls_from_several_event_loops_work(server: OpenAIServer):
    for _ in range(3):
        reply, _ = asyncio.run(answers(server, True, request()))
        assert reply.message.content == "hello"


async def test_an_empty_answer_comes_back_empty(server: OpenAIServer):
    server.respond(text(""))
    reply, _ = await answers(server, False, request())
    assert reply.message.content == ""


async def test_arguments_that_are_no_json_are_a_bad_reply(server: OpenAIServer):
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{a: oops"}}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
    server.respond(Answer(body=json.dumps({"choices": [choice]}).encode()))
    with pytest.raises(BadReplyError, match="'add' are not JSON"):
        await answers(server, False, request(tools=(ADD,)))


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_cut_at_the_limit_says_so(server: OpenAIServer, streamed: bool):
    server.respond(text("half an ans", finish="length"))
    reply, _ = await answers(server, streamed, request())
    assert reply.finish == "length"


async def test_a_missing_key_is_the_operators_matter():
    info = INFO.model_copy(update={"model_id": "anthropic/claude-haiku-5-5"})
    with pytest.raises(ModelAuthError):
        await LiteLLMModel(info).complete(request())


async def test_an_unknown_provider_is_an_unknown_model():
    info = INFO.model_copy(update={"model_id": "fooprov/x"})
    with pytest.raises(UnknownModelError):
        await LiteLLMModel(info).complete(request())


async def test_the_key_reaches_the_server(server: OpenAIServer):
    await model(server).complete(request())
    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"


ANTHROPIC = INFO.model_copy(update={"model_id": "anthropic/claude-haiku-5-5"})
GEMINI = INFO.model_copy(update={"model_id": "gemini/gemini-3.8-flash"})


async def test_anthropics_own_api_is_spoken(server: OpenAIServer):
    content = [
        {"type": "text", "text": "Adding."},
        {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1, "b": 2}},
    ]
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": content,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 12, "output_tokens": 5},
    }
    server.respond(Answer(body=json.dumps(body).encode()))
    reply = await elsewhere(server, ANTHROPIC).complete(request(tools=(ADD,)))
    assert reply.message.content == "Adding."
    assert reply.message.tool_calls == (ToolCall(id="t1", name="add", arguments={"a": 1, "b": 2}),)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (12, 5)
    assert server.requests[0]["tools"][0]["name"] == "add"


async def test_geminis_own_api_is_spoken(server: OpenAIServer):
    parts = [{"text": "Hello."}]
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 3,
            "totalTokenCount": 12,
        },
    }
    server.respond(Answer(body=json.dumps(body).encode()))
    reply = await elsewhere(server, GEMINI).complete(request())
    assert (reply.message.content, reply.finish) == ("Hello.", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (9, 3)


async def test_anthropics_stream_is_read(server: OpenAIServer):
    block: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku-5-5",
                "content": [],
                "usage": {"input_tokens": 12, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Adding."},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"a": 1, '},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '"b": 2}'},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 5},
        },
        {"type": "message_stop"},
    ]
    lines = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    server.respond(Answer(body=lines.encode()))
    pieces: list[str] = []
    asked = request(tools=(ADD,))
    reply = await elsewhere(server, ANTHROPIC).complete(asked, on_text=pieces.append)
    assert "".join(pieces) == reply.message.content == "Adding."
    assert reply.message.tool_calls == (ToolCall(id="t1", name="add", arguments={"a": 1, "b": 2}),)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (12, 5)


async def test_geminis_stream_is_read(server: OpenAIServer):
    def piece(text: str, **more: Any) -> str:
        content = {"role": "model", "parts": [{"text": text}]}
        counts = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}
        body = {"candidates": [{"content": content, **more}], "usageMetadata": counts}
        return f"data: {json.dumps(body)}\n\n"

    server.respond(Answer(body=(piece("Hel") + piece("lo.", finishReason="STOP")).encode()))
    pieces: list[str] = []
    reply = await elsewhere(server, GEMINI).complete(request(), on_text=pieces.append)
    assert (pieces, reply.message.content) == (["Hel", "lo."], "Hello.")
    assert (reply.finish, reply.usage.completion_tokens) == ("stop", 3)


@pytest.mark.parametrize("info", [ANTHROPIC, GEMINI])
@pytest.mark.parametrize("streamed", [False, True])
async def test_failures_of_other_apis_have_the_same_errors(
    server: OpenAIServer, info: ModelInfo, streamed: bool
):
    server.respond(error(429, "slow down", retry_after="3"))
    with pytest.raises(RateLimitedError) as caught:
        await elsewhere(server, info).complete(request(), on_text=print if streamed else None)
    assert caught.value.retry_after_s == 3.0
    assert len(server.requests) == 1


@pytest.mark.parametrize("info", [ANTHROPIC, GEMINI])
async def test_a_stream_of_another_api_that_breaks_is_no_whole_answer(
    server: OpenAIServer, info: ModelInfo
):
    server.respond(Answer(body=b"event: nonsense\n\n"))
    with pytest.raises((ModelServerError, BadReplyError)):
        await elsewhere(server, info).complete(request(), on_text=print)


def elsewhere(server: OpenAIServer, info: ModelInfo) -> LiteLLMModel:
    return LiteLLMModel(info, api_base=f"http://127.0.0.1:{server.port}", api_key=SECRET)


async def test_a_key_of_the_environment_is_not_sent_to_another_address(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    await LiteLLMModel(INFO, api_base=server.base_url).complete(request())
    assert server.headers[0]["Authorization"] == "Bearer not-needed"


def test_built_in_cards_agree_with_the_price_map():
    for card in BUILT_IN:
        mapped = price_map.look_up(card.model_id)
        assert mapped is not None, card.name
        priced = (card.context_tokens, card.usd_per_mtok_in, card.usd_per_mtok_out)
        assert priced == (mapped.context_tokens, mapped.usd_per_mtok_in, mapped.usd_per_mtok_out)
        assert card.features <= mapped.features


def test_no_provider_of_litellm_is_taken_for_a_slip_of_the_pen(litellm: Any):
    catalogue = Catalogue()
    for provider in litellm.provider_list:
        name = f"{getattr(provider, 'value', provider)}/some-model"
        assert catalogue.get(name).model_id == name
