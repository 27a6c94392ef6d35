"""Prompts: one Markdown file per role and mode, filled by Jinja.

A file holds the system part, a line `<!-- user -->`, and the user part. Untrusted text goes
through the `data` filter, which fences it so that it cannot pass for instructions.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.messages import Message

_SPLIT = "<!-- user -->\n"


_MARK = re.compile(r"<(?=\s*/?\s*data)", re.IGNORECASE)


def unmarked(text: str) -> str:
    """Return `text` with whatever looks like a `<data>` mark made harmless."""
    return _MARK.sub("\N{LEFT-POINTING ANGLE BRACKET}", text)


def one_line(text: str) -> str:
    """Return `text` on one line and unmarked, for what stands outside a fence."""
    return unmarked(" ".join(text.split()))


def fence(text: str) -> str:
    """Return `text` between `<data>` marks that it cannot close or forge.

    Fence each untrusted piece by itself, once; what is built of fenced pieces is not fenced again.
    """
    return f"<data>\n{unmarked(text).rstrip()}\n</data>"


def bullets(lines: Iterable[str]) -> str:
    """Return one bullet for each line, or `(none)`."""
    return "\n".join(f"- {line}" for line in lines) or "(none)"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701 - prompts are text for a model, not HTML
    )
    environment.filters["data"] = fence
    environment.filters["lines"] = bullets
    return environment


def render(name: str, **values: object) -> tuple[Message, ...]:
    """Return the messages of the prompt `name`.md; a missing value is an error."""
    text = _environment().get_template(f"{name}.md").render(**values)
    system, _, user = text.partition(_SPLIT)
    messages = (Message(role="system", content=system.strip()),)
    return (*messages, Message(role="user", content=user.strip())) if user else messages
