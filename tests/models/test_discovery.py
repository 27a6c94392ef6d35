from collections.abc import Iterator

import pytest

from models.discovery import Found, LocalServer, discover, discover_at
from tests.support.openai_server import OpenAIServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(models=["nomic-embed-text", "qwen3:4b", "llama3.2"]) as running:
        yield running


@pytest.fixture
def closed_port() -> int:
    with OpenAIServer() as gone:
        return gone.port


async def test_servers_that_answer_are_found_with_their_models(
    server: OpenAIServer, closed_port: int
):
    servers = (
        LocalServer(name="vllm", port=closed_port),
        LocalServer(name="ollama", port=server.port),
    )
    found = await discover(servers, timeout_s=5.0)
    expected = Found(server="ollama", base_url=server.base_url, models=("qwen3:4b", "llama3.2"))
    assert found == (expected,)


async def test_an_old_ollama_is_asked_for_its_tags(server: OpenAIServer):
    server.lists_models = False
    port = server.port
    found = await discover([LocalServer(name="ollama", port=port)], timeout_s=5.0)
    assert found[0].models == ("qwen3:4b", "llama3.2")
    assert await discover([LocalServer(name="vllm", port=port)], timeout_s=5.0) == ()


async def test_a_server_without_models_is_no_find():
    with OpenAIServer(models=[]) as empty:
        assert await discover([LocalServer(name="vllm", port=empty.port)], timeout_s=5.0) == ()


async def test_our_own_server_is_never_found(server: OpenAIServer):
    server.owned_by = "strop"
    assert await discover([LocalServer(name="vllm", port=server.port)], timeout_s=5.0) == ()


async def test_a_given_address_is_asked(server: OpenAIServer, closed_port: int):
    found = await discover_at(server.base_url + "/")
    assert found is not None
    assert (found.server, found.base_url) == ("custom", server.base_url)
    assert await discover_at(f"http://127.0.0.1:{closed_port}/v1") is None
    assert await discover_at("not an address") is None
    assert await discover_at(server.base_url.removesuffix("/v1")) is None
