"""The tool `list_files`: what is in the workspace."""

from pydantic import Field

from sandboxes.base import FileInfo, WorkspacePathError
from tools.base import Arguments, ToolContext, ToolResult, tool
from tools.output import clean
from tools.paths import matches_glob, path_error, workspace_path

_MAX_ENTRIES = 10_000


class ListFilesArguments(Arguments):
    """Arguments of `list_files`."""

    path: str = Field(default=".", max_length=1000)
    """Folder to list."""
    glob: str = Field(default="**", min_length=1, max_length=500)
    """Only files that fit: `*.csv` by name, `data/**/*.json` by path."""
    recursive: bool = True
    """Also list what is in folders below."""


@tool("list_files", effect="none")
async def list_files(args: ListFilesArguments, context: ToolContext) -> ToolResult:
    """List files and folders of the workspace with their sizes.

    Use it first, to see what there is, and after a program wrote files. To find text inside files
    use `search_files`.

    Returns one line each: size in bytes, a tab, the path; folders end with `/`.

    Example: {"glob": "*.csv"}
    """
    path = workspace_path(args.path or ".")
    try:
        entries = await context.sandbox.list(path, max_entries=_MAX_ENTRIES)
    except WorkspacePathError as error:
        raise await path_error(context.sandbox, path, error) from error
    found = [entry for entry in entries if _wanted(entry, path, args)]
    return _result(found, context.output_chars, complete=len(entries) < _MAX_ENTRIES)


def _wanted(entry: FileInfo, folder: str, args: ListFilesArguments) -> bool:
    if entry.kind == "dir" and args.glob not in {"*", "**"}:
        return False
    below = entry.path if folder == "." else entry.path.removeprefix(folder + "/")
    if not args.recursive and "/" in below:
        return False
    return matches_glob(entry.path, args.glob) or matches_glob(below, args.glob)


def _result(found: list[FileInfo], limit: int, *, complete: bool) -> ToolResult:
    lines: list[str] = []
    used = 0
    for entry in found:
        line = _line(entry)
        used += len(line) + 1
        if used > limit - 150:
            break
        lines.append(line)
    left = len(found) - len(lines)
    if left:
        lines.append(f"[{left} more entries; narrow it with `path` or `glob`]")
    if not complete:
        lines.append(f"[only the first {_MAX_ENTRIES} entries were looked at]")
    shown = [{"path": entry.path, "kind": entry.kind, "size": entry.size} for entry in found[:1000]]
    return ToolResult(
        text="\n".join(lines) or "(nothing fits)",
        data={"entries": shown, "count": len(found)},
        truncated=bool(left) or not complete,
        certain=True,
    )


def _line(entry: FileInfo) -> str:
    name = clean(entry.path).replace("\n", "\u240a")
    if entry.kind == "dir":
        return f"-\t{name}/"
    suffix = " (link)" if entry.kind == "symlink" else ""
    return f"{entry.size}\t{name}{suffix}"
