"""Match the words of a question with the columns and values of a table."""

import re
from difflib import SequenceMatcher

from models.embedded.programs.reading import DATE_SHAPE, Row, stop

ALIKE = [
    {"quantity", "qty", "units", "unit", "pieces", "count"},
    {"revenue", "sales", "sale", "amount", "turnover", "income", "total"},
    {"price", "cost", "fee", "charge"},
    {"temperature", "temp"},
    {"department", "dept", "division", "team"},
    {"customer", "client", "buyer"},
    {"name", "title", "called", "who"},
    {"date", "day", "time", "timestamp", "datetime", "when"},
    {"rain", "rainfall", "precipitation"},
    {"city", "town", "location", "place", "where"},
    {"salary", "wage", "pay", "earn"},
    {"country", "nation", "land"},
    {"error", "fault", "failure"},
    {"duration", "long", "length"},
    {"weight", "heavy"},
    {"height", "tall", "high"},
    {"age", "old"},
    {"population", "inhabitant", "people"},
    {"level", "severity"},
    {"message", "msg", "text"},
    {"number", "no", "num", "nr"},
]

FILLERS = {"the", "of", "in", "on", "is", "at", "no", "to", "and", "or", "for"}
SHORT_UNITS = set(
    re.findall(
        r"\S+",
        "c f k mm cm m km g kg mg l eur usd gbp chf ms s pct kwh hpa mbar",
    )
)


def stem(word: str) -> str:
    """Return a word without the ending of its plural."""
    word = word.lower()
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if len(word) > 3 and word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)] + instead
    return word


def tokens(text: str) -> list[str]:
    """Return the stems of the words in a column name or a phrase, its unit left out."""
    text = re.sub(r"[\[(](?=[^\])]*[°%/$€£µ³²])[^\])]*[\])]", " ", text)
    text = re.sub(r"(?i)carbon monoxide", "CO", text)
    text = re.sub(r"(?i)nitrogen dioxide", "NO2", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ")
    stems = [stem(word) for word in re.findall(r"[^\W_]+", text)]
    return stems[:-1] if len(stems) > 1 and stems[-1] in SHORT_UNITS else stems


def same(a: str, b: str) -> float:
    """Return from 0 to 1 how surely two stems mean the same."""
    if a == b:
        return 1.0
    if any(a in {stem(w) for w in group} and b in {stem(w) for w in group} for group in ALIKE):
        return 0.8
    if min(len(a), len(b)) >= 4 and (a.startswith(b) or b.startswith(a)):
        return 0.75
    return 0.7 if min(len(a), len(b)) >= 5 and SequenceMatcher(None, a, b).ratio() > 0.84 else 0.0


def likeness(phrase: str, column: str) -> float:
    """Return from 0 to 1 how well a phrase names a column."""
    asked, named = tokens(phrase), tokens(column)
    if not asked or not named:
        return 0.0
    if asked == named:
        return 1.0
    if len(asked) > 1 and same(" ".join(asked), " ".join(named)):
        return 0.85
    by_name = sum(max(same(n, a) for a in asked) for n in named) / len(named)
    by_phrase = sum(max(same(a, n) for n in named) for a in asked) / len(asked)
    side = len(named) > 1 and max(same(named[-1], a) for a in asked) < 0.7
    return 0.6 * max(by_name, by_phrase) + 0.38 * min(by_name, by_phrase) - 0.12 * side


def find_column(phrase: str, columns: list[str], least: float = 0.5) -> str | None:
    """Return the column that a phrase names best, if one is near enough."""
    scored = [(likeness(phrase, column), column) for column in columns]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    return best[1] if best[0] >= least else None


def need_column(phrase: str, columns: list[str]) -> str:
    """Return the column that a phrase names; stop when there is none."""
    column = find_column(phrase, columns)
    if column is None:
        stop(f"no column matches {phrase!r}; the columns are {', '.join(columns)}")
    return column


def date_column(columns: list[str], rows: list[Row], rest: str) -> str:
    """Return the column of dates that a question means."""
    found = [c for c in columns if any(DATE_SHAPE.search(row.get(c, "")) for row in rows[:20])]
    named = [c for c in found if find_column(c, rest.split(), 0.9)]
    if not found:
        stop(f"no column holds dates; the columns are {', '.join(columns)}")
    return (named or found)[0]


def whole(value: str, text: str) -> "re.Match[str] | None":
    """Find a value as whole words in a text, in singular or plural."""
    return re.search(rf"(?<!\w){re.escape(value)}(?:e?s)?(?!\w)", text, re.IGNORECASE)


def find_values(rest: str, columns: list[str], rows: list[Row]) -> tuple[dict[str, list[str]], str]:
    """Return the cell values that a question names, by column, and the text without them."""
    known = {row.get(c, ""): c for c in reversed(columns) for row in rows}
    wanted: dict[str, list[str]] = {}
    for value in sorted(known, key=len, reverse=True):
        quoted = f"'{value}'" in rest
        if not quoted and not re.search(r"[^\W\d]", value):
            continue
        if len(value) == 1:
            near = rf"(?<=\b{re.escape(tokens(known[value])[-1])} )(?i:{value})(?!\w)"
            alone = rf"(?<![\w.'])(?-i:{value.upper()})(?![\w'])"
            hit = re.search(near, rest) or re.search(alone, rest)
        elif value.lower() in FILLERS and not quoted:
            continue
        else:
            hit = whole(value, rest)
        if hit:
            wanted.setdefault(known[value], []).append(value)
            rest = rest[: hit.start()] + " | " + rest[hit.end() :]
    for hit in list(re.finditer(r"([^\W\d]\w*)(?: number| no\.?| id)? #?(\d[\w.-]*)", rest)):
        column = find_column(hit[1], columns)
        if column and any(row.get(column) == hit[2].rstrip(".") for row in rows):
            wanted.setdefault(column, []).append(hit[2].rstrip("."))
            rest = rest.replace(hit[0], " | ")
    return wanted, rest
