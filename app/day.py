"""What a standing agent may still use of a day of UTC."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.db import standing
from app.db.standing import AgentRow, Spent
from app.errors import TooManyError

UNREADABLE = "this version of Strop cannot read the agent's task; change the agent"
_LEAST_USD = 0.0001


class DaySpentError(TooManyError):
    """The agent has used up its day."""


def day_of(moment: datetime) -> datetime:
    """Return when a moment's day of UTC began."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def used_of_day(connection: Connection, row: AgentRow, moment: datetime) -> Spent:
    """Return what an agent has used of its day, which leaves it something.

    Raises:
        DaySpentError: it has used up its day; it says when the next one begins.
    """
    used = standing.spent(connection, row.id, day_of(moment))
    _check(row, used, moment)
    return used


def _check(row: AgentRow, used: Spent, moment: datetime) -> None:
    until_midnight = int((day_of(moment) + timedelta(days=1) - moment).total_seconds()) + 1
    what = ""
    if row.wakes_per_day is not None and used.wakes >= row.wakes_per_day:
        what = "1 wake-up" if row.wakes_per_day == 1 else f"{row.wakes_per_day} wake-ups"
    elif row.usd_per_day is not None and row.usd_per_day - used.usd < _LEAST_USD:
        what = f"${row.usd_per_day:g}"
    elif row.tokens_per_day is not None and used.tokens >= row.tokens_per_day:
        what = f"{row.tokens_per_day} tokens"
    if what:
        message = f"the agent may have {what} a day, and has used them up"
        raise DaySpentError(message, retry_after_s=until_midnight)


def within_day(budget: dict[str, Any], row: AgentRow, used: Spent) -> dict[str, Any]:
    """Return the budget of a task, which ends with the day's dollars and tokens."""
    bounded = {"on_limit": "end"} | budget
    if row.usd_per_day is not None:
        left = row.usd_per_day - used.usd
        bounded["usd"] = min(left, bounded.get("usd", left))
    if row.tokens_per_day is not None:
        rest = row.tokens_per_day - used.tokens
        bounded["tokens"] = min(rest, bounded.get("tokens", rest))
    return bounded
