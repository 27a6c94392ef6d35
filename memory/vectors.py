"""Keep vectors in SQL rows and compare them exactly."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, select

from memory.base import Vector
from memory.tables import embeddings, entries

RECALLABLE = ("trial", "active")
FLOAT16_BYTES = 2
Scored = tuple[str, float]


def pack(vector: Vector) -> bytes:
    """Return the vector as little-endian float16: half the room, the same ranking."""
    return vector.astype("<f2").tobytes()


def unpack(blobs: Sequence[bytes], dim: int) -> Vector:
    """Return the vectors as rows."""
    return np.frombuffer(b"".join(blobs), "<f2").astype(np.float32).reshape(len(blobs), dim)


def nearest(ids: Sequence[str], rows: Vector, vector: Vector, k: int) -> list[Scored]:
    """Return the `k` ids with the greatest cosine, best first, equal ones in order of id."""
    if not ids or k < 1:
        return []
    cosines: npt.NDArray[np.float32] = rows @ vector
    order: npt.NDArray[np.intp] = np.argsort(-cosines) if len(ids) <= k else _top(cosines, k)
    scored = [(ids[int(position)], float(cosines[position])) for position in order]
    return sorted(scored, key=lambda item: (-item[1], item[0]))


def _top(cosines: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.intp]:
    return np.argpartition(-cosines, k - 1)[:k]


def scan(
    connection: Connection, *, namespace: str, kind: str, space: str, vector: Vector, k: int
) -> list[Scored]:
    """Do what an index does, from the rows themselves: slower, never wrong."""
    found = connection.execute(
        select(entries.c.id, embeddings.c.vector)
        .join(embeddings, embeddings.c.entry_id == entries.c.id)
        .where(
            entries.c.namespace == namespace,
            entries.c.kind == kind,
            entries.c.status.in_(RECALLABLE),
            embeddings.c.version == entries.c.head_version,
            embeddings.c.space == space,
            embeddings.c.vector.is_not(None),
        )
    ).all()
    ids: list[str] = [row[0] for row in found]
    return nearest(ids, unpack([row[1] for row in found], len(vector)), vector, k)
