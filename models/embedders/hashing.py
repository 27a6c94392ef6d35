"""Embed by hashing words: for tests, where no model may be needed.

As the dense half of a search it is worse than nothing (it lowers BM25 alone), so nothing
chooses it by itself.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """Deterministic unit vectors: texts that share words are near one another."""

    def __init__(self, dim: int = 256) -> None:
        self._dim = dim

    @property
    def space(self) -> str:
        """Name of the vector space."""
        return f"hashing@{self._dim}"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._dim

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one unit row for each text."""
        rows = np.zeros((len(texts), self._dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in _WORD.findall(text.lower()) or [""]:
                digest = hashlib.sha256(word.encode()).digest()
                row[int.from_bytes(digest[:4], "little") % self._dim] += 1 if digest[4] & 1 else -1
            # Two words may cancel out; a vector of length 0 has no direction.
            if not row.any():
                row[0] = 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
