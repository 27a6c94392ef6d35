"""Compute the measures of a query, group by group, and word the answer."""

import csv
import json
import math
import re
import statistics
from datetime import datetime
from pathlib import Path
from typing import Any

from models.embedded.programs.matching import date_column, find_column, tokens
from models.embedded.programs.reading import DATE_SHAPE, Row, dates, numbers, stop, summarise
from models.embedded.programs.resolving import UNITS, Plan

Cells = list[list[str]]
Result = tuple[list[str], Cells, str]
ADDITIVE = set(
    re.findall(
        r"\S+",
        "sale revenue amount unit quantity qty rain rainfall precipitation cost expense visit "
        "click download goal point hour energy kwh turnover profit total spending order view",
    )
)
NAMES = {
    "sum": "total of {}",
    "mean": "mean of {}",
    "min": "minimum of {}",
    "max": "maximum of {}",
    "median": "median of {}",
    "stdev": "standard deviation of {}",
    "count": "number of rows",
    "distinct": "number of different values of {}",
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def shown(figure: float, digits: int | None) -> str:
    """Return a figure as text, rounded as asked, else to four decimals."""
    if digits is not None:
        return f"{figure:.{digits}f}"
    rounded = round(figure, 4) or figure
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.10g}"


def rows_of(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count} row" if count == 1 else f"{count} rows"


def unit_of(column: str | None, asked: str) -> str:
    """Return the unit that a column's name tells, else the one that was asked for."""
    if not column:
        return ""
    said = re.search(r"[\[(]([^\])]+)[\])]", column)
    if said and (UNITS.fullmatch(said[1].lower()) or re.search(r"[°%/³²€$£]", said[1])):
        return " " + said[1]
    last = column.rsplit("_", 1)[-1]
    if last in {"c", "f"} and column.startswith("temp"):
        return f" °{last.upper()}"
    if "_" in column and UNITS.fullmatch(last.lower()):
        return " " + (last.upper() if last.lower() in {"eur", "usd", "gbp", "chf"} else last)
    return " " + asked if asked else ""


def is_numeric(column: str, rows: list[Row]) -> bool:
    """Return whether a column mostly holds figures that are no dates."""
    cells = [row[column] for row in rows if row.get(column)]
    figures = [c for c in cells if re.fullmatch(r"\D{0,3}\d[\d.,' ]*\D{0,4}", c)]
    return len(figures) > 0.8 * len(cells) > 0 and not any(DATE_SHAPE.search(c) for c in cells[:9])


def dated(plan: Plan, column: str, rows: list[Row]) -> list[tuple[Row, datetime]]:
    """Return the rows with their dates, and remark when the order of day and month is a guess."""
    pairs = dates(rows, column, plan.dialects[column])
    order = plan.dialects[column]["dates"]
    if order in {"DMY", "MDY"} and all(max(d.day, d.month) <= 12 for _, d in pairs):
        every = dates(plan.rows, column, plan.dialects[column])
        remark = (
            f"Note: dates in {column} such as {pairs[0][0][column] if pairs else ''} are read with"
            f" the {'day' if order == 'DMY' else 'month'} first; no row shows which is meant."
        )
        if all(d.day <= 12 for _, d in every) and remark not in plan.remarks:
            plan.remarks.append(remark)
    return pairs


def keys(plan: Plan, query: dict[str, Any], rows: list[Row]) -> list[tuple[str, Row]]:
    """Return each row with the name of its group."""
    group: str = query["group"]
    if not group:
        return [("", row) for row in rows]
    if plan.group:
        return [(row.get(plan.group, "") or "(empty)", row) for row in rows]
    column = date_column(plan.columns, plan.rows, query["rest"])
    forms = {"@year": "%Y", "@month": "%Y-%m", "@day": "%Y-%m-%d", "@hour": "%H", "@week": "%G-W%V"}
    pairs = dated(plan, column, rows)
    if group == "@weekday":
        return [(DAYS[day.weekday()], row) for row, day in pairs]
    if group == "@quarter":
        return [(f"{day.year}-Q{(day.month + 2) // 3}", row) for row, day in pairs]
    if group == "@when":
        return [(row[column], row) for row, _ in pairs]
    return [(day.strftime(forms[group]), row) for row, day in pairs]


def figures(plan: Plan, rows: list[Row]) -> list[tuple[Row, float]]:
    """Return the rows that hold what is measured, with the figure."""
    if not plan.target:
        stop("the question does not say which column to compute with")
    if tokens(plan.target)[-1] == "id":
        stop(f"{plan.target!r} only names things: it is nothing to compute with")
    pairs = numbers(rows, plan.target, plan.dialects[plan.target])
    if plan.times:
        factors = {id(r): f for r, f in numbers(rows, plan.times, plan.dialects[plan.times])}
        pairs = [(r, f * factors[id(r)]) for r, f in pairs if id(r) in factors]
    return pairs


def judge(plan: Plan, column: str, rows: list[Row]) -> None:
    """Print range and oddities of a column, in the light of all its rows."""
    dialect = plan.dialects[column]
    whole, used = ([f for _, f in numbers(some, column, dialect)] for some in (plan.rows, rows))
    plan.odd = summarise(column, whole, used) or plan.odd


def settle(plan: Plan, query: dict[str, Any]) -> list[str]:
    """Return the measures by name, those that depend on the table decided."""
    target, ops = plan.target, list(query["ops"])
    numeric = bool(target) and is_numeric(target or "", plan.rows)
    if ops == ["howmany"]:
        return ["sum"] if numeric else ["distinct"] if target else ["count"]
    if ops == ["auto"]:
        if not target or not numeric or tokens(target)[-1] == "id":
            return ["count"]
        if query["most"] or set(tokens(target)) & ADDITIVE or plan.times:
            return ["sum"]
        return ["min" if query["pick"] == "lowest" else "max"]
    return ops


def one(op: str, pairs: list[tuple[Row, float]], rows: list[Row], target: str | None) -> float:
    """Return one measure of one group."""
    if op == "count":
        return len(rows)
    if op == "distinct":
        return len({row[target or ""] for row in rows if row.get(target or "")})
    found = [figure for _, figure in pairs]
    if not found:
        return math.nan
    if op == "stdev":
        return statistics.stdev(found) if len(found) > 1 else math.nan
    compute = {
        "sum": math.fsum,
        "mean": statistics.fmean,
        "median": statistics.median,
        "min": min,
        "max": max,
    }
    return float(compute[op](found))


def measure(
    plan: Plan, query: dict[str, Any], rows: list[Row], base: list[Row], where: str
) -> Result:
    """Return the head and the rows of the resulting table, and the answer in words."""
    if query["ops"] in (["value"], ["rows"]):
        return listing(plan, query, rows, where)
    if query["ops"] == ["share"]:
        return share(plan, query, rows, base, where)
    ops = settle(plan, query)
    label = plan.target or "rows"
    if plan.times:
        label += f" \u00d7 {plan.times}"
    wants_figures = bool(set(ops) - {"count", "distinct"})
    pairs = figures(plan, rows) if wants_figures else []
    for column in (plan.target, plan.times):
        if column and wants_figures:
            judge(plan, column, rows)
    if wants_figures and not pairs:
        stop(f"no row has a value in {label}{where}")
    unit = "" if plan.times else unit_of(plan.target, query["unit"])
    heads = [NAMES[op].format(label) for op in ops]
    if not query["group"]:
        results = [one(op, pairs, rows, plan.target) for op in ops]
        used = pairs if wants_figures else [(row, 0.0) for row in rows]
        return scalar(query, ops, heads, results, used, unit, where)
    groups: dict[str, list[Row]] = {}
    for key, row in keys(plan, query, rows):
        groups.setdefault(key, []).append(row)
    by_row = {id(row): figure for row, figure in pairs} if wants_figures else None
    table = [line(plan, ops, key, members, by_row) for key, members in groups.items()]
    table = [entry for entry in table if not any(math.isnan(value) for value in entry[1])]
    return grouped(plan, query, table, heads, unit, where)


def line(
    plan: Plan, ops: list[str], key: str, members: list[Row], by_row: dict[int, float] | None
) -> tuple[str, list[float], int]:
    """Return a group's name, its measures, and how many rows they rest on."""
    own = [(row, by_row[id(row)]) for row in members if by_row and id(row) in by_row]
    values = [one(op, own, members, plan.target) for op in ops]
    return key, values, len(members) if by_row is None else len(own)


def scalar(
    query: dict[str, Any],
    ops: list[str],
    heads: list[str],
    results: list[float],
    used: list[tuple[Row, float]],
    unit: str,
    where: str,
) -> Result:
    """Word the answer to a question for single figures."""
    cells = [shown(v, digits_of(op, query)) for op, v in zip(ops, results, strict=True)]
    units = ["" if op in {"count", "distinct"} else unit for op in ops]
    said = [f"the {h} is {c}{u}" for h, c, u in zip(heads, cells, units, strict=True)]
    if where and len(said) == 1:
        said = [f"the {heads[0]}{where} is {cells[0]}{units[0]}"]
    text = ", ".join(said[:-1]) + (" and " if said[1:] else "") + said[-1]
    if where and len(said) > 1:
        text += f",{where}"
    if ops in (["max"], ["min"]):
        row = next(row for row, figure in used if figure == results[0])
        facts = [f"{c} {v}" for c, v in row.items() if v and c not in heads[0]]
        text += f" (at {', '.join(facts[:4])})" if facts else ""
    if ops != ["count"]:
        text += f" ({rows_of(len(used))} used)"
    return heads, [cells], text[0].upper() + text[1:] + "."


def digits_of(op: str, query: dict[str, Any]) -> int | None:
    """Return to how many decimals a measure is rounded; counts never are."""
    return None if op in {"count", "distinct"} else query["digits"]


def order_of(key: str) -> tuple[int, float, str]:
    """Return by what groups are put in order: weekdays, then figures, then words."""
    if key in DAYS:
        return 0, DAYS.index(key), key
    return (1, float(key), "") if re.fullmatch(r"-?\d+(\.\d+)?", key) else (2, 0, key)


def grouped(
    plan: Plan,
    query: dict[str, Any],
    table: list[tuple[str, list[float], int]],
    heads: list[str],
    unit: str,
    where: str,
) -> Result:
    """Word the answer to a question for figures by group."""
    name = plan.group or query["group"].strip("@")
    table.sort(key=lambda line: order_of(line[0]))
    if query["pick"] or query["sort"]:
        table.sort(
            key=lambda line: line[1][0], reverse=(query["pick"] or query["sort"]) == "highest"
        )
    limit: int = query["limit"]
    if limit and len(table) > limit:
        last: float = table[limit - 1][1][0]
        table = [t for i, t in enumerate(table) if i < limit or t[1][0] == last]
    digits = None if "number of" in heads[0] else query["digits"]
    cells = [[key, *(shown(v, digits) for v in values), str(n)] for key, values, n in table]
    head = [name, *heads, "rows"] if heads != ["number of rows"] else [name, *heads]
    cells = [line[: len(head)] for line in cells]
    if "number of" in heads[0]:
        unit = ""
    figure = re.sub(r"^(?:maximum|minimum) of ", "", heads[0])
    if query["limit"] == 1 and len(cells) == 1:
        text = (
            f"The {name} with the {query['pick']} {figure}{where} is {cells[0][0]}: "
            f"{cells[0][1]}{unit} ({rows_of(int(cells[0][-1]))})."
        )
    elif query["limit"] == 1:
        ties = " and ".join(line[0] for line in cells)
        text = f"Equal {query['pick']} {figure}{where}: {ties}, with {cells[0][1]}{unit} each."
    else:
        text = (
            f"{', '.join(heads).capitalize()} by {name}{where}{' in' + unit if unit else ''}:\n"
            + markdown(head, cells)
        )
    return head, cells, text


def markdown(heads: list[str], cells: Cells) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join("| " + " | ".join(c.replace("|", "/") for c in line) + " |" for line in lines)


def share(
    plan: Plan, query: dict[str, Any], rows: list[Row], base: list[Row], where: str
) -> Result:
    """Word the answer to a question for a part of the whole."""
    if plan.target and is_numeric(plan.target, plan.rows):
        judge(plan, plan.target, base)
        part, whole = (math.fsum(f for _, f in figures(plan, r)) for r in (rows, base))
        label = plan.target
    else:
        part, whole, label = len(rows), len(base), "rows"
    if not whole:
        stop(f"there is nothing to take a share of{where}")
    cell = shown(100 * part / whole, 2 if query["digits"] is None else query["digits"]) + " %"
    text = f"The share of {label}{where} is {cell} ({shown(part, None)} of {shown(whole, None)})."
    return [f"share of {label}"], [[cell]], text


def listing(plan: Plan, query: dict[str, Any], rows: list[Row], where: str) -> Result:
    """Word the answer to a question for values or rows."""
    if query["sort_by"]:
        column = find_column(query["sort_by"], plan.columns)
        if column is None:
            stop(f"no column matches {query['sort_by']!r}; there are {', '.join(plan.columns)}")
        if is_numeric(column, rows):
            ordered = sorted(numbers(rows, column, plan.dialects[column]), key=lambda p: p[1])
        elif any(DATE_SHAPE.search(row.get(column, "")) for row in rows[:9]):
            ordered = sorted(dates(rows, column, plan.dialects[column]), key=lambda p: p[1])
        else:
            ordered = sorted(((row, row.get(column, "")) for row in rows), key=lambda p: p[1])
        rows = [row for row, _ in ordered]
        rows = rows[::-1] if query["sort"] == "highest" else rows
    rows = rows[: query["limit"]] if query["limit"] else rows
    if query["ops"] == ["rows"] or not plan.target:
        cells = [[row.get(column, "") for column in plan.columns] for row in rows]
        text = f"{rows_of(len(cells))}{where}:\n" + markdown(plan.columns, cells[:50])
        if len(cells) > 50:
            text += f"\n(the first 50 of {len(cells)})"
        return plan.columns, cells, text
    values = list(dict.fromkeys(row[plan.target] for row in rows if row.get(plan.target)))
    unit = unit_of(plan.target, query["unit"]) if is_numeric(plan.target, rows) else ""
    said = (
        f"is {values[0]}{unit}"
        if len(values) == 1
        else f"has {len(values)} values: {', '.join(values[:200])}"
    )
    return [plan.target], [[v] for v in values], f"The {plan.target}{where} {said}."


def write(name: str, results: list[Result]) -> None:
    """Write the results into a file of the kind that its name tells."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith((".csv", ".tsv")):
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="\t" if name.endswith(".tsv") else ",")
            for n, (heads, cells, _) in enumerate(results):
                writer.writerows([*([[]] if n else []), heads, *cells])
    elif name.endswith(".json"):
        tables = [[dict(zip(h, line, strict=True)) for line in c] for h, c, _ in results]
        data = tables if len(tables) > 1 else tables[0]
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        title = f"# {path.stem.replace('_', ' ').capitalize()}\n\n" if name.endswith(".md") else ""
        text = "\n\n".join(text for _, _, text in results)
        path.write_text(f"{title}{text}\n", encoding="utf-8")
