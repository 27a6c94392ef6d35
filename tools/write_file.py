"""The tool `write_file`: a whole file."""

from pydantic import Field

from sandboxes.base import WorkspacePathError
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.paths import path_error, workspace_path


class WriteFileArguments(Arguments):
    """Arguments of `write_file`."""

    path: str = Field(min_length=1, max_length=1000)
    """File to write, relative to the workspace; missing folders are made."""
    content: str
    """The whole content of the file."""


@tool("write_file", effect="idempotent")
async def write_file(args: WriteFileArguments, context: ToolContext) -> ToolResult:
    r"""Write a text file, replacing what it held before.

    Use it for a new file or a complete rewrite. To change a part, use `edit_file`; for data that
    a program computes, let `python` write it. Repeating a call leaves the same file.

    Returns the number of bytes and lines written.

    Example: {"path": "notes/plan.md", "content": "# Plan\n1. Read the data\n"}
    """
    path = workspace_path(args.path)
    raw = args.content.encode()
    check_size(path, raw, context)
    try:
        await context.sandbox.write(path, raw)
    except WorkspacePathError as error:
        raise await path_error(context.sandbox, path, error) from error
    lines = len(args.content.splitlines())
    return ToolResult(
        text=f"Wrote {path}: {len(raw)} bytes, {lines} lines.",
        data={"path": path, "bytes": len(raw), "lines": lines},
        certain=True,
        untrusted=False,
    )


def check_size(path: str, raw: bytes, context: ToolContext) -> None:
    """Refuse a file that is larger than the sandbox allows.

    Raises:
        ToolError: it is.
    """
    most = context.limits.file_bytes
    if len(raw) > most:
        msg = f"{path!r} would hold {len(raw)} bytes, at most {most} are allowed; split it"
        raise ToolError(msg, "precondition")
