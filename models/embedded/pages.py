"""Find a fact or a list in the text of a fetched page."""

import re
from urllib.parse import urlsplit

from models.embedded.questions import parse_query

_DATA = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_STOP = set(
    re.findall(
        r"\w+",
        "a an and are at by did do does find for from give has have how i in is it "
        "list me much many"
        " name of on or page please show site tell that the there this to was web were what when"
        " where which who with all",
    )
)


def saved_name(url: str) -> str:
    """Return the name under which a page is kept in the workspace."""
    name = re.sub(r"[^\w.-]", "_", urlsplit(url).path.rstrip("/").rsplit("/", 1)[-1]) or "page"
    return name if name.lower().endswith((*_DATA, ".html", ".htm")) else name + ".html"


def looks_tabular(question: str, url: str) -> bool:
    """Return whether a page has to be read as a table."""
    if urlsplit(url).path.lower().endswith(_DATA):
        return True
    query = parse_query(question, ())
    return query is not None and (query.ops != ["value"] or bool(query.output))


def answer_from_page(question: str, text: str) -> str | None:
    """Return the lines of a page that answer a question, None when none is near it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    head, body = (lines[:2], lines[1:]) if lines else ([], [])
    asked = question.lower()
    if re.search(r"\btitle\b", asked):
        title = next((line for line in head if line.startswith("Title: ")), "")
        return f"The title is {title.removeprefix('Title: ')!r}." if title else None
    if re.search(r"\b(?:links|urls)\b", asked):
        links = list(dict.fromkeys(re.findall(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", text)))
        return (
            "The links:\n" + "\n".join(f"- {name}: {url}" for name, url in links) if links else None
        )
    if re.search(r"\bheadings?\b|\bsections\b", asked):
        heads = [line.lstrip("# ") for line in body if re.match(r"#+ ", line)]
        return f"The headings: {', '.join(heads)}." if heads else None
    words = {_stem(w) for w in re.findall(r"[^\W_]+", asked) if w not in _STOP}
    if re.match(r"(?:list|give|show|what are|which)\b", asked) and (
        items := _list_below(body, words)
    ):
        return "The page lists:\n" + "\n".join(f"- {item}" for item in items)
    return _best_line(body, words)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def _overlap(line: str, words: set[str]) -> int:
    return len(words & {_stem(word) for word in re.findall(r"[^\W_]+", line.lower())})


def _list_below(body: list[str], words: set[str]) -> list[str]:
    """Return the list items below the line that the question fits best."""
    starts = [
        (_overlap(line, words), -i)
        for i, line in enumerate(body[:-1])
        if not line.startswith(("- ", "|")) and body[i + 1].startswith("- ")
    ]
    score, at = max(starts, default=(0, 0))
    if not score:
        return []
    items: list[str] = []
    for line in body[-at + 1 :]:
        if not line.startswith("- "):
            break
        items.append(line[2:])
    return items


def _best_line(body: list[str], words: set[str]) -> str | None:
    """Return the sentence or the table cell with most of the question's words."""
    best, found = 0, None
    header: list[str] = []
    for before, line in zip(["", *body], body, strict=False):
        if re.fullmatch(r"[|\s:-]+", line):
            header = [cell.strip() for cell in before.strip("|").split("|")]
            continue
        if not line.startswith("|"):
            header = []
        for piece in [line] if line.startswith("|") else re.split(r"(?<=[.!?])\s+", line):
            score = _overlap(piece, words) + (_overlap(" ".join(header), words) if header else 0)
            if score > best and (not header or _overlap(piece, words)):
                best, found = score, _worded(piece, header, words)
    return found if best >= max(1, (len(words) + 1) // 2) else None


def _worded(piece: str, header: list[str], words: set[str]) -> str:
    if not header:
        return piece.lstrip("#- ")
    cells = [cell.strip() for cell in piece.strip("|").split("|")]
    pairs = list(zip(header, cells, strict=False))
    asked = [
        (name, cell) for name, cell in pairs if _overlap(name, words) and not _overlap(cell, words)
    ]
    said = [f"{name} is {cell}" for name, cell in (asked or pairs)]
    return f"{cells[0]}: {', '.join(said)}."
