"""The node `gate`: wait until a person has decided about the calls of the action."""

from langgraph.types import interrupt

from agents.acting import Actor
from agents.approvals import ApprovalRequest
from agents.context import Run, node
from agents.state import RunState

APPROVALS = "approvals"
"""Under this name the requests lie in the interrupt's value."""


@node
async def gate(state: RunState, run: Run) -> RunState:
    """Stop the run while calls of the action are undecided; verdicts are read, not resumed with.

    So a run that is recovered, resumed or woken twice sees the same verdicts.
    """
    while waiting := await undecided(state, run):
        interrupt({APPROVALS: [request.model_dump() for request in waiting]})
    return RunState(doubt=[])


async def undecided(state: RunState, run: Run) -> list[ApprovalRequest]:
    """Return the calls that a person still has to decide about."""
    actor = run.actor(state)
    return [
        request
        for request in _asked(state, actor)
        if await run.recorder.verdict(request.key, request.kind) is None
    ]


def asks(state: RunState, run: Run) -> bool:
    """Whether the action holds calls that a person is asked about."""
    return bool(run.policies) and bool(_asked(state, run.actor(state)))


def _asked(state: RunState, actor: Actor) -> list[ApprovalRequest]:
    action = state.get("action")
    doubt = set(state.get("doubt", []))
    calls = [] if action is None else [c for call in action.calls for c in actor.expanded(call)]
    asked = [actor.request(call) for call in calls if actor.decision(call) == "ask"]
    again = [r.model_copy(update={"kind": "repeat"}) for r in asked if r.key in doubt]
    return [*asked, *again]
