"""What LiteLLM alone reaches: other providers' own APIs; `test_gateways.py` has the rest."""

import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest

from models import price_map
from models.base import (
    BadReplyError,
    ModelAuthError,
    ModelInfo,
    ModelServerError,
    RateLimitedError,
    UnknownModelError,
)
from models.catalogue import BUILT_IN, Catalogue
from models.litellm_gateway import LiteLLMModel, close_connections, load_litellm
from models.messages import ToolCall
from tests.support.gateways import ADD, INFO, SECRET, request
from tests.support.openai_server import Answer, OpenAIServer, error

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def litellm() -> Iterator[Any]:
    yield load_litellm()
    # What a leaked socket or coroutine would say, it says here, while warnings are errors.
    gc.collect()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


async def test_connections_that_litellm_keeps_can_be_closed(server: OpenAIServer):
    kept = INFO.model_copy(update={"model_id": "hosted_vllm/m"})
    reply = await LiteLLMModel(kept, api_base=server.base_url).complete(request())
    assert reply.message.content == "hello"
    await close_connections()


async def test_a_missing_key_is_the_operators_matter():
    info = INFO.model_copy(update={"model_id": "anthropic/claude-haiku-5-5"})
    with pytest.raises(ModelAuthError):
        await LiteLLMModel(info).complete(request())


async def test_an_unknown_provider_is_an_unknown_model():
    info = INFO.model_copy(update={"model_id": "fooprov/x"})
    with pytest.raises(UnknownModelError):
        await LiteLLMModel(info).complete(request())


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
