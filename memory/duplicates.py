"""Find the entry that already says what is proposed; called inside the writing transaction."""

from sqlalchemy import Connection, select

from memory.identity import content_hash, may_merge, merge_key
from memory.records import Shortcut, Tip
from memory.rows import load, vector_text
from memory.tables import embeddings, entries
from memory.vectors import FLOAT16_BYTES, nearest, unpack

NEAR_COSINE = 0.92
"""From here on two texts say the same (a judgement for MiniLM, not measured)."""
_NEIGHBOURS = 5


def find_twin(
    connection: Connection,
    body: Tip | Shortcut,
    namespace: str,
    *,
    vector: bytes | None,
    space: str | None,
) -> str | None:
    """Return the id of the entry with the same content, or the nearest one that is near enough."""
    exact = connection.execute(
        select(entries.c.id).where(
            entries.c.namespace == namespace,
            entries.c.kind == body.kind,
            entries.c.content_hash == content_hash(body),
        )
    ).scalar_one_or_none()
    if exact is not None or vector is None or space is None:
        return exact
    return _find_near(connection, body, namespace, vector=vector, space=space)


def _find_near(
    connection: Connection, body: Tip | Shortcut, namespace: str, *, vector: bytes, space: str
) -> str | None:
    rows = connection.execute(
        select(entries.c.id, embeddings.c.vector)
        .join(
            embeddings,
            (embeddings.c.entry_id == entries.c.id)
            & (embeddings.c.version == entries.c.head_version),
        )
        .where(
            entries.c.namespace == namespace,
            entries.c.merge_key == merge_key(body),
            embeddings.c.space == space,
            embeddings.c.vector.is_not(None),
        )
    ).all()
    dim = len(vector) // FLOAT16_BYTES
    [query] = unpack([vector], dim)
    matrix = unpack([row[1] for row in rows], dim)
    for entry_id, cosine in nearest([row[0] for row in rows], matrix, query, _NEIGHBOURS):
        if cosine < NEAR_COSINE:
            break
        if may_merge(load(connection, entry_id).text, vector_text(body)):
            return entry_id
    return None


def name_is_taken(connection: Connection, body: Tip | Shortcut, namespace: str) -> bool:
    """Return whether a Shortcut of this name is there."""
    if isinstance(body, Tip):
        return False
    same = select(entries.c.id).where(entries.c.namespace == namespace, entries.c.name == body.name)
    return connection.execute(same).first() is not None
