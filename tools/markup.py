"""Walks the tree of a web page without recursion, however deep somebody made it."""

import re
from collections.abc import Iterator
from typing import Literal

from bs4 import Tag
from bs4.element import NavigableString

DROPPED = frozenset(
    {"script", "style", "noscript", "template", "svg", "iframe", "object", "head", "title"}
)
"""Elements that hold nothing to read."""
BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body br caption dd details div dl dt fieldset figcaption"
        " figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p section summary table"
        " tbody td tfoot th thead tr ul",
    )
)


def events(
    root: Tag, skipped: set[int]
) -> Iterator[tuple[Literal["open", "close", "text"], Tag | NavigableString]]:
    """Walk a tree of any depth; what `skipped` names when it opens is not entered."""
    waiting: list[tuple[bool, Tag | NavigableString]] = [(False, root)]
    while waiting:
        leaving, node = waiting.pop()
        if not isinstance(node, Tag):
            yield "text", node
            continue
        if leaving:
            yield "close", node
            continue
        yield "open", node
        waiting.append((True, node))
        if id(node) not in skipped:
            children = [
                child for child in node.contents if isinstance(child, Tag | NavigableString)
            ]
            waiting.extend((False, child) for child in reversed(children))
