import pytest

from models.base import ModelInfo, UnknownModelError
from models.catalogue import BUILT_IN, Catalogue


def test_every_card_is_found_by_its_name_and_by_its_id():
    catalogue = Catalogue()
    for card in BUILT_IN:
        assert catalogue.get(card.name) == card
        assert catalogue.get(card.model_id) == card
    assert catalogue.cards == BUILT_IN


def test_a_card_of_the_settings_replaces_its_namesake():
    mine = ModelInfo(name="gpt-6-luna", model_id="openai/x", usd_per_mtok_in=9.0)
    other = ModelInfo(name="house", model_id="openai/house")
    catalogue = Catalogue([mine, other])
    assert catalogue.get("gpt-6-luna") == mine
    assert catalogue.get("house") == other
    assert len(catalogue.cards) == len(BUILT_IN) + 1


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("gpt-4.1-mini", "openai/gpt-4.1-mini"),
        ("claude-opus-4-6", "anthropic/claude-opus-4-6"),
        ("gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
    ],
)
def test_models_of_the_price_map_have_prices_without_loading_litellm(name: str, model_id: str):
    info = Catalogue().get(name)
    assert info.model_id == model_id
    assert info.usd_per_mtok_out > info.usd_per_mtok_in > 0
    assert info.context_tokens > 100_000
    assert "tools" in info.features


def test_an_id_nobody_prices_is_accepted_with_a_note():
    remote = Catalogue().get("openrouter/some/new-model")
    assert (remote.usd_per_mtok_in, remote.local) == (0.0, False)
    assert "price is unknown" in remote.note
    local = Catalogue().get("ollama_chat/qwen3:4b")
    assert local.local
    assert "locally" in local.note


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("claude-sonet-5-5", "'claude-sonnet-5-5'"),
        ("opnai/gpt-6-luna", "'openai/gpt-6-luna'"),
        ("GPT-6-LUNA", "Accepted"),
        ("gpt-4.1-minni", "'gpt-4.1-mini'"),
        ("", "Accepted: a name that `./strop models list` shows"),
        ("openai/", "Accepted"),
        ("/x", "Accepted"),
        ("\x00", "Accepted"),
        ("no idea", "'openai/gpt-6-luna' or 'ollama_chat/qwen3:4b'"),
    ],
)
def test_an_unknown_name_is_told_with_near_ones_and_the_forms(name: str, suggested: str):
    with pytest.raises(UnknownModelError) as caught:
        Catalogue().get(name)
    assert suggested in str(caught.value)
