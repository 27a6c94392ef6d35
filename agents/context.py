"""Everything that one run works with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from langgraph.runtime import Runtime

from agents.acting import Actor
from agents.approvals import Policy
from agents.calls import MeteredModel, ModelCalls
from agents.manager import Manager
from agents.ports import Memory, Recorder, StopRun
from agents.refiner import Refiner
from agents.reviewer import Reviewer
from agents.shortcuts import shortcut_schema
from agents.solver import Solver
from agents.state import RunState, TaskSpec
from models.base import Model
from models.messages import ToolSchema
from sandboxes.base import Sandbox
from tools.toolbox import Toolbox

Node = Callable[[RunState, "Run"], Awaitable[RunState]]


class BoundNode(Protocol):
    """A node as LangGraph calls it."""

    def __call__(self, state: RunState, *, runtime: Runtime["Run"]) -> Awaitable[RunState]:
        """Return the keys that change."""
        ...


@dataclass(frozen=True)
class Run:
    """One task's model, tools, memory and recorder; given to every node, never stored."""

    task: TaskSpec
    model: Model
    toolbox: Toolbox
    sandbox: Sandbox
    memory: Memory
    recorder: Recorder
    policies: tuple[Policy, ...] = ()
    """Who is asked about which calls; the strictest holds."""

    @property
    def calls(self) -> ModelCalls:
        """Model calls, held against the task's budget."""
        return ModelCalls(MeteredModel(self.model, self.recorder, self.task.limits))

    @property
    def manager(self) -> Manager:
        """Who plans."""
        return Manager(self.calls)

    @property
    def solver(self) -> Solver:
        """Who acts."""
        return Solver(self.calls)

    @property
    def reviewer(self) -> Reviewer:
        """Who judges."""
        return Reviewer(self.calls)

    @property
    def refiner(self) -> Refiner:
        """Who repairs and learns."""
        return Refiner(self.calls)

    def told(self, words: Sequence[str]) -> "Run":
        """Return the run with what its owner said since as a part of the task."""
        if not words:
            return self
        return replace(self, task=self.task.model_copy(update={"said": tuple(words)}))

    def actor(self, state: RunState) -> Actor:
        """Return what carries out actions, with the recalled Shortcuts."""
        shortcuts = {
            entry.shortcut.name: entry.shortcut
            for entry in state.get("recalled", [])
            if entry.shortcut is not None
        }
        return Actor(self.toolbox, self.sandbox, self.recorder, shortcuts, self.policies)

    def schemas(self, state: RunState) -> tuple[ToolSchema, ...]:
        """Return the tools and recalled Shortcuts that the Solver may call."""
        recalled = state.get("recalled", [])
        shortcuts = [shortcut_schema(e.shortcut) for e in recalled if e.shortcut is not None]
        return (*self.toolbox.schemas(), *shortcuts)

    def tool_lines(self) -> list[str]:
        """Return one line for each tool: its name and the first sentence of its doc."""
        return [
            f"{schema.name}: {' '.join(schema.description.split('. ')[0].split())}"
            for schema in self.toolbox.schemas()
        ]


def node(work: Node) -> BoundNode:
    """Bind a node to the run's context and turn `StopRun` into state."""

    async def bound(state: RunState, *, runtime: Runtime[Run]) -> RunState:
        run = runtime.context.told(state.get("words", []))
        try:
            return await work(state, run)
        except StopRun as stop:
            return RunState(end_reason=stop.reason, error=str(stop))

    bound.__name__ = work.__name__
    bound.__doc__ = work.__doc__
    return bound
