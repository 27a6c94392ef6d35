"""A token bucket for each key, in the memory of one process."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

_MOST_KEYS = 10_000
"""Buckets that are remembered; full ones are forgotten first."""


@dataclass
class Bucket:
    """Tokens that trickle in and are taken out."""

    rate: float
    """Tokens a second."""
    size: int
    tokens: float
    at: float

    def take(self, moment: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        # A clock that was set back gives nothing and takes nothing.
        self.tokens = min(self.size, self.tokens + max(0.0, moment - self.at) * self.rate)
        self.at = moment
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


@dataclass(frozen=True)
class Standing:
    """How a key stands after a request."""

    limit: int
    left: int
    wait_s: float
    """0 when the request may go on."""

    @property
    def headers(self) -> dict[str, str]:
        """What a response says about it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(ceil(self.wait_s)),
        }


class Rates:
    """The buckets of every key."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, key_id: str) -> Standing | None:
        """Count a request of a key; None when nothing is counted."""
        if self._rate <= 0:
            return None
        moment = self._clock()
        bucket = self._buckets.pop(key_id, None)
        if bucket is None:
            bucket = Bucket(self._rate, self._burst, self._burst, moment)
            if len(self._buckets) >= _MOST_KEYS:
                self._buckets.pop(next(iter(self._buckets)))
        self._buckets[key_id] = bucket
        wait = bucket.take(moment)
        return Standing(self._burst, int(bucket.tokens), wait)
