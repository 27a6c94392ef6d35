"""Match a parsed question with one table, or with several joined ones."""

import re
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

from models.embedded.programs.matching import find_column, find_values, likeness, stem, tokens
from models.embedded.programs.reading import DataProblem, Row, say, stop

Table = tuple[str, list[str], list[Row]]
UNITS = re.compile(
    r"euros?|dollars?|pounds?|eur|usd|gbp|chf|celsius|fahrenheit|degrees?|°[cf]|k?m|cm"
    r"|mm|k?g|kwh|hours?|h|min|f|c|l|s|pct|miles?|days?|weeks?"
    r"|minutes?|seconds?|percent|pct|%|[mµu]g/m[³3]|hpa|mbar|m/s|km/h|litres?|liters?|ms|[$€£]"
)
SHORT = {
    "euro": "eur",
    "€": "eur",
    "dollar": "usd",
    "$": "usd",
    "pound": "gbp",
    "£": "gbp",
    "celsius": "c",
    "°c": "c",
    "fahrenheit": "f",
    "°f": "f",
    "hour": "h",
    "minute": "min",
    "second": "s",
    "percent": "pct",
    "%": "pct",
    "liter": "l",
    "litre": "l",
}
"""Units as column names write them."""
GENERIC = set(
    re.findall(
        r"\S+",
        "a about according all also an and are as at average been by calculate column columns "
        "compute correct data dataset did do does each entries entry every field file find "
        "for from get give given had has have how i in into is it its line list made many me "
        "much my name names number of on only or our out over overall please print record "
        "records recorded result row rows show single table tell than that the their them "
        "there these they this those to value values was we were what when where which who "
        "whole whose will with within you your one s day date dates time period using based "
        "measured observed entire most any order orders case cases respectively individual "
        "answer question per or exactly place placed make sell sold buy bought ordered score "
        "scored fell fall earn earns work works happen happened occur occurred take took taken "
        "come came used live lives play played register registered held listed appear together "
        "both people person employee employees everything rounded round result results daily "
        "store go went during least",
    )
)


@dataclass
class Plan:
    """A query whose words have been matched with a table."""

    columns: list[str]
    rows: list[Row]
    target: str | None = None
    times: str | None = None
    group: str | None = None
    wanted: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    missing: list[str] = field(default_factory=list[str])
    dialects: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """How each column is written."""
    fit: float = 0
    """How much of the question the table explains."""
    name: str = ""
    remarks: list[str] = field(default_factory=list[str])
    """What has to be said beside the answer."""
    odd: bool = False
    """Whether a figure cannot be a measurement."""


def best_part(phrase: str, columns: list[str], least: float = 0.55) -> tuple[str | None, str]:
    """Return the column that a part of a phrase names, and the other words."""
    words = phrase.split()
    spans = [
        (likeness(" ".join(words[i:j]), c), j - i, i, c)
        for i in range(len(words))
        for j in range(i + 1, min(len(words), i + 5) + 1)
        for c in columns
    ]
    score, size, start, column = max(
        spans, key=lambda s: (round(s[0], 3), s[1]), default=(0, 0, 0, "")
    )
    if score < least:
        return None, phrase
    return column, " | ".join((" ".join(words[:start]), " ".join(words[start + size :])))


def resolve(query: dict[str, Any], columns: list[str], rows: list[Row]) -> Plan:
    """Match the words of a query with one table; what fits nothing is listed as missing."""
    plan = Plan(columns, rows)
    rest: str = query["rest"]
    if query["target"]:
        countable = query["ops"] in (["howmany"], ["count"], ["share"])
        least = 0.9 if countable else 0.55
        plan.target, left = best_part(query["target"], columns, least)
        if plan.target is None and query["ops"] == ["sum"]:
            plan.target, plan.times, left = as_product(query["target"], columns)
        if plan.target is None and not countable:
            wanted, left = find_values(query["target"], columns, rows)
            plan.wanted.update(wanted)
            plan.missing += [] if wanted and query["pick"] else [query["target"]]
        rest += " | " + (left if not countable else left.lower())
    if query["times"]:
        plan.times, left = best_part(query["times"], columns)
        plan.missing += [] if plan.times else [query["times"]]
    if query["group"] and query["group"][0] != "@":
        plan.group, left = best_part(query["group"], columns)
        if query["group"] == "name" and not plan.group:
            texts = [c for c in columns if not any(re.search(r"\d", r.get(c, "")) for r in rows)]
            plan.group, left = (texts[0] if texts else None), ""
        plan.missing += [] if plan.group else [query["group"]]
        rest += " | " + left
    for phrase, _, _ in query["filters"]:
        column, left = best_part(phrase, columns)
        plan.missing += [] if column else [phrase]
        rest += " | " + left
    values, rest = find_values(rest, columns, rows)
    plan.wanted.update(values)
    plan.missing += unmatched(rest, plan, {**query, "units": list(query["units"])})
    named = [query["target"] if plan.target else "", query["group"] if plan.group else ""]
    found = [likeness(p, c or "") for p, c in zip(named, [plan.target, plan.group], strict=True)]
    plan.fit = sum(found) + len(plan.wanted) + len(query["filters"]) + is_named(query, columns)
    return plan


def is_named(query: dict[str, Any], columns: list[str]) -> float:
    """Return how surely the thing that is counted is what this table's columns speak of."""
    return 0.5 * bool(query["target"] and find_column(query["target"].split()[-1], columns, 0.6))


def as_product(phrase: str, columns: list[str]) -> tuple[str | None, str | None, str]:
    """Take a turnover that no column holds for quantity times price."""
    if set(tokens(phrase)) & {"revenue", "turnover", "sale", "income", "value"}:
        pair = find_column("quantity", columns, 0.6), find_column("price", columns, 0.6)
        if all(pair) and pair[0] != pair[1]:
            return *pair, ""
    return None, None, phrase


def unmatched(rest: str, plan: Plan, query: dict[str, Any]) -> list[str]:
    """Return the words that fit neither column nor value; remark on columns without a part."""
    found: list[str] = []
    used = [plan.target, plan.times, plan.group, *plan.wanted]
    used += [best_part(phrase, plan.columns)[0] for phrase, _, _ in query["filters"]]
    for piece in rest.split("|"):
        words = re.findall(r"'[^']+'|[^\s,.;:?!()\"]+", piece)
        for before, word in pairwise(["", *words]):
            plain = word.strip("'").lower()
            known = plain in GENERIC or stem(plain) in query["known"].split()
            if known or not re.search(r"\w", word):
                continue
            if UNITS.fullmatch(plain):
                query["units"].append(plain)
                continue
            column = find_column(plain, plan.columns, 0.55)
            if column is None or (before.lower() == "and" and column not in used):
                found.append(word)
            elif before.lower() in {"of", "by"} and not (
                column[-2:] == "id" or find_column(plain, [c for c in used if c], 0.55)
            ):
                plan.remarks.append(f"Note: {word!r} was not taken as a condition.")
    return found + [unit for unit in query["units"] if unit and not fits(unit, used)]


def fits(unit: str, used: list[str | None]) -> bool:
    """Return whether a unit is that of a used column, as far as their names tell units."""
    ends = [re.split(r"[_\W]+", column.lower().strip(")] "))[-1] for column in used if column]
    known = [SHORT.get(end, end) for end in ends if UNITS.fullmatch(end)]
    unit = re.sub(r"degrees? (?=.)| old$", "", unit.lower())
    unit = SHORT.get(unit.rstrip("s"), unit)
    return unit in {*known, "degree"} or not known


def joined(tables: list[Table]) -> tuple[list[str], list[Row], str]:
    """Join tables one after another on the column that they share."""
    note, columns, rows = tables[0]
    for name, others, other_rows in tables[1:]:
        more = other_rows
        pairs = [(likeness(a, b), a, b) for a in columns for b in others]
        pairs = [
            (score, len({r[a] for r in rows} & {r[b] for r in more}), a, b)
            for score, a, b in pairs
            if score >= 0.55
        ]
        _, shared, left, right = max(pairs, default=(0, 0, "", ""))
        if not shared:
            stop(f"{name} shares no column with the other table: {columns} and {others}")
        unique = len({row[right] for row in more}) == len(more)
        if not unique and len({row[left] for row in rows}) == len(rows):
            rows, more, left, right = more, rows, right, left
        by_key = {row[right]: row for row in more}
        lost = sum(row[left] not in by_key for row in rows)
        if len(by_key) < len(more):
            stop(f"neither table has each value of {left!r} only once: they cannot be joined")
        rows = [{**by_key[row[left]], **row} for row in rows if row[left] in by_key]
        columns = list(dict.fromkeys([*columns, *others]))
        note += f" joined with {name} on {left} = {right} ({lost} rows without partner)"
    return columns, rows, note


def choose(query: dict[str, Any], tables: list[Table], problem: Exception | None) -> Plan:
    """Return the plan for the table, or for all joined, that holds what is asked for."""
    tried: list[Plan] = []
    query = {**query, "known": " ".join(tokens(name.rsplit(".", 1)[0])[0] for name, _, _ in tables)}
    for name, columns, rows in [] if query["join"] else tables:
        tried.append(resolve(query, columns, rows))
        tried[-1].name = name
    for group in [tables] if query["join"] else combinations(tables, 2):
        try:
            columns, rows, note = joined(list(group))
        except DataProblem:
            if query["join"]:
                raise
            continue
        tried.append(resolve(query, columns, rows))
        tried[-1].name = note
        tried[-1].fit -= 0.1
    good = [plan for plan in tried if not plan.missing and (plan.fit > 0 or len(tables) == 1)]
    if good:
        best = max(good, key=lambda plan: plan.fit)
        say(f"table {best.name}: {len(best.rows)} rows; columns: {', '.join(best.columns)}")
        return best
    if problem:
        raise problem
    best = min(tried, key=lambda plan: (len(plan.missing), -plan.fit))
    if best.missing:
        samples = "; ".join(
            f"{c}: {', '.join(list(dict.fromkeys(r.get(c, '') for r in best.rows))[:6])}"
            for c in best.columns
        )
        words = ", ".join(map(repr, dict.fromkeys(best.missing)))
        stop(f"no column or value matches {words}; there is {samples}"[:1500])
    return best
