"""Turns a web page into text that a model can read: headings, links and tables are kept.

The tree is walked once and never changed, so that the time stays proportional to the page.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString

from tools.markup import BLOCKS, DROPPED, events
from tools.table_text import table_text

_PREFIXES = {f"h{level}": "#" * level + " " for level in range(1, 7)} | {"li": "- "}
_MARKS = frozenset(breaks + mark for breaks in ("", "\n", "\n\n") for mark in _PREFIXES.values())
_SPACED = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_BLANKS = re.compile(r"\s+")
_NO_LINKS = ("#", "javascript:", "data:", "mailto:")


def page_text(body: bytes, url: str, charset: str = "") -> tuple[str, str]:
    """Return the title and the readable text of an HTML page."""
    soup = BeautifulSoup(body, "html.parser", from_encoding=charset or None)
    title = _BLANKS.sub(" ", soup.title.get_text()).strip() if soup.title else ""
    base = soup.find("base", href=True)
    root = _joined(url, str(base["href"])) if isinstance(base, Tag) else url
    writer = _Writer(root, _layout_tables(soup))
    writer.write(soup)
    return title, _tidied("".join(writer.pieces))


def _joined(root: str, href: str) -> str:
    try:
        return urljoin(root, href)
    except ValueError:
        return href


def _tidied(text: str) -> str:
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _layout_tables(soup: BeautifulSoup) -> set[int]:
    """Find the tables that hold tables: they arrange a page, they are no data."""
    outer: set[int] = set()
    opened: list[int] = []
    for event, node in events(soup, set()):
        if node.name != "table":
            continue
        if event == "close":
            opened.pop()
            continue
        outer.update(opened[-1:])
        opened.append(id(node))
    return outer


@dataclass
class _Writer:
    """Collects the text of a page."""

    root: str
    layout_tables: set[int]
    pieces: list[str] = field(default_factory=list[str])
    skipped: set[int] = field(default_factory=set[int])
    link: tuple[int, int] | None = None
    """The open link, and where its text begins."""

    def write(self, soup: BeautifulSoup) -> None:
        for event, node in events(soup, self.skipped):
            if isinstance(node, NavigableString):
                self._text(node)
            elif event == "open":
                self._open(node)
            else:
                self._close(node)

    def _text(self, node: NavigableString) -> None:
        if isinstance(node, PreformattedString):
            return
        text = _BLANKS.sub(" ", node)
        if not self.pieces or self.pieces[-1].endswith(("\n", " ")):
            text = text.lstrip()
        if text:
            self.pieces.append(text)

    def _open(self, tag: Tag) -> None:
        if tag.name in DROPPED:
            self.skipped.add(id(tag))
        elif tag.name == "pre":
            self._whole(tag, tag.get_text())
        elif tag.name == "table" and id(tag) not in self.layout_tables:
            self._whole(tag, table_text(tag))
        elif tag.name == "a" and self.link is None:
            self.link = (id(tag), len(self.pieces))
        elif tag.name in BLOCKS:
            self._line(tag.name)

    def _line(self, name: str) -> None:
        """Begin a line, but none between the mark of an item and its text."""
        last = self.pieces[-1] if self.pieces else "\n"
        if last in _MARKS:
            return
        blank = "\n\n" if name in _SPACED else "" if last.endswith("\n") else "\n"
        self.pieces.append(blank + _PREFIXES.get(name, ""))

    def _whole(self, tag: Tag, text: str) -> None:
        self.skipped.add(id(tag))
        self.pieces.append(f"\n\n{text}\n\n")

    def _close(self, tag: Tag) -> None:
        if self.link is not None and self.link[0] == id(tag):
            self._close_link(tag, self.link[1])
            self.link = None
        elif tag.name in BLOCKS and id(tag) not in self.skipped:
            self.pieces.append("\n\n" if tag.name in _SPACED else "\n")

    def _close_link(self, tag: Tag, start: int) -> None:
        text = "".join(self.pieces[start:])
        href = str(tag.get("href", "")).strip()
        if not text.strip() or "\n" in text or not href or href.lower().startswith(_NO_LINKS):
            return
        space = " " if text.startswith(" ") else ""
        tail = " " if text.endswith(" ") else ""
        link = f"{space}[{text.strip()}]({_joined(self.root, href)}){tail}"
        self.pieces[start:] = [link]
