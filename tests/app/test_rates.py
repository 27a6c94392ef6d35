"""How many requests a token bucket lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rates import Bucket, Rates

GAPS = st.lists(st.floats(min_value=-5, max_value=50), max_size=60)


@given(st.floats(min_value=0.01, max_value=100), st.integers(1, 50), GAPS)
def test_never_more_than_the_burst_and_what_trickled_in(
    rate: float, size: int, gaps: list[float]
) -> None:
    bucket = Bucket(rate, size, size, 0.0)
    moment, passed, gone = 0.0, 0.0, 0
    for gap in gaps:
        moment += gap
        passed += max(0.0, gap)
        gone += bucket.take(moment) == 0.0
        assert gone <= size + passed * rate + 1e-6


@given(st.floats(min_value=0.01, max_value=100), st.integers(1, 50))
def test_who_waits_as_long_as_told_gets_in(rate: float, size: int) -> None:
    bucket = Bucket(rate, size, 0.0, 0.0)
    wait = bucket.take(0.0)
    assert wait > 0
    assert bucket.take(wait * (1 + 1e-9) + 1e-9) == 0.0


def test_keys_do_not_share_a_bucket_and_no_rate_means_no_bound() -> None:
    rates = Rates(1.0, 1, lambda: 0.0)
    first, second, other = rates.take("a"), rates.take("a"), rates.take("b")
    assert first is not None
    assert second is not None
    assert other is not None
    assert (first.wait_s, other.wait_s) == (0.0, 0.0)
    assert second.wait_s == pytest.approx(1.0)
    assert Rates(0, 1, lambda: 0.0).take("a") is None
