"""The tool `read_file`: a part of a text file."""

from dataclasses import dataclass

from pydantic import Field

from sandboxes.base import Sandbox, WorkspacePathError
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.output import cap, clean
from tools.paths import path_error, workspace_path

_CHUNK = 1 << 20
_MAX_SCAN = 256 << 20
_MAX_KEPT = 4 << 20
_NOTE_CHARS = 300
_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive, or an Office document (xlsx, docx)"),
    (b"\x1f\x8b", "gzip data"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
)


class ReadFileArguments(Arguments):
    """Arguments of `read_file`."""

    path: str = Field(min_length=1, max_length=1000)
    """File in the workspace."""
    start_line: int = Field(default=1, ge=1, le=1_000_000_000)
    """First line to return, counted from 1."""
    lines: int = Field(default=200, ge=1, le=100_000)
    """How many lines to return at most."""


@dataclass(frozen=True)
class _Part:
    """Lines of a file, and what lies around them."""

    lines: list[bytes]
    start: int
    more: bool
    total: int
    """Lines of the file; only those seen so far when there are more."""


@tool("read_file", effect="none")
async def read_file(args: ReadFileArguments, context: ToolContext) -> ToolResult:
    """Read lines of a text file in the workspace.

    Use it to look at a file before working on it. Not for whole large data files (compute with
    `python`), nor to find something (use `search_files`). Binary files are refused with a word
    on what they are.

    Returns the lines as they are, without numbers. When there are more, the last line tells the
    `start_line` to go on with.

    Example: {"path": "data/sales.csv", "start_line": 1, "lines": 20}
    """
    path = workspace_path(args.path)
    try:
        head = await context.sandbox.read(path, max_bytes=_CHUNK)
        _refuse_binary(path, head)
        part = await _lines(context.sandbox, path, head, args.start_line, args.lines)
    except WorkspacePathError as error:
        raise await path_error(context.sandbox, path, error) from error
    if not part.lines and args.start_line > 1:
        msg = f"{path!r} has {part.total} lines; there is no line {args.start_line}"
        raise ToolError(msg, "precondition")
    return _result(path, part, context.output_chars, utf16=head[:2] in {b"\xff\xfe", b"\xfe\xff"})


def _refuse_binary(path: str, head: bytes) -> None:
    kind = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
    utf16 = head[:2] in {b"\xff\xfe", b"\xfe\xff"}
    if kind or (b"\0" in head[:8192] and not utf16):
        what = kind or "no text (it holds NUL bytes)"
        msg = f"{path!r} is binary: {what}; work on it with `python`"
        raise ToolError(msg, "precondition")


async def _lines(sandbox: Sandbox, path: str, head: bytes, start: int, count: int) -> _Part:
    """Scan a file in pieces, so that its size never matters."""
    kept: list[bytes] = []
    size = 0
    number = 0
    rest = b""
    offset = 0
    piece = head
    while piece:
        offset += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            if number < start:
                continue
            if len(kept) == count or size > _MAX_KEPT:
                return _Part(kept, start, more=True, total=number)
            kept.append(line + b"\n")
            size += len(line)
        _stop_scan(path, offset, rest)
        piece = await sandbox.read(path, offset=offset, max_bytes=_CHUNK)
    if rest:
        number += 1
        if number >= start and len(kept) < count:
            kept.append(rest)
        elif number >= start:
            return _Part(kept, start, more=True, total=number)
    return _Part(kept, start, more=False, total=number)


def _stop_scan(path: str, offset: int, rest: bytes) -> None:
    if offset > _MAX_SCAN or len(rest) > _MAX_KEPT:
        msg = f"{path!r} is too large, or its lines too long, for `read_file`; use `python`"
        raise ToolError(msg, "precondition")


def _result(path: str, part: _Part, limit: int, *, utf16: bool) -> ToolResult:
    shown, cut = _fitting(part.lines, limit - _NOTE_CHARS)
    raw = b"".join(shown)
    text, encoding = _decoded(raw, utf16=utf16)
    text, shortened = cap(text, limit - _NOTE_CHARS, "use `python` for such long lines")
    last = part.start + len(shown) - 1
    notes: list[str] = []
    if part.more or cut:
        known = "" if part.more else f" of {part.total}"
        notes.append(f"[lines {part.start}-{last}{known}; go on with start_line={last + 1}]")
    if encoding:
        notes.append(encoding)
    if not part.lines:
        notes.append("(the file is empty)")
    if notes and text and not text.endswith("\n"):
        text += "\n"
    return ToolResult(
        text=text + "\n".join(notes),
        data={"path": path, "start_line": part.start, "lines": len(shown)},
        truncated=part.more or cut or shortened,
        certain=True,
    )


def _fitting(lines: list[bytes], limit: int) -> tuple[list[bytes], bool]:
    """Keep whole lines up to the limit, and always one."""
    total = 0
    for position, line in enumerate(lines):
        total += len(line.decode("utf-8", "replace"))
        if total > limit and position:
            return lines[:position], True
    return lines, False


def _decoded(raw: bytes, *, utf16: bool) -> tuple[str, str]:
    if utf16:
        return clean(raw.decode("utf-16", "replace")), "[the file is UTF-16]"
    try:
        return clean(raw.decode("utf-8-sig")), ""
    except UnicodeDecodeError:
        note = "[not UTF-8: bytes shown as \ufffd; in Python, try encoding='cp1252']"
        return clean(raw.decode("utf-8", "replace")), note
