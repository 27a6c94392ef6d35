"""The nodes of the `task` graph: admit, plan, advance, finalise, review, repair."""

from agents.context import Run, node
from agents.operating import gave_answer
from agents.perceptor import perceive
from agents.prompts import fence, one_line
from agents.rendering import clip, steps_text
from agents.state import AnswerReview, CallRecord, RecalledText, RunState, Subgoal
from agents.steering import heard
from memory.records import Recall, Recalled, RecallQuery, Shortcut
from sandboxes.base import WorkspacePathError

EVIDENCE_CHARS = 16_000
_SAID_MORE = "The owner said more before this answer was given; see the task."
HEADS = 3
HEAD_BYTES = 1000


@node
async def admit(_: RunState, run: Run) -> RunState:
    """Look at the workspace and recall what was learned."""
    task = run.task
    seen = await perceive(run.sandbox)
    recall = await run.memory.recall(
        RecallQuery(
            text=task.instruction,
            namespace=task.namespace,
            run_id=task.run_id,
            family=task.family,
            files=tuple(seen.stamps),
            tools=tuple(schema.name for schema in run.toolbox.schemas()),
        )
    )
    await run.recorder.emit("recall", _recall_event(recall))
    return RunState(
        recalled=[_entering(item) for item in recall.shown],
        workspace=seen.text,
        files=seen.stamps,
        count=0,
        failures=0,
        total_failures=0,
        rounds=0,
        recent=[],
    )


@node
async def plan(state: RunState, run: Run) -> RunState:
    """Plan what is left; after failures, plan another way round."""
    replan = bool(state.get("plan"))
    run, fresh = await heard(state, run)
    made = await run.manager.plan(run.task, state, run.tool_lines())
    done = [subgoal for subgoal in state.get("plan", []) if subgoal.status == "done"]
    if state.get("review") is not None:
        done = done[:-1]  # the refused answer is to be delivered again
    subgoals = [*done, *(Subgoal(text=text) for text in made.subgoals)]
    event = {"thought": made.thought, "subgoals": [s.text for s in subgoals], "replan": replan}
    await run.recorder.emit("plan", event)
    return fresh | RunState(
        plan=subgoals,
        plan_thought=made.thought,
        current=len(done),
        result=None,
        review=None,
        escalations=state.get("escalations", 0) + int(replan),
    )


@node
async def advance(state: RunState, run: Run) -> RunState:
    """Mark the next open subgoal as running."""
    subgoals = state.get("plan", [])
    index = next(i for i, s in enumerate(subgoals) if s.status in {"pending", "running"})
    running = subgoals[index].model_copy(update={"status": "running"})
    await run.recorder.emit("subgoal", {"index": index, **running.model_dump()})
    return RunState(
        plan=[*subgoals[:index], running, *subgoals[index + 1 :]],
        current=index,
        result=None,
        progress="",
    )


@node
async def finalise(state: RunState, run: Run) -> RunState:
    """Write the answer: the only result as it is, several through the Manager."""
    results = [subgoal for subgoal in state.get("plan", []) if subgoal.result]
    if len(results) == 1:
        answer = results[0].result
    else:
        answer = await run.manager.finalise(run.task, results)
    artifacts = [path for step in await run.recorder.trajectory() for path in _handed(step.calls)]
    return RunState(answer=answer, artifacts=list(dict.fromkeys(artifacts)))


@node
async def review_answer(state: RunState, run: Run) -> RunState:
    """Let the Reviewer judge the answer; an accepted one ends the run.

    What the owner said after the last action was taken goes back to work first.
    """
    run, fresh = await heard(state, run)
    if fresh:
        review = AnswerReview(accepted=False, score=0.0, feedback=_SAID_MORE, mend="work")
        return fresh | RunState(review=review)
    review = await run.reviewer.review_answer(
        run.task,
        state,
        solved=_solved(state),
        evidence=await evidence(run),
        heads=await heads(state, run),
    )
    rounds = state.get("rounds", 0)
    await run.recorder.emit("review", {**review.model_dump(), "round": rounds})
    if review.accepted:
        solved = _solved(state)
        error = "" if solved else "the task could not be done; the answer says why"
        return RunState(review=review, end_reason="done" if solved else "no_answer", error=error)
    if rounds >= run.task.limits.max_answer_rounds:
        error = f"the Reviewer did not accept the answer: {review.feedback}"
        return RunState(review=review, end_reason="no_answer", error=error)
    return RunState(review=review, rounds=rounds + 1)


@node
async def repair(state: RunState, run: Run) -> RunState:
    """Let the Refiner word a refused answer anew from the same evidence."""
    review = state.get("review") or AnswerReview(accepted=False, score=0.0)
    answer = await run.refiner.repair_answer(
        run.task, state.get("answer", ""), review.feedback, await evidence(run)
    )
    await run.recorder.emit("repair", {"answer": answer})
    return RunState(answer=answer)


async def evidence(run: Run) -> str:
    """Return the run's steps as text; where not all fit, the oldest are left out and counted."""
    steps = await run.recorder.trajectory()
    parts: list[str] = []
    room = EVIDENCE_CHARS
    for step in reversed(steps):
        text = clip(steps_text([step]), max(room, 400))
        parts.append(text)
        room -= len(text)
        if room <= 0:
            break
    left_out = len(steps) - len(parts)
    if left_out:
        parts.append(f"({left_out} earlier steps are not shown; do not refuse for their absence)")
    return "\n\n".join(reversed(parts)) or "(no step was taken)"


async def heads(state: RunState, run: Run) -> str:
    """Return how the first files that are handed over begin, each fenced."""
    parts: list[str] = []
    for path in state.get("artifacts", [])[:HEADS]:
        try:
            content = await run.sandbox.read(path, max_bytes=HEAD_BYTES)
        except WorkspacePathError:
            continue
        parts.append(f"{one_line(path)} begins:\n{fence(content.decode(errors='replace'))}")
    return "\n".join(parts)


def _solved(state: RunState) -> bool:
    result = state.get("result")
    return result is None or gave_answer(result)


def _handed(calls: tuple[CallRecord, ...]) -> list[str]:
    return [path for call in calls if call.final for path in call.artifacts]


def _entering(item: Recalled) -> RecalledText:
    body = item.entry.body
    scope = "" if isinstance(body, Shortcut) else _scope_text(body.scope.level, body.scope.key)
    return RecalledText(
        id=item.entry.id,
        version=item.entry.version,
        kind=item.entry.kind,
        text=item.entry.text,
        scope=scope,
        shortcut=body if isinstance(body, Shortcut) else None,
    )


def _scope_text(level: str, key: str) -> str:
    return f"{level} {key}" if key else ""


def _recall_event(recall: Recall) -> dict[str, object]:
    return {
        "items": [
            {
                "id": item.entry.id,
                "version": item.entry.version,
                "kind": item.entry.kind,
                "text": item.entry.text,
                "scope": _entering(item).scope,
                "score": round(item.score, 4),
                "withheld": item.withheld,
                "reasons": list(item.reasons),
            }
            for item in recall.items
        ],
        "degraded": recall.degraded,
    }
