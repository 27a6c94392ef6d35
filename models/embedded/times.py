"""Periods of time, as questions name them."""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

MONTHS = [name.lower() for name in calendar.month_name[1:]]
DAYS = [name.lower() for name in calendar.day_name]
_MONTH = (
    "(?:" + "|".join(f"{m[:3]}(?:{m[3:]})?" if m != "may" else "may" for m in MONTHS) + r")\b\.?"
)
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?"
POINT = (
    rf"(?:\d{{4}}-\d{{2}}-\d{{2}}|(?:the )?{_ORDINAL}(?: of)? {_MONTH},? \d{{4}}"
    rf"|{_MONTH} {_ORDINAL},? \d{{4}}|{_MONTH}(?: of)?,? \d{{4}}"
    rf"|\d{{4}}-\d{{2}}(?![-\d])|(?:19|20)\d{{2}}(?![-\d]))"
)
_BARE = rf"(?:{POINT}|{_MONTH}(?! ?\d))"
_QUARTER = (
    r"(?:(?:the )?(?P<qw>first|second|third|fourth|1st|2nd|3rd|4th) quarter|q(?P<qn>[1-4]))"
    r"(?: of)? (?P<qy>\d{4})"
)

Cut = Callable[[str], "re.Match[str] | None"]
"""Takes a pattern out of the question and returns what it matched."""


@dataclass
class Times:
    """The rows' dates that a question asks about."""

    periods: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Half-open, as ISO dates; an empty string is no bound."""
    parts: list[tuple[str, list[int]]] = field(default_factory=list[tuple[str, list[int]]])
    """Such as `("month", [3])` for each March, `("weekday", [0])` for Mondays."""


def month_of(text: str) -> int:
    """Return the number of the month that a text names, 0 without one."""
    found = re.search(rf"\b{_MONTH}", text.lower())
    return next((i for i, m in enumerate(MONTHS, 1) if found and m[:3] == found[0][:3]), 0)


def bounds(text: str, year: str = "") -> tuple[str, str]:
    """Return the first day of a point in time and the first day after it."""
    iso = re.search(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text)
    years = re.search(r"\b\d{4}\b", text)
    year_n = int(iso[1]) if iso else int(years[0] if years else year)
    month = int(iso[2]) if iso else month_of(text)
    days = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", text)
    day = int(iso[3] or 0) if iso else int(days[1]) if days and month else 0
    if not month:
        return f"{year_n}-01-01", f"{year_n + 1}-01-01"
    if not day:
        after = (year_n + 1, 1) if month == 12 else (year_n, month + 1)
        return f"{year_n}-{month:02}-01", f"{after[0]}-{after[1]:02}-01"
    try:
        first = date(year_n, month, day)
    except ValueError:
        return f"{year_n}-{month:02}-{day:02}", f"{year_n}-{month:02}-{day:02}"
    return first.isoformat(), (first + timedelta(days=1)).isoformat()


def take_times(cut: Cut) -> Times:
    """Take every period of time out of a question."""
    times = Times()
    span = cut(
        rf"\b(?:between|from) (?P<a>{_BARE}) (?:and|to|until|till|through|up to) (?P<b>{_BARE})"
        rf"|\b(?P<c>{_MONTH}) ?(?:-|\u2013|to|through) ?(?P<d>{_MONTH},? \d{{4}})"
    )
    if span:
        first, last = span["a"] or span["c"], span["b"] or span["d"]
        year = re.search(r"\d{4}", last) or re.search(r"\d{4}", first)
        if year:
            times.periods.append((bounds(first, year[0])[0], bounds(last, year[0])[1]))
        else:
            times.parts.append(("month", list(range(month_of(first), month_of(last) + 1))))
    while found := cut(rf"\b(?P<how>before|after|since|until|till|up to|as of) (?P<p>{POINT})"):
        start, end = bounds(found["p"])
        how = found["how"].lower()
        times.periods.append(
            ("", start)
            if how == "before"
            else (end, "")
            if how == "after"
            else (start, "")
            if how in {"since", "as of"}
            else ("", end)
        )
    if quarter := cut(rf"\b(?:in |during |for |of )?{_QUARTER}\b"):
        number = int(
            quarter["qn"]
            or 1
            + ["fi", "se", "th", "fo"].index(
                {"1s": "fi", "2n": "se", "3r": "th", "4t": "fo"}.get(
                    quarter["qw"][:2], quarter["qw"][:2].lower()
                )
            )
        )
        after = (
            f"{quarter['qy']}-{3 * number + 1:02}-01"
            if number < 4
            else f"{int(quarter['qy']) + 1}-01-01"
        )
        times.periods.append((f"{quarter['qy']}-{3 * number - 2:02}-01", after))
    while found := cut(
        rf"\b(?:in|during|for|on|of|throughout|dated) (?:the )?(?:month of |year |day )"
        rf"?(?P<p>{POINT})|\b(?P<q>{_MONTH},? \d{{4}})"
    ):
        times.periods.append(bounds(found["p"] or found["q"]))
    if found := cut(rf"\b(?:in|during|for) (?:each |every )?(?P<p>{_MONTH})(?! ?\d)"):
        times.parts.append(("month", [month_of(found["p"])]))
    names = "|".join(DAYS)
    if found := cut(rf"\b(?:on|for|of) (?:a |every )?(?P<p>(?:{names})s?|weekends?|weekdays)\b"):
        name = found["p"].lower().rstrip("s")
        days = {"weekend": [5, 6], "weekday": [0, 1, 2, 3, 4]}
        times.parts.append(("weekday", days.get(name) or [DAYS.index(name)]))
    return times
