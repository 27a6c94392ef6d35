"""Makes what a command, a file or a page printed fit for a prompt: decoded, clean, capped."""

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNSAFE = {0: "\u2400"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def clean(text: str) -> str:
    """Return `text` without terminal codes, NUL characters and lone surrogates."""
    return _ANSI.sub("", text).translate(_UNSAFE)


def decode(raw: bytes) -> str:
    """Return bytes as clean text; what is not UTF-8 becomes a replacement character."""
    return clean(raw.decode("utf-8", errors="replace"))


def cap(text: str, limit: int, hint: str = "") -> tuple[str, bool]:
    """Return at most `limit` characters, head and tail kept, and whether any were cut.

    Args:
        text: what to shorten.
        limit: longest result, the note about the cut included.
        hint: how to see the rest, for the note.
    """
    if len(text) <= limit:
        return text, False
    note = _note(len(text), len(text), hint)
    kept = limit - len(note)
    if kept < 2:
        return text[: max(limit, 0)], True
    head = (kept + 1) // 2
    tail = kept - head
    return text[:head] + _note(len(text) - kept, len(text), hint) + text[len(text) - tail :], True


def _note(cut: int, total: int, hint: str) -> str:
    advice = f"; {hint}" if hint else ""
    return f"\n[... {cut} of {total} characters cut{advice} ...]\n"
