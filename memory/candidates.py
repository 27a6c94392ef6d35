"""Collect the candidates of one kind, each looked up in SQL: an index only suggests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy import Connection, and_, or_, select

from memory.base import Vector
from memory.lexical import search_lexical
from memory.records import Entry, Kind, RecallQuery
from memory.rows import load_entries
from memory.tables import embeddings, entries
from memory.vectors import FLOAT16_BYTES, RECALLABLE, unpack

POOL = 50
"""Candidates that each search may name."""


@dataclass(frozen=True)
class Pool:
    """The candidates of one kind, as SQL has them now."""

    entries: Mapping[str, Entry]
    vectors: Mapping[str, Vector]
    """Of those that have one in the space asked for."""
    lexical: Mapping[str, float]
    """BM25 of those that share a word with the query."""


def gather(
    connection: Connection,
    query: RecallQuery,
    kind: Kind,
    near: Sequence[str],
    *,
    space: str | None,
) -> Pool:
    """Unite what is near, what shares words and what is about the files and tools at hand."""
    lexical = dict(
        search_lexical(connection, query.text, namespace=query.namespace, kind=kind, k=POOL)
    )
    ids = list(dict.fromkeys([*near, *lexical, *_in_scope(connection, query, kind)]))
    loaded = load_entries(connection, ids)
    allowed = {
        entry_id: loaded[entry_id]
        for entry_id in ids
        if entry_id in loaded and _is_allowed(loaded[entry_id], query, kind)
    }
    vectors = {} if space is None else _vectors(connection, list(allowed), space)
    return Pool(allowed, vectors, {key: lexical[key] for key in lexical if key in allowed})


def file_names(query: RecallQuery) -> set[str]:
    """Return the names of the files at hand, with and without their folders."""
    return {PurePath(file).name for file in query.files} | set(query.files)


def file_patterns(query: RecallQuery) -> set[str]:
    """Return `*.csv` and the like for the files at hand."""
    return {f"*{suffix}" for file in query.files if (suffix := PurePath(file).suffix)}


def _vectors(connection: Connection, ids: Sequence[str], space: str) -> dict[str, Vector]:
    rows = connection.execute(
        select(embeddings.c.entry_id, embeddings.c.vector)
        .join(entries, entries.c.id == embeddings.c.entry_id)
        .where(
            entries.c.id.in_(ids),
            embeddings.c.version == entries.c.head_version,
            embeddings.c.space == space,
            embeddings.c.vector.is_not(None),
        )
    ).all()
    return {row[0]: unpack([row[1]], len(row[1]) // FLOAT16_BYTES)[0] for row in rows}


def _in_scope(connection: Connection, query: RecallQuery, kind: Kind) -> list[str]:
    """Return the entries about the files and tools at hand, newest first."""
    keys = sorted(file_names(query) | file_patterns(query))
    about = or_(
        and_(entries.c.scope_level == "file", entries.c.scope_key.in_(keys)),
        and_(entries.c.scope_level == "tool", entries.c.scope_key.in_(query.tools)),
    )
    found = connection.execute(
        select(entries.c.id)
        .where(
            entries.c.namespace == query.namespace,
            entries.c.kind == kind,
            entries.c.status.in_(RECALLABLE),
            about,
        )
        .order_by(entries.c.id.desc())
        .limit(POOL)
    )
    return [row[0] for row in found]


def _is_allowed(entry: Entry, query: RecallQuery, kind: Kind) -> bool:
    return entry.namespace == query.namespace and entry.kind == kind and entry.status in RECALLABLE
