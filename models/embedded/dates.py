"""Reckoning with dates: spans, shifts and weekdays."""

import re

from models.embedded.times import DAYS, month_of

_DATE = (
    r"\d{4}-\d{2}-\d{2}|(?:the )?\d{1,2}(?:st|nd|rd|th)?(?: of)? [A-Za-z]{3,9},? \d{4}"
    r"|[A-Za-z]{3,9} \d{1,2}(?:st|nd|rd|th)?,? \d{4}|today"
)
_DAYS = [day.capitalize() for day in DAYS]


def say(label: str, expression: str, unit: str = "") -> list[str]:
    """Return the lines that print a result as the answer."""
    return [
        f"result = {expression}",
        f"print('ANSWER: ' + {label!r} + shown(result) + {unit!r} + '.')",
    ]


def _date(text: str) -> str | None:
    """Return a Python expression for a date; None when the text is none."""
    if text.lower() == "today":
        return "datetime.date.today()"
    if iso := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", text):
        return f"datetime.date({int(iso[1])}, {int(iso[2])}, {int(iso[3])})"
    month, year, day = (
        month_of(text),
        re.search(r"\d{4}", text),
        re.search(r"\b\d{1,2}(?!\d)", text),
    )
    return f"datetime.date({year[0]}, {month}, {int(day[0])})" if month and year and day else None


def _between(text: str) -> list[str] | None:
    """Parse `how many days are between A and B`."""
    m = re.fullmatch(
        (
            rf"(?:how many|number of) (days|weeks|months|years) (?:are |is )?(?:there |lie "
            rf"|elapsed |passed )?(?:between|from) ({_DATE}) (?:and|to|until|till) "
            rf"({_DATE})|how many (days|weeks) (?:are )?(?:there )?(?:until|till|to|since) "
            rf"({_DATE})"
        ),
        text,
        re.IGNORECASE,
    )
    if not m:
        return None
    unit = (m[1] or m[4]).lower()
    a, b = _date(m[2] or "today"), _date(m[3] or m[5])
    if not a or not b:
        return None
    name = f"From {m[2] or 'today'} to {m[3] or m[5]} there are "
    if unit in {"days", "weeks"}:
        return say(name, f"abs(({b} - {a}).days)" + (" / 7" if unit == "weeks" else ""), f" {unit}")
    months = (
        f"((b.year - a.year) * 12 + b.month - a.month - (b.day < a.day))"
        f"{' // 12' if unit == 'years' else ''}"
    )
    return [f"a, b = sorted([{a}, {b}])", *say(name, months, f" full {unit}")]


def _shifted(text: str) -> list[str] | None:
    """Parse `what date is 90 days after A`."""
    m = re.fullmatch(
        (
            rf"(?:what |which )?(?:date|day)?(?: (?:is|was|will be|falls))?(?: it)? ?(\d+) "
            rf"(day|week|month|year)s? (after|before|from|ago|later than|prior to)(?: "
            rf"({_DATE}|now))?"
        ),
        text,
        re.IGNORECASE,
    )
    if not m:
        return None
    start = _date("today" if (m[4] or "now").lower() == "now" else m[4])
    back = "-" if m[3].lower() in {"before", "ago", "prior to"} else ""
    if not start:
        return None
    if m[2].lower() in {"day", "week"}:
        shift = [f"day = {start} + datetime.timedelta({m[2].lower()}s={back}{m[1]})"]
    else:
        months = int(m[1]) * (12 if m[2].lower() == "year" else 1)
        shift = [
            f"start = {start}",
            f"at = start.year * 12 + start.month - 1 + {back}{months}",
            "import calendar",
            (
                "day = datetime.date(at // 12, at % 12 + 1, min(start.day, "
                "calendar.monthrange(at // 12, at % 12 + 1)[1]))"
            ),
        ]
    label = f"{m[1]} {m[2]}(s) {m[3]} {m[4] or ''}".strip()
    return [
        *shift,
        f"weekday = {_DAYS!r}[day.weekday()]",
        f"print(f'ANSWER: {{day.isoformat()}} ({{weekday}}) is ' + {label!r} + '.')",
    ]


def _weekday(text: str) -> list[str] | None:
    """Parse `what weekday was A`."""
    m = re.fullmatch(
        (
            rf"(?:(?:what|which) )?(?:(?:day|weekday)(?: of the week)?)(?: (?:is|was|will"
            rf"|did|does))?(?: it)? ?(?:be )?(?:on )?({_DATE})(?: (?:fall|be|was|is)(?: on)"
            rf"?)?"
        ),
        text,
        re.IGNORECASE,
    )
    if not m:
        return None
    day = _date(m[1])
    return (
        [
            f"day = {day}",
            f"print('ANSWER: ' + day.isoformat() + ' is a ' + {_DAYS!r}[day.weekday()] + '.')",
        ]
        if day
        else None
    )


def _today(text: str) -> list[str] | None:
    """Parse `what is today's date`."""
    if not re.fullmatch(r"today's date|(?:the )?date (?:is it )?today", text, re.IGNORECASE):
        return None
    return ["print('ANSWER: Today is ' + datetime.date.today().isoformat() + '.')"]


def date_lines(text: str) -> list[str] | None:
    """Return the lines of a program for a question about dates, None for other questions."""
    for parse in (_between, _shifted, _weekday, _today):
        if lines := parse(text):
            return lines
    return None
