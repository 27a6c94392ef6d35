"""Names of files in the workspace, as models write them."""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sandboxes.base import FileInfo, Sandbox, SandboxError, WorkspacePathError
from tools.base import ToolError

_ROOT = "/work"
_MAX_SEGMENTS = 64


def workspace_path(path: str) -> str:
    """Return `path` relative to the workspace; `/work/a.csv` and `./a.csv` are `a.csv`.

    Raises:
        ToolError: it is empty, or lies outside the workspace.
    """
    given = PurePosixPath(path)
    if given.is_absolute():
        if not given.is_relative_to(_ROOT):
            msg = f"{path!r} is outside the workspace; write it relative to it, such as 'data.csv'"
            raise ToolError(msg, "policy")
        given = given.relative_to(_ROOT)
    if ".." in given.parts:
        msg = f"{path!r} climbs out of the workspace; write it without '..'"
        raise ToolError(msg, "policy")
    if not path.strip():
        msg = "expected a path in the workspace, got an empty one"
        raise ToolError(msg, "bad_arguments")
    return given.as_posix()


def matches_glob(path: str, pattern: str) -> bool:
    """Tell whether a path fits a glob; without a `/` the pattern is about the file's name.

    `**` stands for any number of folders.
    """
    pattern = pattern.removeprefix("./").removeprefix(_ROOT + "/")
    if "/" not in pattern:
        return pattern == "**" or fnmatchcase(path.rsplit("/", 1)[-1], pattern)
    wanted = pattern.split("/")[:_MAX_SEGMENTS]
    reachable = {0}
    for segment in path.split("/"):
        reachable = _advance(_closure(reachable, wanted), segment, wanted)
    return len(wanted) in _closure(reachable, wanted)


def _closure(reachable: set[int], wanted: list[str]) -> set[int]:
    """Add the positions reached when a `**` stands for no folder at all."""
    closed = set(reachable)
    for position, segment in enumerate(wanted):
        if position in closed and segment == "**":
            closed.add(position + 1)
    return closed


def _advance(reachable: set[int], segment: str, wanted: list[str]) -> set[int]:
    following: set[int] = set()
    for position in reachable:
        if position == len(wanted):
            continue
        if wanted[position] == "**":
            following.add(position)
        elif fnmatchcase(segment, wanted[position]):
            following.add(position + 1)
    return following


async def path_error(sandbox: Sandbox, path: str, error: WorkspacePathError) -> ToolError:
    """Return what a model can act on when the sandbox refused a path."""
    try:
        entries = await sandbox.list()
    except SandboxError:
        return ToolError(str(error), "precondition")
    found = next((entry for entry in entries if entry.path == path), None)
    if found is None:
        return missing(path, entries)
    if found.kind == "dir":
        msg = f"{path!r} is a folder, not a file; see what is in it with `list_files`"
        return ToolError(msg, "precondition")
    if found.kind == "symlink":
        return ToolError(f"{path!r} is a link, and links are not followed", "policy")
    return ToolError(str(error), "precondition")


def missing(path: str, entries: list[FileInfo]) -> ToolError:
    """Return the error for a file that is not there, with the names that come near."""
    names = [entry.path for entry in entries if entry.kind != "dir"][:2000]
    base = path.rsplit("/", 1)[-1]
    near = [name for name in names if name.rsplit("/", 1)[-1].lower() == base.lower()]
    near += [name for name in get_close_matches(path, names, n=3) if name not in near]
    if near:
        advice = "did you mean " + " or ".join(repr(name) for name in near[:3]) + "?"
    elif names:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        advice = f"the workspace holds: {shown}"
    else:
        advice = "the workspace is empty"
    return ToolError(f"no file {path!r}; {advice}", "not_found")
