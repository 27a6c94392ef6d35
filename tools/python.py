"""The tool `python`: code in an interpreter that is kept in the sandbox."""

from pydantic import Field

from tools.base import Arguments, ToolContext, ToolResult, tool
from tools.failures import failure, printed
from tools.output import cap, decode

_HINT = "print less, or write to a file and read a part of it"
_LOST = "(a new interpreter was started: names of earlier calls are gone)\n"


class PythonArguments(Arguments):
    """Arguments of `python`."""

    code: str = Field(min_length=1, max_length=200_000)
    """Python source; print what you want to see, the value of a last expression is shown."""


@tool("python", effect="at_most_once")
async def python(args: PythonArguments, context: ToolContext) -> ToolResult:
    r"""Run Python in the workspace and return what it printed.

    Use it to compute, to read and transform data files, to check a result. Not for one shell
    command (use `shell`), nor for web pages: there is no network but allowed hosts. Only
    Python 3 and its standard library are there; nothing can be installed. As in a notebook,
    names stay from call to call until one is killed; keep in files what must last. Modules in
    the workspace can be imported. A call is never repeated after a crash.

    Returns standard output, then standard error. An uncaught exception is a failure and comes
    with the lines that raised it.

    Example: {"code": "import csv\nprint(sum(1 for row in csv.reader(open('sales.csv'))))"}
    """
    evaluation = await context.python.run(args.code, limits=context.limits)
    result = evaluation.result
    if not result.ok:
        raise failure(result, context.limits, context.output_chars)
    output = printed(decode(result.stdout), decode(result.stderr))
    text, cut = cap(output or "(the program printed nothing)", context.output_chars, _HINT)
    lost = _LOST if evaluation.lost else ""
    return ToolResult(text=lost + text, data={"exit_code": 0}, truncated=cut or result.truncated)
