"""Search by comparing with every vector: never wrong, and quick up to about 100,000."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memory.base import Vector, vector_index
from memory.vectors import Scored, nearest

_FIRST_ROWS = 64


class ExactIndex:
    """A matrix in memory that grows by doubling; deleting moves the last row into the gap."""

    def __init__(self, dim: int) -> None:
        self._rows = np.zeros((_FIRST_ROWS, dim), np.float32)
        self._ids: list[str] = []
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    async def upsert(self, ids: Sequence[str], vectors: Vector) -> None:
        """Add or replace vectors."""
        with self._lock:
            for entry_id, vector in zip(ids, vectors, strict=True):
                place = self._places.get(entry_id)
                if place is None:
                    place = self._append(entry_id)
                self._rows[place] = vector

    async def delete(self, ids: Sequence[str]) -> None:
        """Forget vectors; unknown ids are ignored."""
        with self._lock:
            for entry_id in ids:
                place = self._places.pop(entry_id, None)
                if place is not None:
                    self._fill(place)

    async def query(self, vector: Vector, k: int) -> list[Scored]:
        """Return the `k` nearest ids with their cosine, best first."""
        return await asyncio.to_thread(self._query, vector, k)

    async def count(self) -> int:
        """Return how many vectors are held."""
        return len(self._ids)

    async def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._ids.clear()
            self._places.clear()

    async def close(self) -> None:
        """Do nothing: there are no files and no locks."""

    def _query(self, vector: Vector, k: int) -> list[Scored]:
        with self._lock:
            return nearest(self._ids, self._rows[: len(self._ids)], vector, k)

    def _append(self, entry_id: str) -> int:
        place = len(self._ids)
        if place == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._ids.append(entry_id)
        self._places[entry_id] = place
        return place

    def _fill(self, place: int) -> None:
        last = self._ids.pop()
        if place < len(self._ids):
            self._ids[place] = last
            self._places[last] = place
            self._rows[place] = self._rows[len(self._ids)]


@vector_index("exact")
class ExactBackend:
    """Indexes in this process's memory; each process fills its own from SQL at its start."""

    burst = 1_000_000

    def __init__(self, folder: Path) -> None:
        del folder
        self._indexes: dict[str, ExactIndex] = {}

    async def start(self) -> int:
        """Return 0: nothing outlives the process."""
        return 0

    async def collection(self, name: str, dim: int) -> ExactIndex:
        """Return the index of that name."""
        return self._indexes.setdefault(name, ExactIndex(dim))

    async def close(self, reached: int) -> None:
        """Forget everything."""
        del reached
        self._indexes.clear()
