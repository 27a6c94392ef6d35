"""Checks the arguments of a call and says field by field what is wrong, for a model to mend."""

import reprlib
from collections.abc import Iterator
from difflib import get_close_matches
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tools.base import Arguments
from tools.output import clean

_MAX_PROBLEMS = 8
_MAX_CHARS = 1 << 20


def complaints(kind: type[Arguments], arguments: object) -> tuple[Arguments | None, list[str]]:
    """Return the arguments as `kind`, or None and what is wrong with them."""
    problems = list(_bad_text(arguments))
    if problems:
        return None, problems[:_MAX_PROBLEMS]
    try:
        return kind.model_validate(arguments), []
    except ValidationError as error:
        known = list(kind.model_fields)
        details = error.errors(include_url=False, include_context=False)
        return None, [_problem(detail, known) for detail in details[:_MAX_PROBLEMS]]


def _bad_text(arguments: object) -> Iterator[str]:
    """Find texts that no tool can use, wherever they are."""
    for place, text in _texts(arguments):
        at = text.find("\0")
        if at >= 0:
            yield f"{place}: holds a NUL character (at {at}); binary data is no text, leave it out"
        elif len(text) > _MAX_CHARS:
            yield f"{place}: expected at most {_MAX_CHARS} characters, got {len(text)}"


def _texts(arguments: object) -> Iterator[tuple[str, str]]:
    """Walk the arguments without recursion: their depth is up to the model."""
    waiting: list[tuple[str, object]] = [("arguments", arguments)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            for key, item in cast("dict[object, object]", value).items():
                yield "a field's name", str(key)
                waiting.append((clean(str(key))[:60], item))
        elif isinstance(value, list):
            waiting.extend((place, item) for item in cast("list[object]", value))


def _problem(detail: ErrorDetails, known: list[str]) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{place}: required, but missing"
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(place, known, n=1)
        return f"{clean(place)[:60]}: no such field" + (
            f"; did you mean {near[0]}?" if near else ""
        )
    said = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{place or 'arguments'}: {said}, got {_short(detail['input'])}"


def _short(value: object) -> str:
    return clean(reprlib.repr(value))[:100]
