"""Take in what the task's owner says while it is worked on."""

from agents.context import Run
from agents.state import RunState


async def heard(state: RunState, run: Run) -> tuple[Run, RunState]:
    """Return the run with what was said since the last look, and the keys that change by it.

    The state keeps what was taken in and up to where: what is checkpointed is neither lost nor
    taken in twice.
    """
    fresh = await run.recorder.said(after=state.get("heard", 0))
    if not fresh:
        return run, RunState()
    newest = fresh[-1][0]
    await run.recorder.emit("heard", {"messages": [seq for seq, _ in fresh]})
    words = [*state.get("words", []), *(text for _, text in fresh)]
    return run.told(words), RunState(words=words, heard=newest)
