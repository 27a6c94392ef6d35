"""Answer a parsed question from tables: the main program."""

from datetime import datetime
from typing import Any

from models.embedded.programs.computing import measure, write
from models.embedded.programs.matching import date_column, need_column
from models.embedded.programs.reading import (
    DataProblem,
    Row,
    dates,
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
        excluded = bool(lowered & set(query["excluded"]))
        rows = [r for r in rows if (r.get(column, "").lower() in lowered) != excluded]
        said.append(f"{column} {'is not' if excluded else '='} {' or '.join(values)}")
    for phrase, sign, value in query["filters"]:
        column = best_part(phrase, plan.columns)[0] or need_column(phrase, plan.columns)
        rows = compare(rows, column, sign, value, plan.dialects[column])
        said.append(f"{column} {sign} {value}")
    return rows, said


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
    pairs = dates(plan.rows, column, plan.dialects[column])
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


def main(dialects: dict[str, dict[str, Any]], query: dict[str, Any]) -> None:
    """Read, match, filter, compute, check, and print the answer."""
    tables, problem = readable(dialects)
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
    heads, table, answer = measure(plan, query, rows, base, where)
    if query["output"]:
        write(query["output"], heads, table, answer)
        answer += f"\nWritten to {query['output']}."
    say("ANSWER: " + answer)
