"""Logs as text or JSON lines; each line names the run, task and request that it belongs to."""

import contextlib
import json
import logging
import sys
from collections.abc import Generator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

_NAMES = ("run", "task", "request")
_PLACE: ContextVar[dict[str, str] | None] = ContextVar("strop_log_place", default=None)
_CHATTY = ("httpx", "httpcore", "openai", "aiosqlite", "alembic")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(place)s"


def set_up(level: str, shape: Literal["text", "json"] = "text") -> None:
    """Let every log of this process go to the standard error stream.

    Args:
        level: the least severe level that is written, such as `info`.
        shape: lines for people, or one JSON object a line for machines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(add_place)
    handler.setFormatter(JsonLines() if shape == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextlib.contextmanager
def placed(**names: str) -> Generator[None]:
    """Let every line that is logged inside name the given `run`, `task` or `request`."""
    token = _PLACE.set((_PLACE.get() or {}) | names)
    try:
        yield
    finally:
        _PLACE.reset(token)


def add_place(record: logging.LogRecord) -> bool:
    """Put on a record where it was logged; a filter that lets everything through."""
    place = _PLACE.get() or {}
    for name in _NAMES:
        setattr(record, name, place.get(name, ""))
    told = " ".join(f"{name}={place[name]}" for name in _NAMES if place.get(name))
    record.place = f" [{told}]" if told else ""
    return True


class JsonLines(logging.Formatter):
    """Writes each record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in _NAMES if (value := getattr(record, name, ""))}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)
