"""The nodes of the `operate` graph: act, execute, review, note."""

from agents.acting import InDoubt
from agents.context import Run, node
from agents.limits import stop_reason
from agents.perceptor import changed_files, perceive
from agents.state import CallRecord, RunState, Step, Subgoal
from agents.steering import heard

KEPT_SIGNATURES = 8


@node
async def act(state: RunState, run: Run) -> RunState:
    """Ask the Solver for the next action, unless a limit is reached."""
    stop = stop_reason(state, run.task.limits)
    if stop is not None:
        return RunState(end_reason=stop[0], error=stop[1])
    run, fresh = await heard(state, run)
    action = await run.solver.act(run.task, state, run.schemas(state))
    await run.recorder.emit(
        "action",
        {
            "step": state.get("count", 0) + 1,
            "subgoal": state.get("current", 0),
            "thought": action.thought,
            "calls": [call.model_dump() for call in action.calls],
        },
    )
    return fresh | RunState(action=action)


@node
async def execute(state: RunState, run: Run) -> RunState:
    """Carry out the action and perceive what it left."""
    action = state.get("action")
    if action is None:
        msg = "execute ran without an action"
        raise RuntimeError(msg)
    try:
        calls = await run.actor(state).carry_out(action)
    except InDoubt as doubt:
        return RunState(doubt=[*state.get("doubt", []), doubt.key])
    seen = await perceive(run.sandbox)
    step = Step(
        n=state.get("count", 0) + 1,
        subgoal=state.get("current", 0),
        thought=action.thought,
        calls=calls,
        changed=changed_files(state.get("files", {}), seen.stamps),
    )
    recent = [*state.get("recent", []), step]
    return RunState(recent=recent, workspace=seen.text, files=seen.stamps, doubt=[])


@node
async def review_step(state: RunState, run: Run) -> RunState:
    """Judge the newest step, count, and finish the subgoal when it was answered."""
    *earlier, newest = state.get("recent", [])
    before = state.copy()
    before["recent"] = earlier
    step = await run.reviewer.review_step(run.task, before, newest)
    await run.recorder.step(step)
    action = state.get("action")
    signatures = [*state.get("signatures", []), action.signature if action else ""]
    update = RunState(
        action=None,
        recent=[*earlier, step],
        count=step.n,
        signatures=signatures[-KEPT_SIGNATURES:],
        failures=state.get("failures", 0) + 1 if step.failed else 0,
        total_failures=state.get("total_failures", 0) + int(step.failed),
        progress=_progress(step, state),
    )
    final = next((call for call in step.calls if call.final), None)
    if final is not None and not step.failed:
        update["result"] = final
        update["plan"] = _finished(state.get("plan", []), state.get("current", 0), final)
        await run.recorder.emit("subgoal", _subgoal_event(update["plan"], state.get("current", 0)))
    return update


@node
async def note(state: RunState, run: Run) -> RunState:
    """Write the notes anew before steps leave the Solver's window."""
    leaving = leaving_steps(state, run.task.limits.history_window)
    notes = await run.refiner.take_notes(run.task, state, leaving)
    await run.recorder.emit("note", {"notes": notes})
    kept = [step for step in state.get("recent", []) if step not in leaving]
    return RunState(notes=notes, recent=kept)


def leaving_steps(state: RunState, window: int) -> list[Step]:
    """Return the steps to be noted and let go: all but a window, once there are two windows.

    So a Solver sees at least the newest `window` steps, and notes cost one call in `window`.
    """
    recent = state.get("recent", [])
    return recent[:-window] if len(recent) >= 2 * window else []


def _progress(step: Step, state: RunState) -> str:
    if not step.progress:
        return state.get("progress", "")
    return f"After step {step.n}: {step.progress}"


def _finished(plan: list[Subgoal], current: int, final: CallRecord) -> list[Subgoal]:
    solved = gave_answer(final)
    status = "done" if solved else "failed"
    done = Subgoal(text=plan[current].text, status=status, result=final.text)
    return [*plan[:current], done, *plan[current + 1 :]]


def gave_answer(final: CallRecord) -> bool:
    """Whether an `answer` call says that the subgoal is solved."""
    return (final.data or {}).get("solved") is not False


def _subgoal_event(plan: list[Subgoal], index: int) -> dict[str, object]:
    return {"index": index, **plan[index].model_dump()}
