"""How a data file is written: what is assumed, what tips tell, what an error teaches."""

import csv
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from typing import Any

_NAMES = {";": "';'", "\t": "tabs", "|": "'|'", ",": "','", ":": "':'"}
_ORDERS = {"DMY": "DD/MM/YYYY (day first)", "MDY": "MM/DD/YYYY (month first)",
           "YMD": "YYYY/MM/DD (year first)", "text": "with the month's name"}  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """The assumptions about one file; the defaults are the plain ones."""

    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    encoding: str = "utf-8"
    header_line: int = 1
    dates: str = "ISO"
    missing: tuple[str, ...] = ()
    strip: bool = False
    """Whether figures carry signs or units that have to be cut off."""

    def as_dict(self) -> dict[str, Any]:
        """Return the dialect as a program's header holds it."""
        return asdict(self) | {"missing": list(self.missing)}


def plain(name: str) -> Dialect:
    """Return the first assumption about a file."""
    return Dialect(separator="\t") if name.endswith((".tsv", ".tab")) else Dialect()


def facts(name: str, dialect: Dialect) -> str:
    """Say in one sentence in which ways a file is not plain; empty when it is."""
    usual = plain(name)
    said: list[str] = []
    if dialect.separator != usual.separator:
        said.append(
            f"separates fields with {_NAMES.get(dialect.separator, repr(dialect.separator))}"
        )
    if dialect.decimal != ".":
        said.append(f"writes decimals with '{dialect.decimal}'")
    if dialect.thousands:
        said.append(f"groups thousands with '{dialect.thousands}'")
    if dialect.encoding != "utf-8":
        said.append(f"is encoded in {dialect.encoding}")
    if dialect.header_line > 1:
        said.append(f"has its header in line {dialect.header_line}")
    if dialect.dates != "ISO":
        said.append(f"writes dates as {_ORDERS[dialect.dates]}")
    if dialect.strip:
        said.append("writes signs or units beside its figures")
    said += [f"{value} stands for a missing value" for value in dialect.missing]
    return f"{name} {'; '.join(said)}" if said else ""


def from_tips(name: str, tips: str) -> Dialect:
    """Return the dialect of a file, the tips that are about it taken into account."""
    dialect = plain(name)
    for line in tips.splitlines():
        scope = re.search(r"\((?:file|family|folder) ([^()]+)\)\s*$", line)
        if name in line or (scope and fnmatch(name, scope[1].strip())):
            dialect = _read_tip(re.sub(r"\([a-z]+ [^()]*\)\s*$", "", line), dialect)
    return dialect


def _read_tip(line: str, dialect: Dialect) -> Dialect:
    found: dict[str, Any] = {}
    if separator := re.search(
        (
            r"(?:separat|delimit)[^;|]*?('[^']{1,2}'|semicolons?|tabs?|pipes?|commas?)"
            r"|(semicolon|tab)[- ](?:separated|delimited)"
        ),
        line,
    ):
        word = (separator[1] or separator[2]).strip("'").rstrip("s")
        found["separator"] = {
            "semicolon": ";",
            "tab": "\t",
            "pipe": "|",
            "comma": ",",
            "\\t": "\t",
        }.get(word, word)
    if re.search(r"decimals? (?:numbers )?with (?:a )?(?:','|comma)|decimal comma", line):
        found["decimal"] = ","
    if thousands := re.search(r"thousands with '(.)'", line):
        found["thousands"] = thousands[1]
    if encoding := re.search(
        r"\b(latin-1|iso-8859-1|cp1252|windows-1252|utf-16)\b", line, re.IGNORECASE
    ):
        found["encoding"] = encoding[1].lower()
    if header := re.search(r"header (?:is )?(?:in|on) line (\d+)", line):
        found["header_line"] = max(1, int(header[1]))
    if dates := re.search(
        r"day[ -]first|month[ -]first|year first|month's name|DD[/.-]MM[/.-]|MM[/.-]DD[/.-]", line
    ):
        found["dates"] = {"d": "DMY", "DD": "DMY", "MM": "MDY", "y": "YMD"}.get(
            dates[0][:2] if dates[0][0].isupper() else dates[0][0],
            "text" if "name" in dates[0] else "MDY",
        )
    if "signs or units beside" in line:
        found["strip"] = True
    missing = re.findall(
        r"(?:^|[;,:] |\s)(\S+) (?:stands? for|means?|marks?|is used for) (?:a )?missing", line
    )
    return replace(dialect, missing=tuple(dict.fromkeys((*dialect.missing, *missing))), **found)


def mend(name: str, dialect: Dialect, report: str) -> Dialect:
    """Return the dialect with everything changed that a report of errors and oddities tells."""
    shape = re.search(rf"{re.escape(name)}(?: reads as a single|: \d+ fields| has no rows)", report)
    head = _head(report) if shape else []
    reading = re.findall(r"(?m)^reading (\S.*?) as \{", report)
    if "UnicodeDecodeError" in report:
        if reading and reading[-1] != name:
            return dialect
        utf16 = re.search(r"can't decode byte 0xf[ef] in position 0", report)
        return replace(dialect, encoding="utf-16" if utf16 else "cp1252")
    if "UnicodeError" in report or (
        "byte" in report and dialect.encoding == "cp1252" and "charmap" in report
    ):
        return replace(dialect, encoding="latin-1")
    if head:
        dialect = _from_head(head, dialect)
    if wrong := re.search(
        rf"{re.escape(name)}: cannot read as numbers in column .+?: (.+)", report
    ):
        dialect = _from_cells(
            re.findall(r"(?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\") \(row", wrong[1]), dialect
        )
    if wrong := re.search(
        rf"{re.escape(name)}: ('.+') in column .+? is not a date.*?reach \[([\d, ]*)\]", report
    ):
        dialect = replace(
            dialect, dates=_order(wrong[1], [int(n) for n in re.findall(r"\d+", wrong[2])])
        )
    odd = re.findall(r"(?m)^odd: (-?[\d.e+]+) occurs", report)
    return replace(dialect, missing=tuple(dict.fromkeys((*dialect.missing, *odd))))


def _head(report: str) -> list[str]:
    """Return the first lines of a file, as a report quotes them."""
    quoted = re.findall(r"(?m)^\s*line (['\"])(.*)\1\s*$", report)
    return [text.replace("\\t", "\t") for _, text in quoted]


def _from_head(head: list[str], dialect: Dialect) -> Dialect:
    """Find separator and header line in which the first lines agree best."""

    def agreement(separator: str) -> tuple[int, int]:
        counts = Counter(
            n for line in head if (n := len(re.sub(r'"[^"]*"', "", line).split(separator))) > 1
        )
        fields, lines = counts.most_common(1)[0] if counts else (0, 0)
        return lines, fields

    separator = max((";", "\t", "|", ","), key=agreement)
    _, fields = agreement(separator)
    header = next(
        (
            i
            for i, line in enumerate(head, 1)
            if len(re.sub(r'"[^"]*"', "", line).split(separator)) == fields
        ),
        1,
    )
    dialect = replace(dialect, separator=separator, header_line=header)
    cells = csv.reader(head[header:], delimiter=separator)
    body = [cell.strip() for line in cells for cell in line]
    commas = [cell for cell in body if re.fullmatch(r"-?\d+,\d+", cell)]
    if commas and (
        separator == ";" or any(not re.fullmatch(r"-?\d{1,3},\d{3}", c) for c in commas)
    ):
        dialect = replace(dialect, decimal=",")
    days = [cell for cell in body if re.match(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}", cell)]
    parts = [[int(n) for n in re.findall(r"\d+", day)[:3]] for day in days]
    if days and any(max(part[:2]) > 12 for part in parts):
        dialect = replace(
            dialect, dates=_order(repr(days[0]), [max(p) for p in zip(*parts, strict=True)])
        )
    return dialect


def _from_cells(pairs: list[tuple[str, str]], dialect: Dialect) -> Dialect:
    """Find out how figures are written from cells that could not be read."""
    cells = [a or b for a, b in pairs]
    words = [cell for cell in cells if not re.search(r"\d", cell)]
    dialect = replace(dialect, missing=tuple(dict.fromkeys((*dialect.missing, *words))))
    figures = [cell for cell in cells if cell not in words]
    bare = [re.sub(r"^[^\d.,+-]+|[^\d.,]+$", "", cell) for cell in figures]
    if bare != figures:
        dialect = replace(dialect, strip=True)
    if any(re.search(r"\d[ '\u00a0\u202f]\d", cell) for cell in bare):
        dialect = replace(
            dialect, thousands=next(m[0] for c in bare if (m := re.search(r"[ '\u00a0\u202f]", c)))
        )
    with_comma = [cell for cell in bare if "," in cell]
    if with_comma:
        grouped = all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", cell) for cell in with_comma)
        if grouped and dialect.separator != ";":
            return replace(dialect, thousands=",")
        point = any("." in cell for cell in with_comma)
        return replace(
            dialect, decimal=",", thousands="." if point else dialect.thousands.strip(",")
        )
    if dialect.decimal == "," and any(
        re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", cell) for cell in bare
    ):
        return replace(dialect, thousands=".")
    return dialect


def _order(sample: str, largest: list[int]) -> str:
    """Return the order of day, month and year that fits the largest value of each part."""
    if re.search(r"[A-Za-z]{3}", sample):
        return "text"
    if len(largest) < 3 or largest[0] > 31:
        return "YMD"
    if largest[1] > 12:
        return "MDY"
    return "DMY"
