"""The tool `answer`: the end of a subgoal."""

from pydantic import Field

from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.paths import missing, workspace_path


class AnswerArguments(Arguments):
    """Arguments of `answer`."""

    text: str = Field(min_length=1)
    """The answer itself, complete: whoever reads it sees nothing else."""
    artifacts: list[str] = Field(default_factory=list[str], max_length=100)
    """Files of the workspace to hand over with it."""
    solved: bool = True
    """False when it cannot be done: the text then says what is missing and what was tried."""


@tool("answer", effect="none")
async def answer(args: AnswerArguments, context: ToolContext) -> ToolResult:
    """Give the result of your subgoal and finish it.

    Use it once, when the work is done and checked, or when it cannot be done: then set `solved`
    to false and say what is missing. Not for remarks on the way. Put long material into a file
    and name it in `artifacts`.

    Returns the answer; nothing is run after it. A file that is not in the workspace is an error.

    Example: {"text": "The total is 42.50 EUR.", "artifacts": ["report.md"]}
    """
    if len(args.text) > context.output_chars:
        msg = (
            f"expected an answer of at most {context.output_chars} characters, got "
            f"{len(args.text)}; write the long part to a file and name it in `artifacts`"
        )
        raise ToolError(msg, "bad_arguments")
    if not args.text.strip():
        msg = "expected an answer, got only white space; say what was found, or why nothing was"
        raise ToolError(msg, "bad_arguments")
    artifacts = tuple(dict.fromkeys(workspace_path(path) for path in args.artifacts))
    if artifacts:
        entries = await context.sandbox.list()
        files = {entry.path for entry in entries if entry.kind == "file"}
        for path in artifacts:
            if path not in files:
                raise missing(path, entries)
    return ToolResult(text=args.text, data={"solved": args.solved}, final=True, artifacts=artifacts)
