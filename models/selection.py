"""Decide which model a process uses, and say why.

Order: a name that the operator gave; a base URL that the operator gave; what `strop.toml`
names; a local server that answers; a provider whose key is in the environment; the embedded
model.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from models.base import Feature, Model, ModelInfo, ModelServerError, UnknownModelError
from models.catalogue import Catalogue
from models.discovery import Found, discover, discover_at
from models.litellm_gateway import LiteLLMModel
from models.messages import Frozen
from models.openai_gateway import OpenAIModel

AUTO = "auto"
EMBEDDED = "embedded"

PROVIDER_KEYS: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
}
"""Environment variables that hold a provider's key, in the order of preference."""

DEFAULT_MODELS = {
    "openai": "gpt-6.1-sol",
    "anthropic": "claude-sonnet-5-5",
    "gemini": "gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3.5",
    "deepseek": "deepseek/deepseek-v4-flash",
    "groq": "groq/openai/gpt-oss-120b",
    "xai": "xai/grok-code-fast-1",
    "openrouter": "openrouter/auto",
}
"""What `auto` takes of a provider: its all-round model, not its dearest."""

_SERVED_FEATURES: frozenset[Feature] = frozenset({"chat", "tools", "json_schema"})
_SERVED_CONTEXT = 8192
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1", "host.docker.internal")


class ModelWish(Frozen):
    """What the operator said about the model."""

    name: str = AUTO
    """`STROP_MODEL`: `auto`, `embedded`, a name of the catalogue, or a LiteLLM id."""
    base_url: str | None = None
    """`STROP_MODEL_BASE_URL`: an OpenAI-compatible server."""
    api_key: str | None = None
    """`STROP_MODEL_API_KEY`."""
    configured: str | None = None
    """What `strop.toml` names; consulted under `auto`."""


@dataclass(frozen=True)
class Choice:
    """The model taken, and the way there."""

    info: ModelInfo
    build: Callable[[], Model]
    reason: str
    considered: tuple[str, ...]
    """What was looked at before, each with why it was passed over."""


@dataclass(frozen=True)
class ModelSelector:
    """Choose a model from what is wished and what is there."""

    embedded: Callable[[], Model]
    environment: Mapping[str, str]
    """The process's environment; only keys of providers are read from it."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    find: Callable[[], Awaitable[tuple[Found, ...]]] = discover

    async def choose(self, wish: ModelWish) -> Choice:
        """Return the first model, in the order of this module, that is there.

        Raises:
            UnknownModelError: the operator named a model that nobody knows.
            ModelServerError: the operator gave a base URL and nothing answers there.
        """
        if wish.name == EMBEDDED:
            return Choice(self.embedded().info, self.embedded, "the operator named it", ())
        if wish.base_url:
            return await self._at_base_url(wish, wish.base_url)
        if wish.name != AUTO:
            return await self._named(wish.name, wish, "the operator named it")
        considered = ["no model was named (auto)", "no base URL was given"]
        if wish.configured and wish.configured != AUTO:
            reason = "strop.toml names it"
            return await self._named(wish.configured, wish, reason, considered)
        considered.append("strop.toml names none")
        found = await self.find()
        if found:
            first = found[0]
            reason = f"the local {first.server} server at {first.base_url} answers, with it first"
            return self._served(first, first.models[0], wish, reason, considered)
        considered.append("no local server answered")
        return self._of_a_provider(considered) or self._embedded(considered)

    async def _at_base_url(self, wish: ModelWish, url: str) -> Choice:
        found = await discover_at(url, api_key=wish.api_key)
        name = wish.name if wish.name != AUTO else (wish.configured or AUTO)
        if name != AUTO:
            served = found or Found(server="custom", base_url=url.rstrip("/"), models=())
            silent = "" if found else "; it does not list its models"
            reason = f"the operator named it at {served.base_url}{silent}"
            return self._served(served, name, wish, reason, [])
        if found is None or not found.models:
            message = (
                f"No model answers at {url!r} (GET {url.rstrip('/')}/models). Start the server, "
                "mend STROP_MODEL_BASE_URL (it usually ends in '/v1'), or name a model."
            )
            raise ModelServerError(message)
        reason = f"it is the first that the given server {found.base_url} lists"
        return self._served(found, found.models[0], wish, reason, ["no model was named (auto)"])

    async def _named(
        self, name: str, wish: ModelWish, reason: str, considered: Sequence[str] = ()
    ) -> Choice:
        if name == EMBEDDED:
            return Choice(self.embedded().info, self.embedded, reason, tuple(considered))
        try:
            info = self.catalogue.get(name)
        except UnknownModelError:
            for found in await self.find():
                if name in found.models:
                    reason = f"{reason}; the local {found.server} server has it"
                    return self._served(found, name, wish, reason, considered)
            raise
        variable, key = self._key_of(info)
        if wish.api_key is None and key is None and variable:
            reason = f"{reason}; but {variable} is not in the environment"
        return Choice(info, _gateway(info, wish.api_key or key), reason, tuple(considered))

    def _of_a_provider(self, considered: list[str]) -> Choice | None:
        for provider, variables in PROVIDER_KEYS.items():
            for variable in variables:
                key = self.environment.get(variable)
                if key:
                    info = self.catalogue.get(DEFAULT_MODELS[provider])
                    reason = f"{variable} is in the environment"
                    return Choice(info, _gateway(info, key), reason, tuple(considered))
        considered.append("no provider's key is in the environment")
        return None

    def _embedded(self, considered: list[str]) -> Choice:
        reason = (
            "nothing else is there; it is a small program, not a language model: start a local "
            "server or set a provider's key to connect one"
        )
        return Choice(self.embedded().info, self.embedded, reason, tuple(considered))

    def _key_of(self, info: ModelInfo) -> tuple[str, str | None]:
        """Return the variable that would hold the key of the model's provider, and the key."""
        variables = PROVIDER_KEYS.get(info.model_id.partition("/")[0], ())
        held = (self.environment.get(variable) for variable in variables)
        return (variables[0] if variables else ""), next((key for key in held if key), None)

    def _served(
        self, found: Found, name: str, wish: ModelWish, reason: str, considered: Sequence[str]
    ) -> Choice:
        if name not in found.models:
            name = name.removeprefix("openai/")
        card = self.catalogue.card(name) or _assumed(found, name)
        info = card.model_copy(update={"model_id": f"openai/{name}"})
        build = _gateway(info, wish.api_key, found.base_url)
        return Choice(info, build, reason, tuple(considered))


def _assumed(found: Found, name: str) -> ModelInfo:
    local = urlsplit(found.base_url).hostname in _THIS_MACHINE
    money = "" if local else " Its price is unknown and counted as 0."
    return ModelInfo(
        name=name,
        model_id=name,
        features=_SERVED_FEATURES,
        context_tokens=found.context_tokens or _SERVED_CONTEXT,
        local=local,
        note=f"Served by {found.server} at {found.base_url}; features assumed, not probed.{money}",
    )


def _gateway(
    info: ModelInfo, api_key: str | None, api_base: str | None = None
) -> Callable[[], Model]:
    """Return what asks a provider through LiteLLM, or a server at an address directly."""
    if api_base is not None:
        return lambda: OpenAIModel(info, api_base=api_base, api_key=api_key)
    return lambda: LiteLLMModel(info, api_key=api_key)
