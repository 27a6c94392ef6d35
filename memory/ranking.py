"""Order candidates: fuse two searches, spread the result, draw what is withheld."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K")


def scale(scores: Mapping[K, float]) -> dict[K, float]:
    """Return the scores divided by the greatest; what is below 0 counts as 0.

    The least possible score stands for 0 instead of the least one present (arXiv 2210.11934):
    otherwise the second best of two good candidates would count as worthless.
    """
    top = max(scores.values(), default=0.0)
    if top <= 0:
        return dict.fromkeys(scores, 0.0)
    return {key: max(score, 0.0) / top for key, score in scores.items()}


def fuse(dense: Mapping[K, float], lexical: Mapping[K, float], alpha: float) -> dict[K, float]:
    """Return `alpha` times the scaled cosine plus the rest times the scaled BM25, by candidate.

    A candidate that one search did not find has 0 there.
    """
    near, worded = scale(dense), scale(lexical)
    keys = dict.fromkeys([*dense, *lexical])
    return {key: alpha * near.get(key, 0.0) + (1 - alpha) * worded.get(key, 0.0) for key in keys}


def diversify(
    scores: Mapping[K, float], alike: Callable[[K, K], float], *, k: int, balance: float
) -> list[K]:
    """Return `k` candidates by maximal marginal relevance (Carbonell and Goldstein, 1998).

    Each pick weighs its score with `balance` against its likeness to what was picked before.
    """
    left = sorted(scores, key=lambda key: -scores[key])
    likeness = dict.fromkeys(left, 0.0)
    picked: list[K] = []
    while left and len(picked) < k:
        best = max(left, key=lambda key: balance * scores[key] - (1 - balance) * likeness[key])
        left.remove(best)
        picked.append(best)
        for key in left:
            likeness[key] = max(likeness[key], alike(key, best))
    return picked


def is_withheld(run_id: str, entry_id: str, probability: float) -> bool:
    """Draw, always the same for a run and an entry, whether the run goes without the entry."""
    return _draw(f"{run_id}\0{entry_id}", probability)


def is_held_out(run_id: str, probability: float) -> bool:
    """Draw, always the same for a run, whether it goes without any memory."""
    return _draw(f"{run_id}\0\0holdout", probability)


def _draw(seed: str, probability: float) -> bool:
    digest = hashlib.sha256(seed.encode()).digest()
    return int.from_bytes(digest[:8], "big") < probability * 2**64


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of words that two texts have in common (Jaccard)."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one or other else 1.0
