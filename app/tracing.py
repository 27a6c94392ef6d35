"""Show others what runs do, call by call: the port, and what serves where nobody looks."""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from app.db.records import Claim, TaskRow
from models.base import Model
from tools.base import AnyTool, ToolContext
from tools.toolbox import Toolbox


class TurnTrace(Protocol):
    """What one turn of a task shows of itself."""

    def model(self, model: Model) -> Model:
        """Return the model, each call of which is shown."""
        ...

    def toolbox(self, tools: Mapping[str, AnyTool], context: ToolContext) -> Toolbox:
        """Return a toolbox, each call of which is shown."""
        ...

    def ended(self, status: str, reason: str) -> None:
        """Show how the turn ended."""
        ...


class Tracing(Protocol):
    """Shows turns."""

    def turn(self, claim: Claim, task: TaskRow) -> AbstractContextManager[TurnTrace]:
        """Show a turn from here to the end of the block."""
        ...

    def submitted(self, task_id: str, traceparent: str) -> None:
        """Show in the trace of whoever submitted a task which trace the task has."""
        ...

    async def close(self) -> None:
        """Deliver what is left, if that is soon done."""
        ...


class NoTracing:
    """Shows nothing."""

    @contextmanager
    def turn(self, claim: Claim, task: TaskRow) -> Generator[TurnTrace]:  # noqa: ARG002 - the port's signature
        """Give what leaves models and tools as they are."""
        yield _NoTrace()

    def submitted(self, task_id: str, traceparent: str) -> None:
        """Show nothing."""

    async def close(self) -> None:
        """Deliver nothing."""


class _NoTrace:
    def model(self, model: Model) -> Model:
        return model

    def toolbox(self, tools: Mapping[str, AnyTool], context: ToolContext) -> Toolbox:
        return Toolbox(tools, context)

    def ended(self, status: str, reason: str) -> None:
        pass
