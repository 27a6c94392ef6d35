from hypothesis import given
from hypothesis import strategies as st

from sandboxes.output import Capture, Meter

chunks = st.lists(st.binary(max_size=60), max_size=12)


@given(chunks, st.integers(0, 200))
def test_what_is_kept_fits_and_everything_is_counted(parts: list[bytes], limit: int) -> None:
    capture = Capture(limit, Meter(1 << 30))
    for part in parts:
        capture.feed(part)
    printed = b"".join(parts)
    kept = capture.kept()
    assert capture.total == len(printed)
    assert len(kept) <= limit
    if len(printed) <= limit:
        assert kept == printed


def test_the_beginning_and_the_end_are_kept() -> None:
    capture = Capture(200, Meter(1 << 30))
    for number in range(1000):
        capture.feed(b"%d\n" % number)
    kept = capture.kept()
    assert kept.startswith(b"0\n1\n2\n")
    assert kept.endswith(b"998\n999\n")
    assert b"bytes and more left out" in kept


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(0, 500))
def test_the_meter_trips_exactly_above_its_limit(sizes: list[int], limit: int) -> None:
    meter = Meter(limit)
    for size in sizes:
        meter.add(size)
    assert meter.exceeded.is_set() == (sum(sizes) > limit)
