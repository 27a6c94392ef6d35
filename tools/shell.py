"""The tool `shell`: one command line in the sandbox."""

from pydantic import Field

from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.failures import failure, printed
from tools.output import cap, decode
from tools.tracebacks import shorten

_MAX_BYTES = 100_000
_HINT = "write to a file and look at a part of it"


class ShellArguments(Arguments):
    """Arguments of `shell`."""

    command: str = Field(min_length=1, max_length=_MAX_BYTES)
    """Command line for `sh`; pipes, redirections and several lines are fine."""
    timeout_s: float | None = Field(default=None, gt=0, le=3600)
    """Kill it after this many seconds; the sandbox's own limit stays the upper bound."""


@tool("shell", effect="at_most_once")
async def shell(args: ShellArguments, context: ToolContext) -> ToolResult:
    """Run a command line with `sh` in the workspace and return what it printed.

    Use it for files, text utilities and programs that are installed. Not for Python code (use
    `python`), nor for web pages (use `fetch_url`): there is no network but allowed hosts, and
    only the workspace can be written. Nothing is kept between calls but files. A command may
    append or move, so a call is never repeated by itself after a crash.

    Returns standard output, then standard error; an exit status other than 0 is a failure.

    Example: {"command": "head -n 3 sales.csv && wc -l sales.csv"}
    """
    size = len(args.command.encode())
    if size > _MAX_BYTES:
        msg = (
            f"expected a command of at most {_MAX_BYTES} bytes, got {size}; put the long part "
            "into a file with `write_file` and run that"
        )
        raise ToolError(msg, "bad_arguments")
    limits = context.limits
    if args.timeout_s is not None:
        limits = limits.model_copy(update={"wall_s": min(args.timeout_s, limits.wall_s)})
    result = await context.sandbox.exec(["sh", "-c", args.command], limits=limits)
    if not result.ok:
        raise failure(result, limits, context.output_chars)
    output = printed(decode(result.stdout), shorten(decode(result.stderr)))
    text, cut = cap(output or "(the command printed nothing)", context.output_chars, _HINT)
    return ToolResult(text=text, data={"exit_code": 0}, truncated=cut or result.truncated)
