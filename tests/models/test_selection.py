from collections.abc import Mapping

import pytest

from models.base import ModelInfo, ModelServerError, UnknownModelError
from models.catalogue import Catalogue
from models.discovery import Found
from models.messages import Message, Request
from models.scripted import SCRIPTED_INFO, ScriptedModel
from models.selection import DEFAULT_MODELS, PROVIDER_KEYS, ModelSelector, ModelWish
from tests.support.openai_server import OpenAIServer

pytestmark = pytest.mark.anyio

EMBEDDED_INFO = SCRIPTED_INFO.model_copy(update={"name": "embedded"})
OLLAMA = Found(server="ollama", base_url="http://127.0.0.1:11434/v1", models=("qwen3:4b", "b"))


def selector(
    environment: Mapping[str, str] | None = None,
    found: tuple[Found, ...] = (),
    catalogue: Catalogue | None = None,
) -> ModelSelector:
    async def find() -> tuple[Found, ...]:
        return found

    return ModelSelector(
        embedded=lambda: ScriptedModel(["hi"], info=EMBEDDED_INFO),
        environment=environment or {},
        catalogue=catalogue or Catalogue(),
        find=find,
    )


KEY = {"ANTHROPIC_API_KEY": "sk-test"}


async def test_a_given_name_comes_before_all_else():
    choice = await selector(KEY, (OLLAMA,)).choose(ModelWish(name="gpt-6-luna", configured="x"))
    assert choice.info.name == "gpt-6-luna"
    assert choice.reason == ("the operator named it; but OPENAI_API_KEY is not in the environment")


async def test_the_configured_name_comes_before_a_local_server():
    choice = await selector(KEY, (OLLAMA,)).choose(ModelWish(configured="claude-haiku-5-5"))
    assert (choice.info.name, choice.reason) == ("claude-haiku-5-5", "strop.toml names it")


async def test_a_local_server_comes_before_a_provider():
    choice = await selector(KEY, (OLLAMA,)).choose(ModelWish())
    assert (choice.info.name, choice.info.model_id) == ("qwen3:4b", "openai/qwen3:4b")
    assert choice.info.local
    assert "local ollama server at http://127.0.0.1:11434/v1 answers" in choice.reason
    assert choice.build().info == choice.info


async def test_a_providers_key_comes_before_the_embedded_model():
    choice = await selector(KEY).choose(ModelWish())
    assert choice.info.name == "claude-sonnet-5-5"
    assert choice.reason == "ANTHROPIC_API_KEY is in the environment"
    assert choice.considered[-1] == "no local server answered"
    assert choice.build().info == choice.info


async def test_with_nothing_else_the_embedded_model_answers_and_says_so():
    choice = await selector({"OPENAI_API_KEY": ""}).choose(ModelWish())
    assert choice.info.name == "embedded"
    assert "not a language model" in choice.reason
    assert choice.considered == (
        "no model was named (auto)",
        "no base URL was given",
        "strop.toml names none",
        "no local server answered",
        "no provider's key is in the environment",
    )
    reply = await choice.build().complete(Request(messages=(Message(role="user", content="x"),)))
    assert reply.message.content == "hi"


@pytest.mark.parametrize("wish", [ModelWish(name="embedded"), ModelWish(configured="embedded")])
async def test_the_embedded_model_can_be_named(wish: ModelWish):
    assert (await selector(KEY, (OLLAMA,)).choose(wish)).info.name == "embedded"


async def test_a_name_that_only_a_local_server_knows_is_taken_from_it():
    choice = await selector({}, (OLLAMA,)).choose(ModelWish(name="qwen3:4b"))
    assert choice.info.model_id == "openai/qwen3:4b"
    assert "ollama server has it" in choice.reason


async def test_a_name_that_nobody_knows_is_refused():
    with pytest.raises(UnknownModelError):
        await selector({}, (OLLAMA,)).choose(ModelWish(name="nonesuch"))


async def test_a_given_address_is_asked_for_its_first_model():
    with OpenAIServer(models=["served", "other"]) as server:
        wish = ModelWish(base_url=server.base_url)
        choice = await selector(KEY, (OLLAMA,)).choose(wish)
    assert choice.info.name == "served"
    assert "first that the given server" in choice.reason


@pytest.mark.parametrize("name", ["served", "openai/served", "unlisted"])
async def test_a_name_at_a_given_address_is_called_there(name: str):
    with OpenAIServer(models=["served"]) as server:
        choice = await selector().choose(ModelWish(name=name, base_url=server.base_url))
    assert choice.info.model_id == f"openai/{name.removeprefix('openai/')}"


async def test_a_card_tells_more_of_a_served_model():
    card = ModelInfo(name="served", model_id="anything", context_tokens=99, usd_per_mtok_in=3.0)
    with OpenAIServer(models=["served"]) as server:
        chosen = selector(catalogue=Catalogue([card]))
        choice = await chosen.choose(ModelWish(name="served", base_url=server.base_url))
    assert choice.info == card.model_copy(update={"model_id": "openai/served"})


async def test_a_given_address_where_nothing_answers_is_an_error():
    with OpenAIServer() as gone:
        url = gone.base_url
    with pytest.raises(ModelServerError, match="STROP_MODEL_BASE_URL"):
        await selector(KEY, (OLLAMA,)).choose(ModelWish(base_url=url))


def test_every_provider_has_a_default_that_the_catalogue_knows():
    catalogue = Catalogue()
    assert set(DEFAULT_MODELS) == set(PROVIDER_KEYS)
    for provider, name in DEFAULT_MODELS.items():
        assert catalogue.get(name).model_id.partition("/")[0] == provider
