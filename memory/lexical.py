"""Find entries by their words: SQLite's FTS5, or PostgreSQL's text search ranked by BM25."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, text

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MAX_QUERY_WORDS = 64
_K1 = 1.2
_B = 0.75
_STOP_WORDS = frozenset(
    _WORD.findall(
        """
    a about after all also an and any are as at be been before being but by can could did do
    does doing done during each for from further had has have having he her here his how i if
    in into is it its itself just let may me might more most must my no nor not now of off on
    once only or other our out over own please same shall she should so some such than that
    the their them then there these they this those through to too under until up us very was
    we were what when where which while who whom why will with would you your
    """
    )
)

Hit = tuple[str, float]
"""An entry's id and its BM25 score; higher is better."""

_SQLITE_CREATE = """
CREATE VIRTUAL TABLE IF NOT EXISTS memory_lexical
USING fts5(text, tokenize = 'porter unicode61')
"""
_POSTGRES_CREATE = (
    "CREATE TABLE IF NOT EXISTS memory_lexical (seq bigint PRIMARY KEY, words tsvector NOT NULL)",
    "CREATE INDEX IF NOT EXISTS memory_lexical_words ON memory_lexical USING gin (words)",
)
_HEADS = """
FROM memory_entries AS entry
JOIN memory_versions AS head ON head.entry_id = entry.id AND head.version = entry.head_version
"""
_VISIBLE = (
    "entry.namespace = :namespace AND entry.kind = :kind AND entry.status IN ('trial', 'active')"
)
_SQLITE_SEARCH = f"""
SELECT entry.id, -bm25(memory_lexical) AS score {_HEADS}
JOIN memory_lexical ON memory_lexical.rowid = head.seq
WHERE memory_lexical MATCH :query AND {_VISIBLE}
ORDER BY score DESC, entry.id LIMIT :k
"""
_POSTGRES_SEARCH = f"""
SELECT entry.id, tsvector_to_array(lexical.words) {_HEADS}
JOIN memory_lexical AS lexical ON lexical.seq = head.seq
WHERE lexical.words @@ to_tsquery('english', :query) AND {_VISIBLE}
ORDER BY ts_rank(lexical.words, to_tsquery('english', :query)) DESC, entry.id LIMIT :candidates
"""
_POSTGRES_STEMS = "SELECT tsvector_to_array(to_tsvector('english', :words))"
_CANDIDATES = 500
_SCAN = f"SELECT entry.id, head.text {_HEADS} WHERE {_VISIBLE}"


def create_lexical(connection: Connection) -> None:
    """Create the full-text table; a migration calls this."""
    sqlite = connection.dialect.name == "sqlite"
    for statement in (_SQLITE_CREATE,) if sqlite else _POSTGRES_CREATE:
        connection.execute(text(statement))


def searchable(*texts: str) -> str:
    """Return the texts followed by the parts of the `camelCase` names in them."""
    whole = " ".join(part for part in texts if part)
    compound = [_CAMEL.split(word) for word in _WORD.findall(whole)]
    parts = [part for word in compound if len(word) > 1 for part in word]
    return " ".join([whole, *dict.fromkeys(parts)])


def words(content: str) -> list[str]:
    """Return the words in lower case, names taken apart."""
    return [part.casefold() for word in _WORD.findall(content) for part in _CAMEL.split(word)]


def query_words(content: str) -> list[str]:
    """Return the words worth searching for: each once, stop words dropped."""
    unique = dict.fromkeys(word for word in words(content) if word not in _STOP_WORDS)
    return list(unique)[:_MAX_QUERY_WORDS]


def add_lexical(connection: Connection, seq: int, content: str) -> None:
    """Make a version findable; its row in `memory_versions` has the number `seq`."""
    if connection.dialect.name == "sqlite":
        statement = "INSERT INTO memory_lexical (rowid, text) VALUES (:seq, :content)"
    else:
        # Only words are handed over: the server would take `sales.csv` for the name of a host.
        content = " ".join(words(content))
        statement = "INSERT INTO memory_lexical VALUES (:seq, to_tsvector('english', :content))"
    connection.execute(text(statement), {"seq": seq, "content": content})


def search_lexical(
    connection: Connection, content: str, *, namespace: str, kind: str, k: int
) -> list[Hit]:
    """Return the `k` best entries on trial or active, by the words of any text."""
    wanted = query_words(content)
    if not wanted:
        return []
    values: dict[str, Any] = {"namespace": namespace, "kind": kind}
    # A quoted word has no syntax, whatever it holds; `words` keeps quotes out.
    if connection.dialect.name != "sqlite":
        return _search_postgres(connection, wanted, values)[:k]
    values |= {"query": " OR ".join(f'"{word}"' for word in wanted), "k": k}
    return [(row[0], float(row[1])) for row in connection.execute(text(_SQLITE_SEARCH), values)]


def _search_postgres(
    connection: Connection, wanted: Sequence[str], values: dict[str, Any]
) -> list[Hit]:
    """Let the index find the entries and BM25 rank them, by the server's own word stems."""
    query = " | ".join(f"'{word}'" for word in wanted)
    values |= {"query": query, "candidates": _CANDIDATES}
    found = connection.execute(text(_POSTGRES_SEARCH), values).all()
    stems = connection.execute(text(_POSTGRES_STEMS), {"words": " ".join(wanted)}).scalar_one()
    return _ranked(set(stems), [(row[0], Counter(row[1])) for row in found])


def scan_lexical(
    connection: Connection, content: str, *, namespace: str, kind: str, k: int
) -> list[Hit]:
    """Do the same without a full-text table, by reading every entry of the namespace."""
    wanted = query_words(content)
    if not wanted:
        return []
    found = connection.execute(text(_SCAN), {"namespace": namespace, "kind": kind})
    return bm25(wanted, [(row[0], row[1]) for row in found])[:k]


def bm25(wanted: Sequence[str], rows: Sequence[tuple[str, str]]) -> list[Hit]:
    """Rank `(id, text)` rows that hold any of the words, best first (Okapi BM25)."""
    stems = {_stem(word) for word in wanted}
    return _ranked(
        stems, [(key, Counter(_stem(word) for word in words(content))) for key, content in rows]
    )


def _ranked(stems: Collection[str], counts: Sequence[tuple[str, Counter[str]]]) -> list[Hit]:
    if not counts:
        return []
    holding = Counter(stem for _, count in counts for stem in stems if stem in count)
    mean_length = sum(count.total() for _, count in counts) / len(counts) or 1.0
    hits: list[Hit] = []
    for key, count in counts:
        norm = _K1 * (1 - _B + _B * count.total() / mean_length)
        score = sum(
            math.log(1 + (len(counts) - holding[stem] + 0.5) / (holding[stem] + 0.5))
            * (count[stem] * (_K1 + 1) / (count[stem] + norm))
            for stem in stems
        )
        if score > 0:
            hits.append((key, score))
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def _stem(word: str) -> str:
    """Cut the commonest English endings; enough where FTS5's Porter stemmer is not at hand."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending)
    return word
