"""Run a task, wait for a person, go on after a crash, and learn: the verbs of the runtime."""
# LangGraph leaves some type arguments open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, interrupt

from agents.approvals import ApprovalRequest, Policy
from agents.context import Run as RunContext
from agents.gating import APPROVALS
from agents.graphs.evolve import build_evolve_graph
from agents.graphs.task import build_task_graph
from agents.learning import EvolveState
from agents.ports import OverBudget
from agents.state import EndReason, Learned, RunState
from models.messages import Frozen

__all__ = [
    "AgentRuntime",
    "ApprovalRequest",
    "Policy",
    "RunContext",
    "RunEnd",
    "RunWaits",
    "ask_person",
    "checkpoint_serde",
]

_STORED = (
    ("agents.state", "Action"),
    ("agents.state", "AnswerReview"),
    ("agents.state", "CallRecord"),
    ("agents.state", "Learned"),
    ("agents.state", "RecalledText"),
    ("agents.state", "Step"),
    ("agents.state", "Subgoal"),
    ("agents.refiner", "Lessons"),
    ("agents.refiner", "ShortcutProposal"),
    ("agents.refiner", "TipProposal"),
    ("memory.records", "ArgumentConst"),
    ("memory.records", "ArgumentRef"),
    ("memory.records", "Check"),
    ("memory.records", "Provenance"),
    ("memory.records", "Shortcut"),
    ("memory.records", "ShortcutArgument"),
    ("memory.records", "ShortcutStep"),
    ("models.messages", "ToolCall"),
)


class RunEnd(Frozen):
    """How a run ended."""

    status: Literal["succeeded", "failed"]
    end_reason: EndReason
    answer: str = ""
    artifacts: tuple[str, ...] = ()
    error: str = ""
    """Why it failed, for people; empty after success."""


class RunWaits(Frozen):
    """The run waits for a person and holds nothing meanwhile."""

    question: str = ""
    approvals: tuple[ApprovalRequest, ...] = ()
    """The calls that a person has to decide about."""
    budget: str = ""
    """What was spent of the budget, when more is needed."""


def checkpoint_serde() -> JsonPlusSerializer:
    """Return the serializer for checkpoints: it revives our own types and nothing else."""
    return JsonPlusSerializer(allowed_msgpack_modules=_STORED)


async def ask_person(question: str) -> str:
    """Stop the run until a person answers; give this to tools as `ToolContext.ask`."""
    return str(interrupt(question))


class AgentRuntime:
    """The compiled graphs over one checkpointer; holds no state of any run."""

    def __init__(self, checkpointer: BaseCheckpointSaver[Any]) -> None:
        self._task = build_task_graph(checkpointer)
        self._evolve = build_evolve_graph(checkpointer)

    async def run(self, context: RunContext, *, answer: str | None = None) -> RunEnd | RunWaits:
        """Work on a task from where it stands, which may be its beginning.

        Args:
            context: what the run works with.
            answer: a person's answer to the question of a `RunWaits`.
        """
        config = _config(context.task.run_id, context.task.limits.max_steps)
        start: RunState | Command[Any] | None = RunState()
        if (await self._task.aget_state(config)).values:
            start = None if answer is None else Command(resume=answer)
        try:
            output = await self._task.ainvoke(
                start, config, context=context, durability="sync", version="v2"
            )
        except OverBudget as over:
            return RunWaits(budget=str(over))
        if output.interrupts:
            return _waits(output.interrupts[0].value)
        return _end((await self._task.aget_state(config)).values)

    async def learn(self, context: RunContext, end: RunEnd) -> tuple[Learned, ...]:
        """Draw lessons from a run that has ended; may be called again after a crash."""
        run_id = context.task.run_id
        config = _config(f"{run_id}:evolve", 1)
        start: EvolveState | None = None
        if not (await self._evolve.aget_state(config)).values:
            state = (await self._task.aget_state(_config(run_id, 1))).values
            start = EvolveState(
                success=end.status == "succeeded",
                end_reason=end.end_reason,
                recalled=state.get("recalled", []),
            )
        await self._evolve.ainvoke(start, config, context=context, durability="sync")
        values = (await self._evolve.aget_state(config)).values
        return tuple(values.get("learned", []))


def _waits(value: Any) -> RunWaits:  # noqa: ANN401 - whatever an interrupt was raised with
    if not isinstance(value, str):
        return RunWaits.model_validate({"approvals": value[APPROVALS]})
    return RunWaits(question=str(value))


def _config(thread_id: str, max_steps: int) -> RunnableConfig:
    return RunnableConfig(
        configurable={"thread_id": thread_id}, recursion_limit=100 + 10 * max_steps
    )


def _end(state: dict[str, Any]) -> RunEnd:
    reason: EndReason = state.get("end_reason") or "internal"
    error = state.get("error", "")
    if state.get("end_reason") is None:
        error = "the run stopped without a reason; this is a fault of Strop"
    return RunEnd(
        status="succeeded" if reason == "done" else "failed",
        end_reason=reason,
        answer=state.get("answer", ""),
        artifacts=tuple(state.get("artifacts", [])),
        error="" if reason == "done" else error,
    )
