"""The tool `python`: a program in the sandbox."""

from pydantic import Field

from sandboxes.base import ExecResult
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.failures import failure, printed
from tools.output import cap, decode

_HINT = "print less, or write to a file and read a part of it"

# The workspace comes last on the path: a file `csv.py` in it cannot replace the library's.
_BOOT = """\
import linecache, os, sys, traceback, types

def _show(kind, error, frames):
    while frames is not None and frames.tb_frame.f_code.co_filename == "<string>":
        frames = frames.tb_next
    traceback.print_exception(kind, error, frames)

_source = sys.stdin.buffer.read().decode()
_main = types.ModuleType("__main__")
linecache.cache["<code>"] = (len(_source), None, _source.splitlines(True), "<code>")
sys.excepthook = _show
sys.path.append(os.getcwd())
sys.modules["__main__"] = _main
exec(compile(_source, "<code>", "exec"), _main.__dict__)
"""
_ARGV = ("python3", "-I", "-B", "-u", "-X", "utf8", "-c", _BOOT)


class PythonArguments(Arguments):
    """Arguments of `python`."""

    code: str = Field(min_length=1, max_length=200_000)
    """A whole Python program; print what you want to see."""


@tool("python", effect="at_most_once")
async def python(args: PythonArguments, context: ToolContext) -> ToolResult:
    r"""Run a Python program in the workspace and return what it printed.

    Use it to compute, to read and transform data files, to check a result. Not for one shell
    command (use `shell`), nor for web pages: there is no network. Only Python 3 and its
    standard library are sure to be there; nothing can be installed. Each call starts afresh, only
    files stay; modules in the workspace can be imported. A program may append to files, so a
    call is never repeated by itself after a crash.

    Returns standard output, then standard error. An uncaught exception is a failure and comes
    with the lines that raised it.

    Example: {"code": "import csv\nprint(sum(1 for row in csv.reader(open('sales.csv'))))"}
    """
    result = await context.sandbox.exec(_ARGV, stdin=args.code.encode(), limits=context.limits)
    if not result.ok:
        raise _failure(result, context)
    output = printed(decode(result.stdout), decode(result.stderr))
    text, cut = cap(output or "(the program printed nothing)", context.output_chars, _HINT)
    return ToolResult(text=text, data={"exit_code": 0}, truncated=cut or result.truncated)


def _failure(result: ExecResult, context: ToolContext) -> ToolError:
    if result.exit_code == 127 and b"Traceback" not in result.stderr:
        return ToolError("this sandbox has no `python3`; the operator must act", "sandbox")
    return failure(result, context.limits, context.output_chars)
