"""Name the kind of a task, so that receipts compare like with like."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_WORD = re.compile(r"[a-z]+")
_FILLERS = frozenset(
    _WORD.findall(
        """
        a also and at can could first for from given here i if in into is it kindly let look me my
        now of on our please pls so some the then there these this to us want we with would
        you your need like help
        file files folder csv json xlsx txt pdf data attached
        """
    )
)
_VERBS: dict[str, str] = {
    verb: family
    for family, verbs in {
        "compute": "add average calculate compute count divide evaluate many much multiply "
        "solve sum total",
        "find": "check detect find identify list locate look search show",
        "summarize": "describe digest explain outline report summarise summarize",
        "write": "build compose create draft generate implement make produce write",
        "change": "clean convert correct edit fix format merge normalise normalize refactor "
        "rename replace sort split transform translate update",
        "compare": "compare contrast diff match rank",
        "plot": "chart draw graph plot visualise visualize",
        "fetch": "crawl download fetch get read scrape visit",
    }.items()
    for verb in verbs.split()
}

_ASKING = frozenset(["how", "what", "when", "where", "which", "who", "whose", "why"])
"""Asks for something when no verb tells what."""


def family_of(instruction: str, files: Iterable[str]) -> str:
    """Return the kind of a task: its leading verb and the kinds of its files.

    The same words and files always give the same name, such as `compute csv`.
    """
    kinds = sorted({PurePosixPath(name).suffix.lower().lstrip(".") or "file" for name in files})
    words = [w for w in _WORD.findall(instruction.lower()[:2000]) if w not in _FILLERS]
    verb = next((_VERBS[word] for word in words[:12] if word in _VERBS), "")
    if not verb:
        verb = "find" if _ASKING.intersection(words[:12]) else "other"
    return " ".join(part for part in (verb, "+".join(kinds)) if part)[:200]
