"""What LiteLLM knows about models, read as data: importing LiteLLM itself takes seconds.

The wheel of LiteLLM carries its price map as a JSON file beside its code.
"""

import importlib.util
import json
import re
from collections.abc import Set
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from models.base import Feature, ModelInfo

_FILE = "model_prices_and_context_window_backup.json"
_MORE_PROVIDERS = frozenset(
    (
        "azure_ai",
        "bedrock",
        "custom_openai",
        "datarobot",
        "huggingface",
        "infinity",
        "litellm_proxy",
        "nvidia_nim",
        "openai_like",
        "openrouter",
        "predibase",
        "triton",
        "vertex_ai",
        "vertex_ai_beta",
    )
)
"""Providers that the map prices under other names, or not at all."""
_CHAT_MODES = ("chat", "responses")
_FEATURES: dict[str, Feature] = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "images",
    "supports_assistant_prefill": "prefix_continuation",
}
LOCAL_PROVIDERS = frozenset(
    (
        "docker_model_runner",
        "hosted_vllm",
        "lemonade",
        "llamafile",
        "lm_studio",
        "ollama",
        "ollama_chat",
        "oobabooga",
        "vllm",
        "xinference",
    )
)
"""Providers whose models run on the operator's own machines and cost no money."""


@lru_cache(maxsize=1)
def _entries() -> dict[str, dict[str, Any]]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name(_FILE)
    if not path.is_file():
        return {}
    entries: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
    return {
        name: entry
        for name, entry in entries.items()
        if entry.get("mode") in _CHAT_MODES and name != "sample_spec"
    }


def chat_model_names() -> tuple[str, ...]:
    """Return every chat model of the map."""
    return tuple(_entries())


@lru_cache(maxsize=1)
def providers() -> Set[str]:
    """Return the provider names that a LiteLLM model id may begin with."""
    named = {str(entry.get("litellm_provider", "")) for entry in _entries().values()}
    prefixes = {name.split("/", 1)[0] for name in _entries() if "/" in name}
    return (named | prefixes | LOCAL_PROVIDERS | _MORE_PROVIDERS) - {""}


def look_up(name: str) -> ModelInfo | None:
    """Return what the map says about a model, by bare name or `provider/name`."""
    provider, slash, bare = name.partition("/")
    if not slash:
        # Google's models stand bare under Vertex AI; the plain API key is the usual way in.
        return look_up(f"gemini/{name}") or _described(name, _entries().get(name))
    if name in _entries():
        return _described(name, _entries()[name])
    entry = _entries().get(bare)
    same = entry is not None and entry.get("litellm_provider") == provider
    return _described(name, entry) if same else None


def _described(name: str, entry: dict[str, Any] | None) -> ModelInfo | None:
    if entry is None:
        return None
    # The map names some providers by family, as in `vertex_ai-language-models`.
    provider = re.sub(r"^(vertex_ai)-.*|_converse$", r"\1", str(entry.get("litellm_provider", "")))
    prefixed = "/" in name and name.split("/", 1)[0] in providers()
    return ModelInfo(
        name=name,
        model_id=name if prefixed else f"{provider}/{name}",
        features=features_of(entry),
        context_tokens=_whole(entry.get("max_input_tokens") or entry.get("max_tokens")),
        usd_per_mtok_in=_per_million(entry.get("input_cost_per_token")),
        usd_per_mtok_out=_per_million(entry.get("output_cost_per_token")),
        local=provider in LOCAL_PROVIDERS,
        note="Price and limits from LiteLLM's price map.",
    )


def features_of(entry: dict[str, Any]) -> frozenset[Feature]:
    """Return the features that an entry of the map declares."""
    found: list[Feature] = [feature for field, feature in _FEATURES.items() if entry.get(field)]
    return frozenset[Feature](["chat", *found])


def _per_million(price: object) -> float:
    return round(1e6 * cast("float", price), 6) if isinstance(price, int | float) else 0.0


def _whole(tokens: object) -> int:
    return tokens if isinstance(tokens, int) else ModelInfo.model_fields["context_tokens"].default
