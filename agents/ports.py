"""What a run needs from outside: a Recorder that keeps what happens, and memory.

StopRun             control flow: ends the run with a reason; the graphs turn it into state
OverBudget          control flow: stops the run where it stands until its budget is raised
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from agents.approvals import Kind, Verdict
from agents.state import CallRecord, EndReason, Step
from memory.records import Body, Provenance, Recall, RecallQuery, Remembered, RunOutcome
from models.messages import Usage


class StopRun(Exception):  # noqa: N818 - it is control flow, not an error
    """The run has to end now, for this reason."""

    def __init__(self, reason: EndReason, message: str) -> None:
        super().__init__(message)
        self.reason: EndReason = reason


class OverBudget(Exception):  # noqa: N818 - it is control flow, not an error
    """The budget is spent and its owner is to be asked: the run stops before this node."""


class Recorder(Protocol):
    """Keeps everything that happens in one run, in order and durably."""

    async def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event."""
        ...

    async def step(self, step: Step) -> None:
        """Append a finished step to the trajectory, and its event."""
        ...

    async def trajectory(self) -> list[Step]:
        """Return every step of the run, oldest first."""
        ...

    async def charge(self, purpose: str, model: str, usage: Usage) -> Usage:
        """Add what a model call cost and return the task's total."""
        ...

    async def spent(self) -> Usage:
        """Return the task's total so far; `seconds` is the model's time."""
        ...

    async def elapsed_s(self) -> float:
        """Return the time the task has been worked on, in seconds, waiting excluded."""
        ...

    async def said(self, *, after: int) -> list[tuple[int, str]]:
        """Return what the owner said after message number `after`: numbers and texts."""
        ...

    async def verdict(self, key: str, kind: Kind) -> Verdict | None:
        """Return what a person decided about a call, or None while it is undecided."""
        ...

    async def spend(self, key: str) -> None:
        """Use up the verdict that a call may be repeated: it holds for one try."""
        ...

    async def begin_call(
        self, key: str, tool: str, arguments: Mapping[str, Any]
    ) -> CallRecord | bool:
        """Write down the intent of a tool call.

        Returns:
            The result when this call was settled before; True when it was begun before but
            never settled (the process died in it); False when it is new.
        """
        ...

    async def settle_call(self, key: str, record: CallRecord) -> None:
        """Write down the result of a tool call."""
        ...


class Memory(Protocol):
    """The part of memory that agents use."""

    async def recall(self, query: RecallQuery) -> Recall:
        """Return what is worth knowing; never fails because an index is down."""
        ...

    async def propose(
        self,
        body: Body,
        *,
        namespace: str,
        provenance: Provenance,
        observations: Sequence[str] = (),
        tools: Collection[str] = (),
    ) -> Remembered:
        """Pass a proposal through the gates and keep it, merge it or refuse it."""
        ...

    async def finish(self, outcome: RunOutcome) -> None:
        """Record how the run ended, for the receipts of what it recalled."""
        ...
