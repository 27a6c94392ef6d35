"""What every tool is, how one is added, and how a call can fail.

ToolError           the call failed; shown to the model, with an `ErrorClass`

A tool is one file: a pydantic class for its arguments and one decorated coroutine whose
docstring is what the model reads.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

import tools
from memory.records import ErrorClass
from models.messages import ToolSchema
from sandboxes.base import Limits, Sandbox
from sandboxes.python_session import PythonSession

Effect = Literal["none", "idempotent", "at_most_once"]
"""What a call does to the world: nothing; the same when repeated; something only once."""


Risk = Literal["low", "medium", "high"]
"""How bad a wrong call can be; policies for approvals speak of it."""

_RISKS: Mapping[Effect, Risk] = {"none": "low", "idempotent": "low", "at_most_once": "medium"}


class Arguments(BaseModel):
    """Base of every tool's arguments: unknown fields are an error that the model is told of.

    What is written under a field is its description in the schema.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=False, use_attribute_docstrings=True
    )


class ToolResult(BaseModel):
    """What a successful call gives back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    """What the model sees; already capped."""
    data: dict[str, Any] | None = None
    """The same for programs, where it has a structure."""
    truncated: bool = False
    certain: bool = False
    """True when success is sure, so that no Reviewer needs to look (a file was read)."""
    final: bool = False
    """True for `answer`: the subgoal is finished with `text`."""
    artifacts: tuple[str, ...] = ()
    """Files of the workspace that the answer hands over."""
    untrusted: bool = True
    """Whether `text` holds what came from outside, to be marked as data in prompts."""


class ToolError(Exception):
    """A call failed in a way that the model is told about."""

    def __init__(self, message: str, error_class: ErrorClass, *, output: str = "") -> None:
        super().__init__(message)
        self.error_class: ErrorClass = error_class
        self.output = output
        """What the call printed before it failed, capped."""


@dataclass(frozen=True)
class ToolContext:
    """What a call may use."""

    sandbox: Sandbox
    ask: Callable[[str], Awaitable[str]]
    """Put a question to a person and wait for the answer."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that `fetch_url` may reach: `example.org`, `*.example.org`, `127.0.0.1:8000`."""
    limits: Limits = field(default_factory=Limits)
    output_chars: int = 8000
    """Longest `text` of a result."""

    interpreter: PythonSession | None = None
    """The Python of this run; one is made, but not started, when none is given."""

    def __post_init__(self) -> None:
        if self.interpreter is None:
            object.__setattr__(self, "interpreter", PythonSession(self.sandbox, self.limits))

    @property
    def python(self) -> PythonSession:
        """The interpreter of this run, started at its first use; it ends with the sandbox."""
        if self.interpreter is None:  # `__post_init__` made it
            raise AssertionError
        return self.interpreter


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[A]):
    """A tool as registered."""

    name: str
    doc: str
    """What the model reads: what it does, when to use it, what comes back."""
    arguments: type[A]
    run: Callable[[A, ToolContext], Awaitable[ToolResult]]
    effect: Effect
    """Calls without an effect may run side by side."""
    risk: Risk = "low"

    def schema(self) -> ToolSchema:
        """Return what a model is told about this tool."""
        return _schema(self.name, self.doc, self.arguments)


@cache
def _schema(name: str, doc: str, arguments: type[Arguments]) -> ToolSchema:
    parameters = arguments.model_json_schema()
    parameters.pop("title", None)
    parameters.pop("description", None)
    return ToolSchema(name=name, description=doc, parameters=parameters)


AnyTool = Tool[Any]
_TOOLS: dict[str, AnyTool] = {}


def tool(
    name: str, *, effect: Effect, risk: Risk | None = None
) -> Callable[
    [Callable[[A, ToolContext], Awaitable[ToolResult]]],
    Callable[[A, ToolContext], Awaitable[ToolResult]],
]:
    """Register a coroutine as a tool: the whole act of adding one.

    The risk follows from the effect unless it is named.
    """

    def register(
        run: Callable[[A, ToolContext], Awaitable[ToolResult]],
    ) -> Callable[[A, ToolContext], Awaitable[ToolResult]]:
        if name in _TOOLS:
            msg = f"two tools are called {name!r}"
            raise ValueError(msg)
        arguments = run.__annotations__["args"]
        doc = getdoc(run) or ""
        _TOOLS[name] = Tool(
            name=name,
            doc=doc,
            arguments=arguments,
            run=run,
            effect=effect,
            risk=risk or _RISKS[effect],
        )
        return run

    return register


def discover(plugins: tuple[str, ...] = ()) -> Mapping[str, AnyTool]:
    """Import every module of this package and each plugin once; return what they registered."""
    for module in iter_modules(tools.__path__, prefix="tools."):
        import_module(module.name)
    for plugin in plugins:
        import_module(plugin)
    return dict(_TOOLS)
