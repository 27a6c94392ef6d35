"""The tool `edit_file`: one change in a text file."""

from difflib import get_close_matches

from pydantic import Field

from sandboxes.base import WorkspacePathError
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.paths import path_error, workspace_path
from tools.write_file import check_size

_MAX_BYTES = 4 << 20
_COMPARED_LINES = 3000


class EditFileArguments(Arguments):
    """Arguments of `edit_file`."""

    path: str = Field(min_length=1, max_length=1000)
    """Text file in the workspace."""
    old: str = Field(min_length=1)
    """Text to replace, exactly as it stands in the file, blanks included."""
    new: str
    """Text to put in its place; empty deletes it."""
    replace_all: bool = False
    """Replace every occurrence; otherwise `old` must occur exactly once."""


@tool("edit_file", effect="at_most_once")
async def edit_file(args: EditFileArguments, context: ToolContext) -> ToolResult:
    """Replace a piece of text in a file.

    Use it for a small change; add neighbouring lines to `old` until it occurs only once. To write
    a whole file use `write_file`. The rest of the file stays as it is, byte for byte. A second
    call would change the file again or fail, so none is repeated by itself after a crash.

    Returns the number of replacements. When `old` is not found, the nearest lines are shown.

    Example: {"path": "config.ini", "old": "debug = no", "new": "debug = yes"}
    """
    path = workspace_path(args.path)
    try:
        raw = await context.sandbox.read(path, max_bytes=_MAX_BYTES + 1)
    except WorkspacePathError as error:
        raise await path_error(context.sandbox, path, error) from error
    if len(raw) > _MAX_BYTES or b"\0" in raw[:8192]:
        msg = f"{path!r} is binary or over {_MAX_BYTES >> 20} MiB; change it with `python`"
        raise ToolError(msg, "precondition")
    changed, count = replaced(
        raw.decode("utf-8", "surrogateescape"), args.old, args.new, replace_all=args.replace_all
    )
    edited = changed.encode("utf-8", "surrogateescape")
    check_size(path, edited, context)
    try:
        await context.sandbox.write(path, edited)
    except WorkspacePathError as error:
        raise await path_error(context.sandbox, path, error) from error
    return ToolResult(
        text=f"Replaced {count} occurrence{'s' if count > 1 else ''} in {path}.",
        data={"path": path, "replacements": count},
        certain=True,
        untrusted=False,
    )


def replaced(text: str, old: str, new: str, *, replace_all: bool = False) -> tuple[str, int]:
    """Return `text` with `old` replaced, and how often.

    Raises:
        ToolError: `old` does not occur, or more than once without `replace_all`.
    """
    if old == new:
        msg = "`old` and `new` are the same; nothing would change"
        raise ToolError(msg, "bad_arguments")
    if old not in text and "\r\n" in text and "\r" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old)
    if count == 0:
        raise ToolError(f"`old` is not in the file. {_nearest(text, old)}", "precondition")
    if count > 1 and not replace_all:
        msg = (
            f"`old` occurs {count} times, at lines {_lines_of(text, old)}; add neighbouring lines "
            "to it, or set `replace_all`"
        )
        raise ToolError(msg, "precondition")
    return text.replace(old, new), count


def _lines_of(text: str, old: str) -> str:
    found: list[str] = []
    position = text.find(old)
    while position >= 0 and len(found) < 8:
        found.append(str(text.count("\n", 0, position) + 1))
        position = text.find(old, position + len(old))
    return ", ".join(found) + (", ..." if position >= 0 else "")


def _nearest(text: str, old: str) -> str:
    wanted = next((line.strip() for line in old.splitlines() if line.strip()), "")[:300]
    lines = [line.strip()[:300] for line in text.splitlines()[:_COMPARED_LINES]]
    near = get_close_matches(wanted, lines, n=3, cutoff=0.5)
    if not near:
        return "No line comes near; read the file first."
    shown = "\n".join(f"{lines.index(line) + 1}: {_shown(line)}" for line in near)
    return f"The nearest lines:\n{shown}"


def _shown(line: str) -> str:
    return line.encode("utf-8", "replace").decode()
