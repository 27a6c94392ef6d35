"""The tool `ask_human`: a question to a person."""

from pydantic import Field

from tools.base import Arguments, ToolContext, ToolResult, tool
from tools.output import cap, clean


class AskHumanArguments(Arguments):
    """Arguments of `ask_human`."""

    question: str = Field(min_length=3, max_length=4000)
    """One clear question, with the choices if there are any."""


@tool("ask_human", effect="none")
async def ask_human(args: AskHumanArguments, context: ToolContext) -> ToolResult:
    """Ask the person who gave the task a question and wait for the reply.

    Use it when only a person can know: a missing fact, a choice between readings of the task, a
    permission. Not for what the files, a tool or a sensible assumption can settle: the task
    stands still until somebody replies.

    Returns the reply as the person wrote it.

    Example: {"question": "Should refunds count as negative sales? (yes/no)"}
    """
    reply = clean(await context.ask(args.question))
    text, cut = cap(reply, context.output_chars)
    if not text.strip():
        text = "(the person replied with nothing)"
    return ToolResult(text=text, truncated=cut, certain=True, untrusted=False)
