"""Say when two proposals are the same, or nearly."""

import hashlib
import json
import re
import unicodedata
from typing import Any

from memory.records import ArgumentConst, ArgumentRef, Body, Shortcut, ShortcutStep, Tip

_SPACE = re.compile(r"\s+")
_EXACT_WORD = re.compile(
    r"\S*\d\S*|\b(?:not|no|never|without|cannot|except|unless|only)\b|\w+n't\b"
)
"""Words that turn a sentence into another one while its vector hardly moves."""


def normalize(text: str) -> str:
    """Return the text without differences of form: Unicode, case and white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", folded)).strip()


def content_hash(body: Body) -> str:
    """Return the same digest for bodies that say or do the same.

    A tip is its text, scope and polarity. A Shortcut is its steps: another name for its
    arguments, or for itself, does not make it another one.
    """
    if isinstance(body, Tip):
        return _digest(
            ["tip", normalize(body.text), body.scope.level, body.scope.key, body.polarity]
        )
    return _digest(["shortcut", _sequence(body)])


def merge_key(body: Body) -> str:
    """Return what must be equal before near texts may count as duplicates."""
    if isinstance(body, Tip):
        return _digest(["tip", body.scope.level, body.scope.key, body.polarity])
    return _digest(["shortcut", [_shape(step) for step in body.steps]])


def may_merge(text: str, other: str) -> bool:
    """Return whether two near texts agree in every number and every negation."""
    return _exact_words(text) == _exact_words(other)


def _exact_words(text: str) -> list[str]:
    return sorted(word.strip(".,;:()'\"") for word in _EXACT_WORD.findall(normalize(text)))


def _shape(step: ShortcutStep) -> list[Any]:
    return [
        step.tool,
        {name: _constant(value) for name, value in sorted(step.arguments.items())},
    ]


def _constant(value: ArgumentRef | ArgumentConst) -> list[Any] | None:
    return None if isinstance(value, ArgumentRef) else ["const", value.const]


def _sequence(body: Shortcut) -> list[Any]:
    numbers: dict[str, int] = {}
    steps: list[Any] = []
    for step in body.steps:
        arguments: dict[str, Any] = {}
        for name, value in sorted(step.arguments.items()):
            if isinstance(value, ArgumentRef):
                arguments[name] = ["ref", numbers.setdefault(value.ref, len(numbers))]
            else:
                arguments[name] = ["const", value.const]
        steps.append([step.tool, arguments])
    return steps


def _digest(value: list[Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
