"""The tool `calculate`: an expression or a short program in a light interpreter."""

from functools import cache

from pydantic import Field

from sandboxes.base import ExecResult, Limits, Outcome
from sandboxes.monty_pool import MontyPool
from tools.base import Arguments, ToolContext, ToolError, ToolResult, tool
from tools.failures import failure, printed
from tools.output import cap, decode

_WALL_S = 5.0
_MEMORY_BYTES = 64 << 20
_PRINTED_BYTES = 256 << 10
_HINT = "print less"
_ELSEWHERE = "`python` has more of the language, more time and more memory"


class CalculateArguments(Arguments):
    """Arguments of `calculate`."""

    code: str = Field(min_length=1, max_length=20_000)
    """One Python expression, or a short program; the value of its last line is shown."""


@tool("calculate", effect="none")
async def calculate(args: CalculateArguments, context: ToolContext) -> ToolResult:
    r"""Evaluate a Python expression or a short program at once, without files or network.

    Use it for arithmetic, dates, and working on text or numbers that you have in front of you.
    Not for files, packages or anything outside (use `python`). It knows a part of Python: no
    generators, and of the library only such modules as math, re, json, datetime, decimal,
    random, collections, itertools and functools. Each call starts afresh.

    Returns what it printed and the value of the last line. An uncaught exception is a failure
    and comes with the lines that raised it.

    Example: {"code": "prices = [19.99, 5.25]\nround(sum(prices) * 1.19, 2)"}
    """
    limits = _within(context.limits)
    result = await _interpreters().run(args.code, env={}, limits=limits, show_value=True)
    if not result.ok:
        raise _failure(result, limits, context.output_chars)
    output = printed(decode(result.stdout), decode(result.stderr))
    text, cut = cap(output or "(no value, nothing printed)", context.output_chars, _HINT)
    return ToolResult(text=text, truncated=cut or result.truncated)


@cache
def _interpreters() -> MontyPool:
    """Keep the workers of this process; no session outlives its call."""
    return MontyPool()


def _within(limits: Limits) -> Limits:
    return Limits(
        wall_s=min(limits.wall_s, _WALL_S),
        memory_bytes=min(limits.memory_bytes, _MEMORY_BYTES),
        stdout_bytes=_PRINTED_BYTES,
        stderr_bytes=_PRINTED_BYTES,
        output_kill_bytes=16 * _PRINTED_BYTES,
    )


def _failure(result: ExecResult, limits: Limits, output_chars: int) -> ToolError:
    if result.outcome is Outcome.TIMED_OUT:
        msg = f"it took longer than {limits.wall_s:g} s and was stopped; {_ELSEWHERE}"
        return ToolError(msg, "timeout")
    if result.outcome is Outcome.OOM:
        msg = f"it needed more than {limits.memory_bytes >> 20} MiB of memory; {_ELSEWHERE}"
        return ToolError(msg, "sandbox")
    if result.outcome is Outcome.OUTPUT_LIMIT:
        msg = f"it printed more than {limits.output_kill_bytes >> 20} MiB and was stopped"
        return ToolError(msg, "sandbox")
    error = failure(result, limits, output_chars)
    if error.error_class in {"not_found", "policy"} or b"not yet support" in result.stderr:
        return ToolError(f"{error}. {_ELSEWHERE}", error.error_class, output=error.output)
    return error
