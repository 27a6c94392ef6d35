"""Runs for tests: a scripted model over real tools, a real sandbox and real graphs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from agents.in_memory import InMemoryRecorder, ListMemory
from agents.run import AgentRuntime, RunContext, RunEnd, RunWaits, ask_person, checkpoint_serde
from agents.state import RunLimits, TaskSpec
from memory.records import Recall
from models.base import Model
from models.messages import JsonObject, Message, ToolCall
from models.scripted import Line, ScriptedModel
from sandboxes.base import Isolation, SandboxSpec
from sandboxes.base import discover as discover_sandboxes
from tools.base import ToolContext
from tools.base import discover as discover_tools
from tools.toolbox import Toolbox

PLAN = '{"thought": "one worker will do", "subgoals": ["do it"]}'
ACCEPT = '{"accepted": true, "score": 1.0, "feedback": "", "mend": "nothing"}'
FINE = '{"outcome": "success", "error_class": null, "feedback": "", "progress": "going well"}'
NO_LESSON = '{"tips": [], "shortcut": null}'


def calls(*named: tuple[str, JsonObject], thought: str = "") -> Message:
    """Return a Solver's turn that calls tools."""
    made = tuple(ToolCall(id="x", name=name, arguments=arguments) for name, arguments in named)
    return Message(role="assistant", content=thought, tool_calls=made)


def answer(text: str, **arguments: object) -> Message:
    """Return a Solver's turn that answers."""
    return calls(("answer", {"text": text, **arguments}))


@dataclass
class Bench:
    """One task on one workspace, with everything that a run needs."""

    context: RunContext
    recorder: InMemoryRecorder
    memory: ListMemory
    model: Model
    tools: ToolContext
    saver: BaseCheckpointSaver[Any] = field(
        default_factory=lambda: InMemorySaver(serde=checkpoint_serde())
    )

    async def run(self, *, answer: str | None = None) -> RunEnd | RunWaits:
        """Run the task, or go on with it, in a fresh runtime over the same checkpoints."""
        try:
            return await AgentRuntime(self.saver).run(self.context, answer=answer)
        finally:
            await self.tools.python.close()

    async def learn(self, end: RunEnd) -> list[str]:
        """Learn from the run and return the texts."""
        try:
            learned = await AgentRuntime(self.saver).learn(self.context, end)
        finally:
            await self.tools.python.close()
        return [item.text for item in learned]


async def bench(
    workspace: Path,
    script: Iterable[Line] | Model,
    *,
    instruction: str = "Do it.",
    limits: RunLimits | None = None,
    recalled: Recall | None = None,
    acceptance: tuple[str, ...] = (),
) -> Bench:
    """Return a task with a scripted model, or another, in an unprotected local sandbox."""
    model = ScriptedModel(script) if isinstance(script, Iterable) else script
    sandbox = await discover_sandboxes()["unsafe-local"]().create(
        SandboxSpec(workspace=workspace, min_isolation=Isolation.NONE)
    )
    recorder, memory = InMemoryRecorder(), ListMemory(recalled or Recall())
    task = TaskSpec(
        task_id="task-1",
        run_id="run-1",
        namespace="default",
        instruction=instruction,
        acceptance=acceptance,
        limits=limits or RunLimits(),
    )
    tools = ToolContext(sandbox=sandbox, ask=ask_person)
    toolbox = Toolbox(discover_tools(), tools)
    context = RunContext(
        task=task,
        model=model,
        toolbox=toolbox,
        sandbox=sandbox,
        memory=memory,
        recorder=recorder,
    )
    return Bench(context, recorder, memory, model, tools)
