"""Reads Python tracebacks that a command printed and keeps the lines that help to mend it."""

import re
from dataclasses import dataclass

_HEADER = "Traceback (most recent call last):"
_FRAME = re.compile(r'^  File "(?P<file>[^"]{1,500})", line \d+')
_RAISED = re.compile(r"^(?P<name>[A-Za-z_][\w.]{0,200})(?:: (?P<message>.*))?$")
_LIBRARY = re.compile(r"^(?:/usr/|/lib|/opt/|<frozen )|/(?:site|dist)-packages/|/lib/python3")
_KEPT_FRAMES = 6
_NOT_EXCEPTIONS = frozenset({"SystemExit", "KeyboardInterrupt"})


@dataclass(frozen=True)
class Raised:
    """The exception at the end of a traceback."""

    name: str
    message: str


def raised(stderr: str) -> Raised | None:
    """Return the exception that ended the program, if a traceback tells."""
    lines = stderr.rstrip().splitlines()
    start = _last_header(lines)
    if start is None:
        return None
    for position in range(start + 1, len(lines)):
        match = _RAISED.match(lines[position])
        if match is None or match["name"] in _NOT_EXCEPTIONS:
            continue
        message = "\n".join([match["message"] or "", *lines[position + 1 :]]).strip()
        return Raised(match["name"], message)
    return None


def _last_header(lines: list[str]) -> int | None:
    """Find where the last traceback begins; a syntax error may come without a header."""
    for position in range(len(lines) - 1, -1, -1):
        if lines[position] == _HEADER:
            return position
    for position, line in enumerate(lines):
        if _FRAME.match(line):
            return position
    return None


def shorten(stderr: str) -> str:
    """Return `stderr` with the frames of libraries dropped, except the innermost one."""
    if _HEADER not in stderr:
        return stderr
    kept: list[str] = []
    frames: list[list[str]] = []
    for line in stderr.splitlines():
        if _FRAME.match(line):
            frames.append([line])
        elif frames and line.startswith("  "):
            frames[-1].append(line)
        else:
            kept.extend(_useful(frames))
            frames = []
            kept.append(line)
    kept.extend(_useful(frames))
    return "\n".join(kept)


def _useful(frames: list[list[str]]) -> list[str]:
    own = [frame for frame in frames[:-1] if not _is_library(frame)] + frames[-1:]
    dropped = len(own) - _KEPT_FRAMES
    if dropped > 0:
        own = [[f"  [{dropped} calls left out]"], *own[dropped:]]
    return [line for frame in own for line in frame]


def _is_library(frame: list[str]) -> bool:
    match = _FRAME.match(frame[0])
    return match is not None and _LIBRARY.search(match["file"]) is not None
