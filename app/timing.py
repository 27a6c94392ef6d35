"""When a schedule is due: cron in a time zone, an interval, or once; the time is handed in."""

import contextlib
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter
from pydantic import model_validator

from app.schemas import Shape

Missed = Literal["skip", "run_once", "run_all"]
"""What becomes of due times that passed while nobody was there to see them."""
_SHIFT = timedelta(hours=3)
"""More than clocks are ever set by for summer time."""
MAX_CAUGHT_UP = 100
"""Missed occurrences that `run_all` makes up for at once."""
_LONGEST_S = 366 * 86_400
_FAR = timedelta(days=366 * 8)
"""A cron line that is not due within so long, such as for 30 February, is never due."""


class Timing(Shape):
    """When something is due: exactly one of `cron`, `interval_s` and `at`."""

    cron: str | None = None
    """Five fields, or six with seconds last, in the local time of `timezone`."""
    timezone: str = "UTC"
    """IANA name. A local time that clocks leave out is due when they have moved on; one that comes
    twice is due the first time."""
    interval_s: int | None = None
    """Seconds between due times, counted from when the schedule was made."""
    at: datetime | None = None
    """Once, at this time, with its zone."""

    @model_validator(mode="after")
    def _checked(self) -> "Timing":
        given = [name for name in ("cron", "interval_s", "at") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"expected exactly one of cron, interval_s and at, got {given or 'none'}"
            raise ValueError(msg)
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            msg = (
                f"timezone: expected an IANA name such as Europe/Berlin, got {self.timezone[:60]!r}"
            )
            raise ValueError(msg) from None
        if self.cron is not None:
            _check_cron(self.cron, zone)
        if self.interval_s is not None and not 1 <= self.interval_s <= _LONGEST_S:
            msg = f"interval_s: expected 1 to {_LONGEST_S} seconds, got {self.interval_s}"
            raise ValueError(msg)
        if self.at is not None and self.at.tzinfo is None:
            msg = "at: expected a time with its zone, such as a final Z"
            raise ValueError(msg)
        return self

    def following(self, moment: datetime, anchor: datetime) -> datetime | None:
        """Return the first due time after a moment, in UTC; None when there is none.

        Args:
            moment: with its zone.
            anchor: when the schedule was made, from which intervals count.
        """
        if self.at is not None:
            return self.at.astimezone(UTC) if self.at > moment else None
        if self.interval_s is not None:
            passed = (moment - anchor).total_seconds() // self.interval_s
            return anchor + timedelta(seconds=(max(passed, -1) + 1) * self.interval_s)
        return _next_cron(self.cron or "", ZoneInfo(self.timezone), moment)

    def recent(
        self, since: datetime, until: datetime, anchor: datetime, limit: int
    ) -> list[datetime]:
        """Return the newest due times after `since` up to `until`, oldest first."""
        if self.at is not None:
            found = [self.at.astimezone(UTC)]
        elif self.interval_s is not None:
            passed = int((until - anchor).total_seconds() // self.interval_s)
            counts = range(max(0, passed - limit + 1), passed + 1)
            found = [anchor + timedelta(seconds=n * self.interval_s) for n in counts]
        else:
            found = _last_cron(self.cron or "", ZoneInfo(self.timezone), until, limit)
        return [moment for moment in found if since < moment <= until]


def _check_cron(line: str, zone: ZoneInfo) -> None:
    try:
        known = len(line) <= 200 and croniter.is_valid(line)
    except (CroniterError, ValueError, OverflowError):
        known = False
    if not known or _next_cron(line, zone, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        msg = f"cron: expected a line such as '0 9 * * 1-5' that comes true, got {line[:100]!r}"
        raise ValueError(msg)


def _next_cron(line: str, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """Return the next local time that the line names, as a moment of UTC.

    The line is read on the wall clock without a zone, so that each wall time comes once.
    """
    wall, tries = _wall(moment, zone), 200
    if moment.astimezone(zone).utcoffset() != (moment - _SHIFT).astimezone(zone).utcoffset():
        wall, tries = wall - _SHIFT, 20_000  # clocks have just changed: look back over it
    try:
        for found in islice(croniter(line, wall, ret_type=datetime), tries):
            if found - wall > _FAR:
                return None
            due = found.replace(tzinfo=zone).astimezone(UTC)
            if due > moment:
                return due
    except (CroniterError, OverflowError):
        return None
    return None


def _last_cron(line: str, zone: ZoneInfo, until: datetime, limit: int) -> list[datetime]:
    """Return the newest moments that the line names up to one, oldest first."""
    found: list[datetime] = []
    times = croniter(line, _wall(until + _SHIFT, zone), ret_type=datetime)
    with contextlib.suppress(CroniterError, OverflowError):
        for _ in range(20_000 + limit):
            due = times.get_prev().replace(tzinfo=zone).astimezone(UTC)
            if due <= until:
                found.append(due)
            if len(found) >= limit:
                break
    return sorted(found)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
