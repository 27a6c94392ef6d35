"""When schedules are due, over summer time and long gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.timing import Timing

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST, _LAST = ANCHOR.replace(tzinfo=None), datetime(2027, 12, 31, tzinfo=UTC).replace(tzinfo=None)
LINES = ("* * * * *", "30 2 * * *", "0 */6 * * *", "15 9 * * 1-5", "0 0 1 * *", "*/7 1-3 * * 0")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


def _moment(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC, microsecond=0)


def _cron(line: str, zone: str) -> Timing:
    return Timing(cron=line, timezone=zone)


def _interval(seconds: int) -> Timing:
    return Timing(interval_s=seconds)


moments = st.datetimes(_FIRST, _LAST).map(_moment)
timings = st.one_of(
    st.builds(_cron, st.sampled_from(LINES), st.sampled_from(ZONES)),
    st.builds(_interval, st.integers(1, 100_000)),
)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(timings, moments)
def test_what_follows_is_later_and_nothing_lies_between(timing: Timing, moment: datetime) -> None:
    following = timing.following(moment, ANCHOR)
    assert following is not None
    assert following > moment
    between = timing.recent(moment, following - timedelta(seconds=1), ANCHOR, 3)
    assert between == []
    assert timing.recent(moment, following, ANCHOR, 3) == [following]


@given(timings, moments, st.integers(1, 9))
def test_the_recent_ones_are_the_last_of_those_that_follow_each_other(
    timing: Timing, moment: datetime, limit: int
) -> None:
    due: list[datetime] = []
    at = timing.following(moment, ANCHOR)
    while at is not None and len(due) < 12:
        due.append(at)
        at = timing.following(at, ANCHOR)
    assert due == sorted(set(due))
    assert timing.recent(moment, due[-1], ANCHOR, limit) == due[-limit:]


def test_a_local_time_that_is_left_out_is_due_when_clocks_have_moved_on() -> None:
    daily = Timing(cron="30 2 * * *", timezone="Europe/Berlin")
    before = _utc("2026-03-29T00:30:00+01:00")
    assert daily.following(before, ANCHOR) == _utc("2026-03-29T03:30:00+02:00")
    just_after = _utc("2026-03-29T03:10:00+02:00")
    assert daily.following(just_after, ANCHOR) == _utc("2026-03-29T03:30:00+02:00")


def test_a_local_time_that_comes_twice_is_due_the_first_time_only() -> None:
    daily = Timing(cron="30 2 * * *", timezone="Europe/Berlin")
    first = daily.following(_utc("2026-10-25T01:00:00+02:00"), ANCHOR)
    assert first == _utc("2026-10-25T02:30:00+02:00")
    assert first is not None
    assert daily.following(first, ANCHOR) == _utc("2026-10-26T02:30:00+01:00")


def test_a_year_of_missed_minutes_is_looked_through_at_once() -> None:
    every_minute = Timing(cron="* * * * *")
    end = ANCHOR + timedelta(days=365)
    newest = every_minute.recent(ANCHOR, end, ANCHOR, 2)
    assert newest == [end - timedelta(minutes=1), end]


def test_a_single_time_is_due_once() -> None:
    once = Timing(at=ANCHOR + timedelta(hours=1))
    assert once.following(ANCHOR, ANCHOR) == ANCHOR + timedelta(hours=1)
    assert once.following(ANCHOR + timedelta(hours=1), ANCHOR) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one"),
        ({"cron": "* * * * *", "interval_s": 5}, "exactly one"),
        ({"cron": "every day"}, "cron: expected"),
        ({"cron": "0 0 30 2 *"}, "cron: expected"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "IANA name"),
        ({"cron": "* * * * *", "timezone": "../../etc/passwd"}, "IANA name"),
        ({"interval_s": 0}, "interval_s"),
        ({"at": "2026-01-01T00:00:00"}, "with its zone"),
    ],
)
def test_a_timing_that_makes_no_sense_is_refused_with_what_was_expected(
    fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Timing.model_validate(fields)
