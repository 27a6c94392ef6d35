"""The tools of one run: tells a model what there is and runs what it calls.

Every failure becomes a `CallOutcome`. Only two things pass through: a cancellation, and
whatever `context.ask` raises, for that is how a graph stops to wait for a person.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict

from memory.records import ErrorClass
from models.messages import JsonObject, ToolSchema
from sandboxes.base import PolicyRefusedError, SandboxError, WorkspacePathError
from tools.base import AnyTool, Arguments, Effect, Risk, ToolContext, ToolError, ToolResult
from tools.complaints import complaints
from tools.output import cap, clean

_LOG = logging.getLogger(__name__)
_HINT = "ask for less at a time"
_MESSAGE_CHARS = 2000
_CLASSES: tuple[tuple[type[Exception], ErrorClass], ...] = (
    (WorkspacePathError, "precondition"),
    (PolicyRefusedError, "policy"),
    (SandboxError, "sandbox"),
    (TimeoutError, "timeout"),
    (ConnectionError, "network"),
)
"""What tools may let through, the first that fits."""


class CallOutcome(BaseModel):
    """What became of one tool call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool
    text: str
    """What the model sees: the result, or what went wrong and what to do; capped."""
    error_class: ErrorClass | None = None
    """Why it failed; None when it did not."""
    data: dict[str, Any] | None = None
    """The result for programs, where it has a structure."""
    certain: bool = False
    """True when success is sure, so that no Reviewer needs to look."""
    final: bool = False
    """True when the call finished the subgoal."""
    artifacts: tuple[str, ...] = ()
    """Files of the workspace that the answer hands over."""
    truncated: bool = False
    untrusted: bool = True
    """Whether `text` holds what came from outside, to be marked as data in prompts."""
    seconds: float = 0.0


class Toolbox:
    """Some tools and what they may use.

    Args:
        tools: by name, as `tools.base.discover` returns them.
        context: what every call gets.
        hang_s: stop a tool that has no limit of its own after this time; a person who is asked
            does not count. By default well above the sandbox's limit.
    """

    def __init__(
        self, tools: Mapping[str, AnyTool], context: ToolContext, *, hang_s: float | None = None
    ) -> None:
        self._tools = dict(tools)
        self._context = context
        self._hang_s = 2 * context.limits.wall_s + 30 if hang_s is None else hang_s

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tools, sorted."""
        return tuple(sorted(self._tools))

    def effect(self, name: str) -> Effect:
        """Return what a call of this tool does to the world; an unknown tool does nothing."""
        found = self._tools.get(name)
        return found.effect if found else "none"

    def risk(self, name: str) -> Risk:
        """Return how bad a wrong call of this tool can be."""
        found = self._tools.get(name)
        return found.risk if found else "low"

    def schemas(self, names: Collection[str] | None = None) -> tuple[ToolSchema, ...]:
        """Return what a model is told about these tools, or about all.

        Raises:
            ToolError: there is no tool of one of the names.
        """
        wanted = self.names if names is None else names
        return tuple(_slim(self._find(name).schema()) for name in wanted)

    async def call(self, name: str, arguments: JsonObject) -> CallOutcome:
        """Run one tool and return how it went; see the module for what is raised."""
        started = time.monotonic()
        try:
            found = self._find(name)
            args = _checked(found, arguments)
        except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything
            problem = _mapped(name, error)
            outcome = _failed(problem, self._context.output_chars, untrusted=False)
        else:
            outcome = await _run(found, args, self._context, self._hang_s)
        return outcome.model_copy(update={"seconds": time.monotonic() - started})

    def _find(self, name: str) -> AnyTool:
        found = self._tools.get(name)
        if found is None:
            near = get_close_matches(name, self.names, n=3, cutoff=0.5)
            asked = f"did you mean {' or '.join(near)}? " if near else ""
            msg = f"there is no tool {clean(name)[:100]!r}; {asked}There are: {self._listed()}"
            raise ToolError(msg, "not_found")
        return found

    def _listed(self) -> str:
        return ", ".join(self.names) or "none"


class _Asking:
    """Remembers what `ask` raised, and stops the clock while a person thinks."""

    def __init__(self, ask: Callable[[str], Awaitable[str]], limit_s: float) -> None:
        self._ask = ask
        self._limit_s = limit_s
        self.deadline = asyncio.timeout(limit_s)
        self.raised: Exception | None = None

    async def __call__(self, question: str) -> str:
        self._rearm(None)
        try:
            return await self._ask(question)
        except Exception as error:
            self.raised = error
            raise
        finally:
            self._rearm(asyncio.get_running_loop().time() + self._limit_s)

    def _rearm(self, when: float | None) -> None:
        if not self.deadline.expired():
            self.deadline.reschedule(when)


async def _run(
    found: AnyTool, args: Arguments, context: ToolContext, limit_s: float
) -> CallOutcome:
    asking = _Asking(context.ask, limit_s)
    try:
        async with asking.deadline:
            result = await found.run(args, replace(context, ask=asking))
        return _succeeded(result, context.output_chars)
    except Exception as error:
        if asking.raised is not None and error is asking.raised:
            raise
        if asking.deadline.expired():
            msg = f"`{found.name}` did not end within {limit_s:g} s and was stopped"
            return _failed(ToolError(msg, "timeout"), context.output_chars)
        return _failed(_mapped(found.name, error), context.output_chars)


def _mapped(name: str, error: Exception) -> ToolError:
    if isinstance(error, ToolError):
        return error
    for kind, error_class in _CLASSES:
        if isinstance(error, kind):
            return ToolError(f"`{name}` could not do it: {error}".rstrip(": "), error_class)
    _LOG.error("the tool %s failed by a fault of its own", name, exc_info=error)
    return ToolError(f"`{name}` failed by a fault of its own ({type(error).__name__})", "unknown")


def _succeeded(result: ToolResult, limit: int) -> CallOutcome:
    text, cut = cap(clean(result.text), limit, _HINT)
    return CallOutcome(
        ok=True,
        text=text,
        data=result.data,
        certain=result.certain,
        final=result.final,
        artifacts=result.artifacts,
        truncated=result.truncated or cut,
        untrusted=result.untrusted,
    )


def _failed(error: ToolError, limit: int, *, untrusted: bool = True) -> CallOutcome:
    message, cut = cap(clean(str(error)), min(limit, _MESSAGE_CHARS))
    if error.output:
        output, cut_output = cap(clean(error.output), limit - len(message) - 1, _HINT)
        message, cut = f"{message}\n{output}", cut or cut_output
    return CallOutcome(
        ok=False,
        text=message[:limit],
        error_class=error.error_class,
        truncated=cut,
        untrusted=untrusted,
    )


def _checked(found: AnyTool, arguments: JsonObject) -> Arguments:
    checked, problems = complaints(found.arguments, arguments)
    if checked is None:
        fields = ", ".join(found.arguments.model_fields) or "nothing"
        listed = "\n".join(f"- {problem}" for problem in problems)
        msg = f"the arguments of `{found.name}` are wrong; it takes: {fields}\n{listed}"
        raise ToolError(msg, "bad_arguments")
    return checked


def _slim(schema: ToolSchema) -> ToolSchema:
    """Drop the title that pydantic gives each field: it repeats the name."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.parameters.get("properties", {}).items()
    }
    return schema.model_copy(update={"parameters": {**schema.parameters, "properties": properties}})
