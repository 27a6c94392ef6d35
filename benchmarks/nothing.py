"""A tool that does nothing, quickly, so that what is left of a step is the runtime's own time."""

from tools.base import Arguments, ToolContext, ToolResult, tool


class Nothing(Arguments):
    """Arguments of `nothing`."""

    n: int
    """Any number; a new one each time, so that no step repeats another."""


@tool("nothing", effect="idempotent")
async def nothing(args: Nothing, context: ToolContext) -> ToolResult:  # noqa: ARG001 - the port's signature
    """Do nothing and say so."""
    return ToolResult(text=f"nothing was done for the {args.n}th time", certain=True)
