"""Answer a parsed question from tables: the main program."""

from datetime import datetime
from typing import Any

from models.embedded.programs.computing import Result, dated, measure, write
from models.embedded.programs.matching import date_column, need_column, stem
from models.embedded.programs.reading import (
    DataProblem,
    Row,
    number,
    numbers,
    read_table,
    say,
    stop,
)
from models.embedded.programs.resolving import Plan, Table, best_part, choose

MEASURES = {"sum", "mean", "median", "min", "max", "stdev"}


def keep(plan: Plan, query: dict[str, Any], rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows that the conditions let through, and the conditions in words."""
    said: list[str] = []
    for column, values in plan.wanted.items():
        lowered = {value.lower() for value in values}
        excluded = any(is_excluded(value, query) for value in lowered)
        rows = [r for r in rows if (r.get(column, "").lower() in lowered) != excluded]
        said.append(f"{column} {'is not' if excluded else '='} {' or '.join(values)}")
    for phrase, sign, value in query["filters"]:
        column = best_part(phrase, plan.columns)[0] or need_column(phrase, plan.columns)
        rows = compare(rows, column, sign, value, plan.dialects[column])
        said.append(f"{column} {sign} {value}")
    used = [value.lower() for values in plan.wanted.values() for value in values]
    for word in query["excluded"]:
        if not any(is_excluded(value, {"excluded": [word]}) for value in used):
            stop(f"no value matches {word!r}, which is to be left out")
    return rows, said


def is_excluded(value: str, query: dict[str, Any]) -> bool:
    """Return whether the question leaves a value out."""
    return any(value.startswith((word, stem(word))) for word in query["excluded"])


def compare(
    rows: list[Row], column: str, sign: str, value: str, dialect: dict[str, Any]
) -> list[Row]:
    """Return the rows whose cell stands in this relation to a value."""
    try:
        limit = number(value, {**dialect, "decimal": ".", "thousands": ",", "strip": True})
    except ValueError:
        wanted = value.lower()
        return [r for r in rows if (r.get(column, "").lower() == wanted) == (sign == "=")]
    signs = {"<": "<", "<=": "<=", "=": "=", ">=": ">=", ">": ">", "!=": "<>"}[sign]
    pairs = numbers(rows, column, dialect)
    return [r for r, f in pairs if "<=>"[(f > limit) - (f < limit) + 1] in signs]


def within(plan: Plan, query: dict[str, Any], said: list[str]) -> list[Row]:
    """Return the rows whose date lies in the periods asked for."""
    if not query["periods"] and not query["parts"]:
        return plan.rows
    column = date_column(plan.columns, plan.rows, query["rest"])
    pairs = dated(plan, column, plan.rows)
    for start, end in query["periods"]:
        pairs = [(r, d) for r, d in pairs if start <= d.isoformat() < (end or "9999")]
        said.append(
            f"{column} from {start or 'the start'} to {'before ' + end if end else 'the end'}"
        )
    for unit, wanted in query["parts"]:
        pairs = [(r, d) for r, d in pairs if part(d, unit) in wanted]
        said.append(f"{unit} of {column} in {wanted}")
    return [row for row, _ in pairs]


def part(when: datetime, unit: str) -> int:
    """Return the number of a date's part."""
    return when.weekday() if unit == "weekday" else int(getattr(when, unit))


def readable(dialects: dict[str, dict[str, Any]]) -> tuple[list[Table], Exception | None]:
    """Return the tables that can be read, and why one of the others cannot."""
    tables: list[Table] = []
    problem: Exception | None = None
    for name, dialect in dialects.items():
        try:
            tables.append((name, *read_table(name, dialect)))
        except (DataProblem, ValueError) as error:
            problem = problem or error
    if problem and not tables:
        raise problem
    return tables, problem


def check(plan: Plan, query: dict[str, Any]) -> None:
    """Stop with everything at once that is not written as the dialects say."""
    problems: list[str] = []
    try:
        within(plan, query, [])
    except DataProblem as problem:
        problems.append(str(problem))
    for column in (plan.target, plan.times):
        try:
            if column and set(query["ops"]) & MEASURES:
                numbers(plan.rows, column, plan.dialects[column])
        except DataProblem as problem:
            problems.append(str(problem))
    if problems:
        stop("\n".join(problems))


def answer(
    tables: list[Table],
    problem: Exception | None,
    dialects: dict[str, dict[str, Any]],
    query: dict[str, Any],
) -> tuple[Plan, Result]:
    """Match, filter and compute one query."""
    plan = choose(query, tables, problem)
    for name, columns, _ in reversed(tables):
        plan.dialects |= {column: {**dialects[name], "file": name} for column in columns}
    check(plan, query)
    said: list[str] = []
    base = within(plan, query, said)
    rows, conditions = keep(plan, query, base)
    where = " where " + " and ".join(said + conditions) if said or conditions else ""
    say(f"rows used: {len(rows)} of {len(plan.rows)}{where}")
    if not rows and set(query["ops"]) - {"howmany", "count", "share"}:
        stop(f"no row is left{where}")
    if query["ops"] == ["share"] and len(conditions) != 1:
        stop(f"expected one condition for a share, found {len(conditions)}{where}")
    heads, table, text = measure(plan, query, rows, base, where)
    return plan, (heads, table, "\n".join([text, *plan.remarks]))


def together(plans: list[Plan], queries: list[dict[str, Any]]) -> None:
    """Stop when it is not said to which of several questions a condition belongs."""
    facts = [
        (p.wanted, q["filters"], q["periods"], q["parts"], "" if q["pick"] else q["group"])
        for p, q in zip(plans, queries, strict=True)
    ]
    for n, query in enumerate(queries):
        if query["elliptic"] and str(facts[n]) != str(facts[n - 1]):
            stop("a condition or a group is said of one figure only; ask for each by itself")


def main(dialects: dict[str, dict[str, Any]], queries: list[dict[str, Any]]) -> None:
    """Read, answer each query, and write the results once they are all sound."""
    tables, problem = readable(dialects)
    found = [answer(tables, problem, dialects, query) for query in queries]
    if len(queries) > 1:
        together([plan for plan, _ in found], queries)
    text = "\n".join(result[2] for _, result in found)
    output = queries[0]["output"]
    if output and not any(plan.odd for plan, _ in found):
        write(output, [result for _, result in found])
        text += f"\nWritten to {output}."
    say("ANSWER: " + text)
