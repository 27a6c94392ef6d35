"""The nodes of the `evolve` graph: record the outcome, draw lessons, pass them to memory."""

from typing import TypedDict

from agents.context import Run
from agents.ports import StopRun
from agents.refiner import Lessons, TipProposal
from agents.rendering import clip
from agents.state import EndReason, Learned, RecalledText, Step
from memory.records import INFRASTRUCTURE, Body, Provenance, Remembered, RunOutcome, Shortcut

_ENDINGS: dict[EndReason, str] = {
    "done": "The task was done and its answer accepted",
    "no_answer": "The task could not be done as it stands, or no answer was accepted",
    "max_failures": "Too many steps failed in a row",
    "repetition": "The Solver went round in circles",
    "max_steps": "The steps ran out",
    "budget": "The budget ran out",
}


class EvolveState(TypedDict, total=False):
    """State of the `evolve` graph."""

    success: bool
    end_reason: EndReason
    recalled: list[RecalledText]
    lessons: Lessons
    learned: list[Learned]


async def record_outcome(state: EvolveState, run: Run) -> EvolveState:
    """Keep how the run fared, for the receipts of what it recalled."""
    steps = await run.recorder.trajectory()
    spent = await run.recorder.spent()
    await run.memory.finish(
        RunOutcome(
            run_id=run.task.run_id,
            task_id=run.task.task_id,
            namespace=run.task.namespace,
            family=run.task.family,
            success=state.get("success", False),
            end_reason=state.get("end_reason", "internal"),
            steps=len(steps),
            failures=sum(step.failed for step in steps),
            tokens=spent.tokens,
            usd=spent.usd,
            seconds=await run.recorder.elapsed_s(),
        )
    )
    return EvolveState()


async def draw_lessons(state: EvolveState, run: Run) -> EvolveState:
    """Ask the Refiner what a later run should know; a failing model teaches nothing."""
    steps = teaching_steps(await run.recorder.trajectory())
    if not steps:
        return EvolveState(lessons=Lessons())
    ending = _ENDINGS.get(state.get("end_reason", "internal"), "")
    ending = f"{ending or 'The run was stopped'} ({state.get('end_reason')})."
    try:
        lessons = await run.refiner.draw_lessons(
            run.task, ending, steps, state.get("recalled", []), run.tool_lines()
        )
    except StopRun as stop:
        await run.recorder.emit("note", {"notes": f"nothing was learned: {clip(str(stop), 300)}"})
        lessons = Lessons()
    return EvolveState(lessons=lessons)


async def commit(state: EvolveState, run: Run) -> EvolveState:
    """Pass every proposal through memory's gates."""
    steps = {step.n: step for step in await run.recorder.trajectory()}
    lessons = state.get("lessons", Lessons())
    observations = [call.text for step in steps.values() for call in step.calls]
    tools = [schema.name for schema in run.toolbox.schemas()]
    learned: list[Learned] = []
    for proposal in lessons.tips:
        if not rests_on_evidence(proposal, steps):
            continue
        provenance = _provenance(run, proposal.steps, "after the run ended")
        learned.append(await _propose(run, proposal.tip(), provenance, observations, tools))
    if lessons.shortcut is not None:
        body = _shortcut(lessons.shortcut.model_dump())
        if body is not None:
            provenance = _provenance(run, tuple(steps), "after the run ended")
            learned.append(await _propose(run, body, provenance, observations, tools))
    return EvolveState(learned=learned)


def teaching_steps(steps: list[Step]) -> list[Step]:
    """Return the steps that may teach: none whose failure was the infrastructure's."""
    return [step for step in steps if step.error_class not in INFRASTRUCTURE]


def rests_on_evidence(proposal: TipProposal, steps: dict[int, Step]) -> bool:
    """Whether a tip cites steps of this run, and not only outages."""
    if proposal.error_class in INFRASTRUCTURE:
        return False
    cited = [steps[n] for n in proposal.steps if n in steps]
    return any(step.error_class not in INFRASTRUCTURE for step in cited)


def _provenance(run: Run, steps: tuple[int, ...], reason: str) -> Provenance:
    return Provenance(
        task_id=run.task.task_id,
        run_id=run.task.run_id,
        steps=steps,
        model=run.model.info.name,
        reason=reason,
    )


def _shortcut(fields: dict[str, object]) -> Shortcut | None:
    try:
        return Shortcut.model_validate(fields)
    except ValueError:
        return None


async def _propose(
    run: Run, body: Body, provenance: Provenance, observations: list[str], tools: list[str]
) -> Learned:
    kept: Remembered = await run.memory.propose(
        body,
        namespace=run.task.namespace,
        provenance=provenance,
        observations=observations,
        tools=tools,
    )
    text = body.description if isinstance(body, Shortcut) else body.text
    return Learned(
        id=kept.entry.id if kept.entry else None,
        kind=body.kind,
        outcome=kept.outcome,
        text=text,
        reason=kept.reason,
        provenance=provenance,
    )
