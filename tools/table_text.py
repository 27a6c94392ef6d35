"""Turns a table of a web page into Markdown rows."""

from dataclasses import dataclass, field

from bs4 import Tag
from bs4.element import NavigableString, PreformattedString

from tools.markup import BLOCKS, DROPPED, events

_MAX_SPAN = 50
_MAX_COLUMNS = 200
_MAX_CHARS = 1 << 20


@dataclass
class _Cell:
    columns: int
    rows: int
    heading: bool
    pieces: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split()).replace("|", "\\|")


def table_text(table: Tag) -> str:
    """Return the rows of a table; what spans rows or columns is repeated in each."""
    caption = table.find("caption")
    lines = [" ".join(caption.get_text().split())] if isinstance(caption, Tag) else []
    carried: dict[int, tuple[int, str]] = {}
    size = 0
    rows = [row for row in _rows(table) if row]
    for position, row in enumerate(rows):
        cells = _filled(row, carried)
        lines.append("| " + " | ".join(cells) + " |")
        if position == 0 and any(cell.heading for cell in row):
            lines.append("|" + " --- |" * len(cells))
        size += len(lines[-1])
        if size > _MAX_CHARS:
            lines.append("[the rest of the table is left out]")
            break
    return "\n".join(lines)


def _rows(table: Tag) -> list[list[_Cell]]:
    """Collect the cells by where they begin: HTML lets their ends be left out."""
    rows: list[list[_Cell]] = []
    cell: _Cell | None = None
    skipped: set[int] = set()
    for event, node in events(table, skipped):
        if isinstance(node, NavigableString):
            if cell is not None and not isinstance(node, PreformattedString):
                cell.pieces.append(node)
        elif event == "close" and node.name in {"td", "th", "tr"}:
            cell = None
        elif event == "open" and node.name == "tr":
            rows.append([])
            cell = None
        elif event == "open" and node.name in {"td", "th"}:
            cell = _Cell(_span(node, "colspan"), _span(node, "rowspan"), node.name == "th")
            rows = rows or [[]]
            rows[-1].append(cell)
        elif node.name in DROPPED or node.name == "caption":
            skipped.add(id(node))
        elif cell is not None and node.name in BLOCKS:
            cell.pieces.append(" ")
    return rows


def _filled(row: list[_Cell], carried: dict[int, tuple[int, str]]) -> list[str]:
    cells: list[str] = []
    for cell in row:
        _carry(cells, carried)
        if len(cells) >= _MAX_COLUMNS:
            break
        text = cell.text
        for _ in range(cell.columns):
            if cell.rows > 1:
                carried[len(cells)] = (cell.rows - 1, text)
            cells.append(text)
    _carry(cells, carried)
    return cells


def _carry(cells: list[str], carried: dict[int, tuple[int, str]]) -> None:
    """Fill the columns that a cell further up reaches down to."""
    while len(cells) in carried:
        left, text = carried.pop(len(cells))
        if left > 1:
            carried[len(cells)] = (left - 1, text)
        cells.append(text)


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name, "1"))
    # A length bound, for int() of a very long number is an error.
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() and len(value) < 9 else 1
