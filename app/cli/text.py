"""Text for a terminal: what came from outside must not steer it."""

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel

_KEPT = {"\n", "\t"}


def clean(text: str) -> str:
    """Replace control and direction characters, with which text could rewrite a screen."""
    return "".join(
        char
        if char in _KEPT or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def one_line(text: str, width: int = 100) -> str:
    """Return the text on one line, shortened with an ellipsis."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def say(text: str = "") -> None:
    """Write a line of a command's result, in order with the notes beside it."""
    sys.stdout.write(clean(text) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Write a line beside the result: progress, or what a person should know."""
    sys.stderr.write(clean(text) + "\n")


def say_json(value: object, *, indent: int | None = 2) -> None:
    """Write the result for machines: one JSON value."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_either(document: object, text: str, *, json: bool) -> None:
    """Write a result as a document for machines, or in words."""
    if json:
        say_json(document)
    else:
        say(text)


def plain(value: object) -> object:
    """Return a value as JSON knows it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON of any kind
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(part) for part in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON of any kind
    return value


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under a head, aligned, with the last column as long as it is."""
    lines = [list(head), *([one_line(str(cell), 200) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    shown = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(shown)
