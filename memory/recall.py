"""Find what helps with a task: by meaning, by words and by what it is about."""

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from pydantic import Field

from memory.base import Embedder, Vector
from memory.candidates import POOL, Pool, file_names, file_patterns, gather
from memory.database import Database
from memory.indexer import Indexer
from memory.lexical import query_words
from memory.ranking import diversify, fuse, is_held_out, is_withheld, overlap
from memory.records import Entry, Frozen, Kind, Recall, Recalled, RecallQuery, Scope, Tip
from memory.uses import Decided, UseLog

_LOG = logging.getLogger(__name__)


HOLDOUT = 0.02


class RecallSettings(Frozen):
    """Numbers of retrieval; measured where it says so, otherwise judgement."""

    alpha: Mapping[Kind, float] = {"tip": 0.5, "shortcut": 0.6}
    """Weight of meaning against words; .5 was best over six public sets."""
    min_cosine: float = 0.1
    """An entry less like the query than this is never shown, unless it is about a file at hand."""
    min_cosine_alone: float = 0.18
    """The same for an entry that shares no word with the query (MiniLM: apt advice has .2 up)."""
    min_share: float = 0.4
    """An entry needs this share of the best score."""
    file_boost: float = 0.3
    pattern_boost: float = 0.15
    """For `*.csv` and the like."""
    tool_boost: float = 0.15
    balance: float = 0.7
    """Score against variety in the final choice; 1 looks at the score only."""
    withhold: float = Field(default=0.1, ge=0, le=1)
    """Chance that a run goes without an entry, to measure what it is worth; 0 switches it off."""
    trial_factor: float = Field(default=3.0, ge=1)
    """An entry on trial is withheld so many times as often, but at most as `withhold_most`."""
    withhold_most: float = Field(default=0.4, ge=0, le=1)
    withhold_in: Mapping[str, float] = {}
    """`withhold` for namespaces of their own; 0 there ends every experiment on them."""
    holdout: float | None = Field(default=None, ge=0, le=0.5)
    """Share of runs without any memory; None means 2 %, and none where `withhold` is 0."""

    def chances(self, namespace: str) -> "Chances":
        """Return how often what is withheld from the runs of a namespace."""
        active = self.withhold_in.get(namespace, self.withhold)
        trial = max(active, min(active * self.trial_factor, self.withhold_most))
        if active == 0 and (self.holdout is None or namespace in self.withhold_in):
            return Chances(active=0.0, trial=0.0, holdout=0.0)
        holdout = HOLDOUT if self.holdout is None else self.holdout
        return Chances(active=active, trial=trial, holdout=holdout)


class Chances(Frozen):
    """With what chance an entry, or all of them, are kept from a run."""

    active: float = 0.0
    trial: float = 0.0
    holdout: float = 0.0


class Recaller:
    """Reads memory; the only trace it leaves is a line in the log of uses."""

    def __init__(
        self,
        database: Database,
        log: UseLog,
        *,
        embedder: Embedder | None = None,
        indexer: Indexer | None = None,
        settings: RecallSettings | None = None,
    ) -> None:
        self._database = database
        self._log = log
        self._embedder = embedder
        self._indexer = indexer
        self._settings = settings or RecallSettings()

    async def recall(self, query: RecallQuery) -> Recall:
        """Return the best entries of each kind, some of them withheld by a known chance.

        Asking again for the same run withholds the same entries, whatever the settings say
        by then. A run that is held out from memory as a whole is searched for all the same,
        so that it can be compared with runs for which memory had as much.
        """
        chances = self._settings.chances(query.namespace)
        decided = await self._log.decided(query.run_id)
        if decided.held_out is None:
            held_out, holdout = is_held_out(query.run_id, chances.holdout), chances.holdout
        else:
            held_out, holdout = decided.held_out, decided.holdout
        found = await self._find(query)
        recall = found.model_copy(
            update={
                "items": tuple(
                    _draw(item, query.run_id, decided, chances, held_out=held_out)
                    for item in found.items
                ),
                "held_out": held_out,
                "holdout": holdout,
            }
        )
        await self._log.record_recall(query, recall)
        return recall

    async def preview(self, query: RecallQuery) -> Recall:
        """Return what would be recalled, for people: nothing is withheld, nothing recorded."""
        return await self._find(query)

    async def _find(self, query: RecallQuery) -> Recall:
        vector, degraded = await self._embed(query.text)
        space = None if self._embedder is None else self._embedder.space
        items: list[Recalled] = []
        for kind in query.kinds:
            hits, trouble = await self._near(query, kind, vector)
            degraded = degraded or trouble
            pool = await self._database.read(
                lambda connection, kind=kind, hits=hits: gather(
                    connection, query, kind, hits, space=space
                )
            )
            items += self._choose(query, kind, pool, vector)
        return Recall(items=tuple(items), degraded=degraded)

    async def _embed(self, text: str) -> tuple[Vector | None, str]:
        if self._embedder is None:
            return None, "no embedder: searched by words only"
        try:
            return np.asarray((await self._embedder.embed([text]))[0], np.float32), ""
        except Exception as error:  # noqa: BLE001 - recall must not fail with the embedder
            _LOG.warning("the embedder failed; searched by words only", exc_info=True)
            return None, f"the embedder failed ({type(error).__name__}): searched by words only"

    async def _near(
        self, query: RecallQuery, kind: Kind, vector: Vector | None
    ) -> tuple[Sequence[str], str]:
        if vector is None or self._indexer is None:
            return (), ""
        found = await self._indexer.search(
            namespace=query.namespace, kind=kind, vector=vector, k=POOL
        )
        return [entry_id for entry_id, _ in found.hits], found.degraded

    def _choose(
        self,
        query: RecallQuery,
        kind: Kind,
        pool: Pool,
        vector: Vector | None,
    ) -> list[Recalled]:
        dense = (
            {}
            if vector is None
            else {key: float(row @ vector) for key, row in pool.vectors.items()}
        )
        boosts = {key: self._boost(entry, query) for key, entry in pool.entries.items()}
        at_hand = {key for key, entry in pool.entries.items() if _is_at_hand(entry, query)}
        scores = self._score(pool, kind, dense, boosts, at_hand)
        words = {key: query_words(pool.entries[key].text) for key in scores}

        def alike(one: str, other: str) -> float:
            if one in pool.vectors and other in pool.vectors:
                return float(pool.vectors[one] @ pool.vectors[other])
            return overlap(words[one], words[other])

        picked = diversify(scores, alike, k=query.top_k, balance=self._settings.balance)
        return [
            Recalled(
                entry=pool.entries[key],
                score=round(scores[key], 6),
                rank=rank,
                reasons=_reasons(dense.get(key), pool.lexical.get(key), boosts[key][1]),
            )
            for rank, key in enumerate(picked, start=1)
        ]

    def _score(
        self,
        pool: Pool,
        kind: Kind,
        dense: Mapping[str, float],
        boosts: Mapping[str, tuple[float, str]],
        at_hand: Collection[str],
    ) -> dict[str, float]:
        kept = {
            key
            for key, entry in pool.entries.items()
            if key in at_hand
            or (
                not _is_elsewhere(entry, boosts[key][1])
                and self._is_near(dense.get(key), key in pool.lexical, bool(boosts[key][1]))
            )
        }
        alpha = self._settings.alpha[kind] if dense else 0.0
        fused = fuse(
            {key: score for key, score in dense.items() if key in kept},
            {key: score for key, score in pool.lexical.items() if key in kept},
            alpha,
        )
        scores = {key: fused.get(key, 0.0) + boosts[key][0] for key in pool.entries if key in kept}
        floor = self._settings.min_share * max(scores.values(), default=0.0)
        return {key: score for key, score in scores.items() if score >= floor or key in at_hand}

    def _is_near(self, cosine: float | None, worded: bool, about: bool) -> bool:
        if cosine is None:
            return worded or about
        if worded or about:
            return cosine >= self._settings.min_cosine
        return cosine >= self._settings.min_cosine_alone

    def _boost(self, entry: Entry, query: RecallQuery) -> tuple[float, str]:
        scope = _scope(entry)
        if _is_at_hand(entry, query):
            return self._settings.file_boost, f"file {scope.key}"
        if scope.level == "file" and scope.key in file_patterns(query):
            return self._settings.pattern_boost, f"file {scope.key}"
        if scope.level == "tool" and scope.key in query.tools:
            return self._settings.tool_boost, f"tool {scope.key}"
        return 0.0, ""


def _scope(entry: Entry) -> Scope:
    return entry.body.scope if isinstance(entry.body, Tip) else Scope()


def _is_at_hand(entry: Entry, query: RecallQuery) -> bool:
    scope = _scope(entry)
    return scope.level == "file" and scope.key in file_names(query)


def _is_elsewhere(entry: Entry, boosted: str) -> bool:
    """Whether an entry is about a file that is not at hand, nor one of its kind."""
    return _scope(entry).level == "file" and not boosted


def _draw(
    item: Recalled, run_id: str, decided: Decided, chances: Chances, *, held_out: bool
) -> Recalled:
    entry = item.entry
    if entry.id in decided.entries:
        withheld, chance = decided.entries[entry.id]
    elif held_out:
        withheld, chance = True, 1.0
    else:
        chance = chances.trial if entry.status == "trial" else chances.active
        withheld = is_withheld(run_id, entry.id, chance)
    return item.model_copy(update={"withheld": withheld, "probability": chance})


def _reasons(cosine: float | None, bm25: float | None, about: str) -> tuple[str, ...]:
    parts = [
        "" if cosine is None else f"meaning {cosine:.2f}",
        "" if bm25 is None else f"words {bm25:.2f}",
        about,
    ]
    return tuple(part for part in parts if part)
