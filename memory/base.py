"""The ports of memory.

MemoryStoreError            the store cannot do what was asked
├── EntryNotFoundError      no such entry or version
├── StaleVersionError       someone else changed it first; read it again
└── IndexUnavailableError   the vector index is down, locked or dirty; recall goes on without
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class MemoryStoreError(Exception):
    """The store cannot do what was asked."""


class EntryNotFoundError(MemoryStoreError):
    """There is no such entry or version."""


class StaleVersionError(MemoryStoreError):
    """The entry changed since it was read."""


class IndexUnavailableError(MemoryStoreError):
    """The vector index cannot answer; recall goes on without it and says so."""


class Embedder(Protocol):
    """Turns texts into unit vectors of one space."""

    @property
    def space(self) -> str:
        """Name of the vector space: provider, model and revision. Never mixed with another."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vector:
        """Return one unit row for each text."""
        ...


class VectorIndex(Protocol):
    """A cache of vectors that can always be rebuilt from SQL."""

    async def upsert(self, ids: Sequence[str], vectors: Vector) -> None:
        """Add or replace vectors."""
        ...

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget vectors; unknown ids are ignored."""
        ...

    async def query(self, vector: Vector, k: int) -> list[tuple[str, float]]:
        """Return the `k` nearest ids with their cosine, best first.

        Raises:
            IndexUnavailableError: the index cannot answer.
        """
        ...

    async def count(self) -> int:
        """Return how many vectors are held."""
        ...

    async def clear(self) -> None:
        """Forget everything."""
        ...

    async def close(self) -> None:
        """Release files and locks; may be called twice."""
        ...
