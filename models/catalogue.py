"""The models that can be named, and what is known about each before it is asked.

A name is one of: a card here or from the settings; a LiteLLM id `provider/model`; or the
bare name of a model in LiteLLM's price map.
"""

import difflib
from collections.abc import Iterable

from models import price_map
from models.base import Feature, ModelInfo, UnknownModelError

_REMOTE: frozenset[Feature] = frozenset({"chat", "tools", "json_schema", "images"})


def _card(
    provider: str, name: str, context: int, price_in: float, price_out: float, note: str
) -> ModelInfo:
    return ModelInfo(
        name=name,
        model_id=f"{provider}/{name}",
        features=_REMOTE,
        context_tokens=context,
        usd_per_mtok_in=price_in,
        usd_per_mtok_out=price_out,
        note=note,
    )


BUILT_IN = (
    _card("openai", "gpt-6-astra", 922_000, 10.0, 50.0, "OpenAI's strongest; slow and dear."),
    _card("openai", "gpt-6.1-sol", 922_000, 2.0, 10.0, "OpenAI's all-round model."),
    _card("openai", "gpt-6-luna", 922_000, 0.1, 0.5, "OpenAI's small one: cheap, fast."),
    _card("anthropic", "claude-opus-5-5", 1_000_000, 4.0, 20.0, "Anthropic's strong model."),
    _card("anthropic", "claude-sonnet-5-5", 1_000_000, 2.0, 10.0, "Anthropic's all-round model."),
    _card("anthropic", "claude-haiku-5-5", 1_000_000, 0.1, 0.5, "Anthropic's small, fast one."),
    _card("gemini", "gemini-4-argon", 1_048_576, 2.0, 10.0, "Google's strong model."),
    _card("gemini", "gemini-3.8-flash", 1_048_576, 0.75, 3.75, "Google's all-round model."),
    _card("gemini", "gemini-3.5-flash-lite", 1_048_576, 0.3, 2.5, "Google's small, fast one."),
)
"""A sensible handful; everything else is named as `provider/model`."""

_ACCEPTED = (
    "Accepted: a name that `./strop models list` shows, a LiteLLM id such as "
    "'openai/gpt-6-luna' or 'ollama_chat/qwen3:4b', a card in strop.toml, or 'auto'."
)


class Catalogue:
    """Look models up by the name that a user types."""

    def __init__(
        self, extra: Iterable[ModelInfo] = (), *, built_in: Iterable[ModelInfo] = BUILT_IN
    ) -> None:
        self._cards = {card.name: card for card in (*built_in, *extra)}

    @property
    def cards(self) -> tuple[ModelInfo, ...]:
        """Return the cards, built-in ones first; an extra one replaces its namesake."""
        return tuple(self._cards.values())

    def card(self, name: str) -> ModelInfo | None:
        """Return the card of exactly that name, if there is one."""
        return self._cards.get(name)

    def get(self, name: str) -> ModelInfo:
        """Return what is known about the model called `name`.

        Raises:
            UnknownModelError: nothing is known under that name; near names are suggested.
        """
        name = name.strip()
        card = self._cards.get(name) or self._by_id(name) or price_map.look_up(name)
        if card is not None:
            return card
        provider, slash, model = name.partition("/")
        if not (slash and provider and model) or self._looks_mistyped(provider):
            raise UnknownModelError(self._why_unknown(name))
        return _unlisted(name, provider)

    def _by_id(self, name: str) -> ModelInfo | None:
        return next((card for card in self._cards.values() if card.model_id == name), None)

    def _looks_mistyped(self, provider: str) -> bool:
        known = price_map.providers()
        return provider not in known and bool(
            difflib.get_close_matches(provider, known, n=1, cutoff=0.8)
        )

    def _why_unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._cards, n=3, cutoff=0.6)
        near += difflib.get_close_matches(name, price_map.chat_model_names(), n=3, cutoff=0.75)
        provider, slash, model = name.partition("/")
        if slash:
            providers = difflib.get_close_matches(provider, price_map.providers(), n=2, cutoff=0.8)
            near = [f"{known}/{model}" for known in providers] + near
        meant = f" Did you mean {' or '.join(map(repr, dict.fromkeys(near[:4])))}?" if near else ""
        return f"No model is called {name!r}.{meant} {_ACCEPTED}"


def _unlisted(name: str, provider: str) -> ModelInfo:
    local = provider in price_map.LOCAL_PROVIDERS
    money = "It runs locally" if local else "Its price is unknown and counted as 0"
    known = provider in price_map.providers()
    stranger = "" if known else f" Provider {provider!r} is not known here."
    return ModelInfo(
        name=name,
        model_id=name,
        features=frozenset({"chat", "tools"}),
        context_tokens=8192 if local else 32_768,
        local=local,
        note=f"{money}; its limits are guesses. Add a card to strop.toml to state them.{stranger}",
    )
