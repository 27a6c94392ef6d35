"""Turns a web page into text that a model can read: headings, links and tables are kept."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Comment, Tag
from bs4.element import NavigableString, PreformattedString

_DROPPED = ("script", "style", "noscript", "template", "svg", "iframe", "object", "head")
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body br caption dd details div dl dt fieldset figcaption"
        " figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table"
        " tbody td tfoot th thead tr ul",
    )
)
_MAX_SPAN = 50
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")


class _Block(NavigableString):
    """Text that is taken as it is."""


class _Break(NavigableString):
    """A place where a line ends."""


def page_text(body: bytes, url: str, charset: str = "") -> tuple[str, str]:
    """Return the title and the readable text of an HTML page."""
    soup = BeautifulSoup(body, "html.parser", from_encoding=charset or None)
    title = _collapsed(soup.title.get_text()) if soup.title else ""
    base = soup.find("base", href=True)
    root = urljoin(url, str(base["href"])) if isinstance(base, Tag) else url
    for tag in soup.find_all(_DROPPED):
        tag.extract()
    for tag in soup.find_all("pre"):
        tag.replace_with(_Block(tag.get_text()))
    _mark_links(soup, root)
    for table in [tag for tag in soup.find_all("table") if tag.find("table") is None]:
        table.replace_with(_Block("\n".join(_rows(table))))
    for tag in soup.find_all(_BLOCKS):
        _mark_block(tag)
    return title, _tidied("".join(_pieces(soup)))


def _collapsed(text: str) -> str:
    return " ".join(text.split())


def _mark_links(soup: BeautifulSoup, root: str) -> None:
    for link in soup.find_all("a", href=True):
        text = _collapsed(link.get_text())
        href = str(link["href"]).strip()
        if not text or href.startswith(("#", "javascript:", "data:", "mailto:")):
            continue
        if link.find(_BLOCKS) is None:
            link.replace_with(NavigableString(f"[{text}]({_joined(root, href)})"))


def _joined(root: str, href: str) -> str:
    try:
        return urljoin(root, href)
    except ValueError:
        return href


def _mark_block(tag: Tag) -> None:
    tag.insert_before(_Break("\n"))
    tag.insert_after(_Break("\n"))
    if re.fullmatch(r"h[1-6]", tag.name):
        tag.insert(0, NavigableString("#" * int(tag.name[1]) + " "))
    elif tag.name == "li":
        tag.insert(0, NavigableString("- "))


def _rows(table: Tag) -> Iterator[str]:
    """Give the rows of a table in Markdown; what spans rows or columns is repeated."""
    caption = table.find("caption")
    if isinstance(caption, Tag):
        yield _collapsed(caption.get_text())
    carried: dict[int, tuple[int, str]] = {}
    for position, row in enumerate(table.find_all("tr")):
        cells = _cells(row, carried)
        if not cells:
            continue
        yield "| " + " | ".join(cells) + " |"
        if position == 0 and row.find("th") is not None:
            yield "|" + " --- |" * len(cells)


def _cells(row: Tag, carried: dict[int, tuple[int, str]]) -> list[str]:
    cells: list[str] = []
    for cell in row.find_all(["td", "th"]):
        _carry(cells, carried)
        text = _collapsed(cell.get_text(" ")).replace("|", "\\|")
        below = _span(cell, "rowspan") - 1
        for _ in range(_span(cell, "colspan")):
            if below:
                carried[len(cells)] = (below, text)
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
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() else 1


def _pieces(soup: BeautifulSoup) -> Iterator[str]:
    for node in soup.descendants:
        if isinstance(node, _Block):
            yield f"\n\n{node}\n\n"
        elif isinstance(node, _Break):
            yield "\n"
        elif isinstance(node, NavigableString) and not isinstance(
            node, (Comment, PreformattedString)
        ):
            yield _BLANKS.sub(" ", node.replace("\n", " "))


def _tidied(text: str) -> str:
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
