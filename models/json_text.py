"""Find the JSON value that a model meant, wherever in its answer it stands.

Order: the whole answer is JSON; the last fenced block; the longest object in the prose;
the longest array in the prose. Text inside strings is never touched: `//`, `#` and
braces there are data. The one repair is a comma that follows a value and closes nothing.
"""

import json
import re
from typing import NoReturn

from models.base import BadReplyError

_FENCE = re.compile(r"(?m)^[ \t>]*```[ \t]*(?:json[c5]?|JSON)?[ \t]*\r?\n?")
_OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|\s+|[^\s"{}\[\],:]+', re.DOTALL)
"""A string, a mark of punctuation, space, or a bare word; nothing is left out."""
_LIKE_JSON = re.compile(r"""\{\s*["'}]|\[\s*["'{\[\]\-0-9tfn]""")
_THOUGHT_BEGIN, _THOUGHT_END = "<think>", "</think>"
_MAX_CHARS = 500_000
_MAX_STARTS = 2_000
"""Brackets from which a value is tried; bounds the work on hostile text."""
_MAX_FENCES = 200
_MAX_BROKEN_FENCES = 5


def parse_json(text: str) -> object:
    """Return the JSON value in `text`, which may be fenced or stand in prose.

    Raises:
        BadReplyError: there is no JSON value, or it is broken.
    """
    if not text.strip():
        raise BadReplyError("Expected JSON, but the reply is empty.")
    if len(text) > _MAX_CHARS:
        message = f"Expected JSON of at most {_MAX_CHARS} characters, got {len(text)}."
        raise BadReplyError(message)
    answer = _without_thought(text)
    for find in (_whole, _fenced, _in_prose):
        found = find(answer)
        if found:
            return found[0]
    raise BadReplyError(f"Expected JSON, but the reply holds none that can be read: {_shown(text)}")


def _without_thought(text: str) -> str:
    """Return `text` after what a reasoning model thought aloud, if it did."""
    if text.lstrip().startswith(_THOUGHT_BEGIN):
        _, closed, answer = text.partition(_THOUGHT_END)
        return answer if closed else text
    # Some servers leave the first mark out; the last one then stands on a line of its own,
    # which it cannot do inside a JSON string.
    thought, closed, answer = text.rpartition(_THOUGHT_END)
    alone = thought.rstrip(" \t").endswith("\n") and answer.lstrip(" \t").startswith("\n")
    return answer if closed and alone else text


def _whole(text: str) -> tuple[object] | None:
    stripped = text.strip()
    found = _value_at(stripped, 0, repair=True)
    return (found[0],) if found and found[1] == len(stripped) else None


def _fenced(text: str) -> tuple[object] | None:
    last: tuple[object] | None = None
    position, broken = 0, 0
    for _ in range(_MAX_FENCES):
        opening = _FENCE.search(text, position)
        if opening is None:
            break
        start = _skip_space(text, opening.end())
        mend = broken < _MAX_BROKEN_FENCES
        found = _value_at(text, start, repair=mend) if start < len(text) else None
        position = opening.end()
        broken += found is None
        if found and text.startswith("```", _skip_space(text, found[1])):
            last = (found[0],)
            position = _skip_space(text, found[1]) + len("```")
    return last


def _in_prose(text: str) -> tuple[object] | None:
    best: tuple[bool, int] = (False, 0)
    chosen: tuple[object] | None = None
    position = 0
    for _ in range(_MAX_STARTS):
        opening = _OPENING.search(text, position)
        if opening is None:
            break
        start = opening.start()
        found = _value_at(text, start, repair=True)
        if found:
            position = found[1]
        elif _LIKE_JSON.match(text, start):
            # Broken JSON is not searched: a piece of an answer must not pass for the answer.
            position = _without_trailing_commas(text, start)[1]
        else:
            position = start + 1
        rank = (text[start] == "{", position - start)
        if found and rank > best:
            best, chosen = rank, (found[0],)
    return chosen


def _value_at(text: str, start: int, *, repair: bool) -> tuple[object, int] | None:
    """Return the value that begins at `start` and where it ends, or nothing."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        if not repair or not _LIKE_JSON.match(text, start):
            return None
    mended, end = _without_trailing_commas(text, start)
    try:
        return _DECODER.decode(mended), end
    except (ValueError, RecursionError):
        return None


def _without_trailing_commas(text: str, start: int) -> tuple[str, int]:
    """Return the bracketed text at `start` without trailing commas, and where it ends."""
    kept: list[str] = []
    depth, end = 0, start
    for token in _TOKEN.finditer(text, start):
        if token.group() in "{[":
            depth += 1
        elif token.group() in "}]":
            depth -= 1
            _drop_comma(kept)
        kept.append(token.group())
        end = token.end()
        if depth == 0:
            break
    return "".join(kept), end


def _drop_comma(kept: list[str]) -> None:
    """Remove the comma at the end of `kept`, if a value stands before it."""
    comma = _last_written(kept, len(kept))
    before = _last_written(kept, comma)
    if before >= 0 and kept[comma] == "," and kept[before] not in "{[,:":
        del kept[comma]


def _last_written(kept: list[str], end: int) -> int:
    place = end - 1
    while place >= 0 and kept[place].isspace():
        place -= 1
    return place


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def _shown(text: str, limit: int = 300) -> str:
    return repr(text if len(text) <= limit else text[:limit] + "…")


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse_constant)
