"""Read a table as its dialect says, and stop with an exact message where it does not fit."""

import csv
import io
import json
import re
import sys
from collections import Counter
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn, cast

Row = dict[str, str]
Pairs = list[tuple[Row, float]]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DATE_SHAPE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.? [A-Z][a-z]{2,8},? \d{4}")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


class DataProblem(Exception):  # noqa: N818 - the traceback's last line reads better so
    """The data or the question is not as this program assumed."""


def stop(message: str) -> NoReturn:
    """End with an error that says what does not fit."""
    raise DataProblem(message)


def flat(value: dict[str, Any], prefix: str = "") -> Row:
    """Return a JSON object as one row; keys of inner objects are joined with a point."""
    row: Row = {}
    for key, item in value.items():
        if isinstance(item, dict):
            row.update(flat(cast("dict[str, Any]", item), f"{prefix}{key}."))
        else:
            row[prefix + key] = "" if item is None else item if isinstance(item, str) else str(item)
    return row


def read_json(name: str, text: str) -> list[Row]:
    """Return the objects of a JSON or JSON lines text as rows."""
    if name.endswith(".json"):
        data: Any = json.loads(text)
        inner = (
            [v for v in cast("Row", data).values() if isinstance(v, list)]
            if isinstance(data, dict)
            else [data]
        )
        items = cast("list[Any]", inner[0] if inner else [data])
    else:
        items = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [flat(item) for item in items]


class HtmlTables(HTMLParser):
    """Collects the cells of every table of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a table, a row or a cell."""
        del attrs
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in {"td", "th"} and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        """Close a cell."""
        if tag in {"td", "th", "tr", "table"}:
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        """Add text to the open cell."""
        if self.in_cell:
            self.tables[-1][-1][-1] += data


def read_html(name: str, text: str) -> tuple[list[str], list[Row]]:
    """Return the largest table of a page."""
    parser = HtmlTables()
    parser.feed(text)
    table = [r for r in max([[], *parser.tables], key=len) if any(c.strip() for c in r)]
    if len(table) < 2:
        stop(f"the page {name} holds no table")
    columns = [" ".join(cell.split()) for cell in table[0]]
    return columns, [
        {c: " ".join(cell.split()) for c, cell in zip(columns, line, strict=False)}
        for line in table[1:]
    ]


def read_table(name: str, dialect: dict[str, Any]) -> tuple[list[str], list[Row]]:
    """Return the column names and the rows of a table."""
    say(f"reading {name} as {json.dumps(dialect)}")
    text = Path(name).read_text(encoding=dialect["encoding"]).lstrip("\ufeff")
    if name.endswith((".json", ".jsonl", ".ndjson")):
        rows = read_json(name, text)
        return list(dict.fromkeys(key for row in rows for key in row)), rows
    if name.endswith((".html", ".htm")):
        return read_html(name, text)
    stream = io.StringIO(text, newline="")
    for _ in range(dialect["header_line"] - 1):
        stream.readline()
    lines = [
        r for r in csv.reader(stream, delimiter=dialect["separator"]) if any(c.strip() for c in r)
    ]
    check_shape(name, text, lines)
    header = [cell.strip() for cell in lines[0]]
    columns = [column for column in header if column]
    return columns, [
        {c: cell.strip() for c, cell in zip(header, line, strict=False) if c} for line in lines[1:]
    ]


def check_shape(name: str, text: str, lines: list[list[str]]) -> None:
    """Stop when the header does not look like the header of these rows."""
    head = "\n".join("  line " + repr(line[:160]) for line in text.splitlines()[:6])
    if len(lines) < 2:
        stop(f"{name} has no rows below its header; its first lines are\n{head}")
    usual = Counter(len(line) for line in lines[1:60]).most_common(1)[0][0]
    first = "".join(cell for line in lines[:9] for cell in line)
    if usual == len(lines[0]) == 1 and re.search(r"[;\t|]", first):
        stop(f"{name} reads as a single column; its first lines are\n{head}")
    if usual != len(lines[0]):
        stop(
            f"{name}: {len(lines[0])} fields in the header, {usual} in the rows; first "
            f"lines\n{head}"
        )


def is_missing(value: str, dialect: dict[str, Any]) -> bool:
    """Return whether a cell stands for no value."""
    return not value or value in dialect["missing"]


def number(value: str, dialect: dict[str, Any]) -> float:
    """Return a cell as a number; a ValueError when it is none."""
    if dialect["strip"]:
        value = re.sub(r"^[^\d.,+-]+|[^\d.,]+$", "", value)
    if mark := dialect["thousands"]:
        whole = value.partition(dialect["decimal"])[0].lstrip("+-")
        if mark in whole and not re.fullmatch(rf"\d{{1,3}}({re.escape(mark)}\d{{3}})+", whole):
            raise ValueError(value)
        value = value.replace(mark, "")
    if dialect["decimal"] != ".":
        value = value.replace(dialect["decimal"], ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value):
        raise ValueError(value)
    return float(value)


def numbers(rows: list[Row], column: str, dialect: dict[str, Any]) -> Pairs:
    """Return each row that has a number in the column, with the number."""
    pairs: Pairs = []
    bad: dict[str, int] = {}
    for index, row in enumerate(rows, start=2):
        value = row.get(column, "")
        if is_missing(value, dialect):
            continue
        try:
            figure = number(value, dialect)
        except ValueError:
            bad.setdefault(value, index)
            continue
        if f"{figure:g}" not in dialect["missing"]:
            pairs.append((row, figure))
    if bad:
        listed = ", ".join(f"{v!r} (row {n})" for v, n in list(bad.items())[:12])
        stop(f"{dialect['file']}: cannot read as numbers in column {column!r}: {listed}")
    return pairs


def summarise(column: str, figures: list[float], used: list[float]) -> bool:
    """Print range and oddities of the used figures, and return whether there are oddities."""
    if not used:
        return False
    say(f"column {column!r}: {len(used)} numbers, min {min(used):g}, max {max(used):g}")
    found = False
    for extreme in {min(figures), max(figures)} & set(used):
        rest = [f for f in figures if f != extreme]
        if len(rest) < 3:
            continue
        span = max(rest) - min(rest)
        gap = min(rest) - extreme if extreme < min(rest) else extreme - max(rest)
        times = len(figures) - len(rest)
        nines = re.fullmatch(r"-?99+", f"{extreme:g}") and gap > span
        below = extreme < 0 and extreme == int(extreme) and times > 1 and gap > 2 * span
        if nines or (below and span > 0):
            found = True
            say(
                f"odd: {extreme:g} occurs {times} times in column {column!r}, far outside the"
                f" rest ({min(rest):g} to {max(rest):g})"
            )
    return found


def date(value: str, order: str) -> datetime:
    """Return a cell as a date and time; a ValueError when it is none in this order."""
    if order == "ISO":
        return datetime.fromisoformat(value).replace(tzinfo=None)
    if order == "text":
        words = re.findall(r"[A-Za-z]{3,}", value)
        month = next((MONTHS.index(w[:3].lower()) + 1 for w in words if w[:3].lower() in MONTHS), 0)
        figures = sorted(int(n) for n in re.findall(r"\d+", value)[:2])
        return datetime(figures[-1], month, figures[0])  # noqa: DTZ001 - as the file has it
    parts = [int(n) for n in re.findall(r"\d+", value)]
    year, month, day = (parts[order.index(letter)] for letter in "YMD")
    clock = timedelta(hours=parts[3], minutes=parts[4]) if len(parts) > 4 else timedelta()
    year += 2000 if year < 100 else 0
    return datetime(year, month, day) + clock  # noqa: DTZ001 - as the file has it


def dates(rows: list[Row], column: str, dialect: dict[str, Any]) -> list[tuple[Row, datetime]]:
    """Return each row that has a date in the column, with the date."""
    pairs: list[tuple[Row, datetime]] = []
    for index, row in enumerate(rows, start=2):
        value = row.get(column, "")
        if is_missing(value, dialect):
            continue
        try:
            pairs.append((row, date(value, dialect["dates"])))
        except (ValueError, IndexError):
            stop(
                f"{dialect['file']}: {value!r} in column {column!r}, row {index}, is "
                f"not a date of order"
                f" {dialect['dates']}; {date_parts(rows, column)}"
            )
    return pairs


def date_parts(rows: list[Row], column: str) -> str:
    """Say how large each part of a column's dates gets: that tells their order."""
    found = [[int(n) for n in re.findall(r"\d+", row.get(column, ""))[:3]] for row in rows]
    largest = [max(part) for part in zip(*[f for f in found if len(f) == 3], strict=True)]
    return f"the parts of its dates reach {largest}"
