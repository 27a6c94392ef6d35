"""The ports of memory.

MemoryStoreError            the store cannot do what was asked
├── EntryNotFoundError      no such entry or version
├── StaleVersionError       someone else changed it first; read it again
└── IndexUnavailableError   the vector index is down, locked or dirty; recall goes on without
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

import memory

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


class VectorBackend(Protocol):
    """A home of vector indexes, one for each collection; several never share vectors."""

    @property
    def burst(self) -> int:
        """How many vectors may be added while someone waits for an answer."""
        ...

    async def start(self) -> int:
        """Open it, or do nothing if it is open; return the place in the outbox it has reached.

        0 means that it is empty and has to be filled from SQL.

        Raises:
            IndexUnavailableError: it is locked by another process or cannot be opened.
        """
        ...

    async def collection(self, name: str, dim: int) -> VectorIndex:
        """Return the index of that name, made when it is missing.

        Raises:
            IndexUnavailableError: it cannot be opened.
        """
        ...

    async def close(self, reached: int) -> None:
        """Release everything, keeping for the next start the place in the outbox reached."""
        ...


BackendFactory = Callable[[Path], VectorBackend]
_F = TypeVar("_F", bound=BackendFactory)
_BACKENDS: dict[str, BackendFactory] = {}


def vector_index(name: str) -> Callable[[_F], _F]:
    """Register a backend under `name`; it is given a folder of its own to keep files in."""

    def register(factory: _F) -> _F:
        if name in _BACKENDS:
            msg = f"two vector indexes are called {name!r}"
            raise ValueError(msg)
        _BACKENDS[name] = factory
        return factory

    return register


def discover() -> dict[str, BackendFactory]:
    """Import every module of this package once and return what they registered."""
    for module in iter_modules(memory.__path__, prefix="memory."):
        import_module(module.name)
    return dict(_BACKENDS)
