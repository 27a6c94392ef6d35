"""A Recorder and a memory that keep everything in this process: for tests and experiments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.approvals import Kind, Verdict
from agents.state import CallRecord, Step
from memory.records import Body, Provenance, Recall, RecallQuery, Remembered, RunOutcome
from models.messages import Usage


@dataclass
class InMemoryRecorder:
    """Keep events, steps, costs and the call journal in lists."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list[Any])
    steps: list[Step] = field(default_factory=list[Step])
    charges: list[tuple[str, str, Usage]] = field(default_factory=list[Any])
    words: list[str] = field(default_factory=list[str])
    """What the owner says; a message's number is its place, from 1."""
    verdicts: dict[tuple[str, Kind], Verdict] = field(
        default_factory=dict[tuple[str, Kind], Verdict]
    )
    journal: dict[str, CallRecord | None] = field(default_factory=dict[str, CallRecord | None])

    async def emit(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an event."""
        self.events.append((kind, dict(data)))

    async def step(self, step: Step) -> None:
        """Append a step, once for each number."""
        if step.n > len(self.steps):
            self.steps.append(step)
            await self.emit("step", step.model_dump())

    async def trajectory(self) -> list[Step]:
        """Return every step."""
        return list(self.steps)

    async def charge(self, purpose: str, model: str, usage: Usage) -> Usage:
        """Add a cost."""
        self.charges.append((purpose, model, usage))
        return await self.spent()

    async def spent(self) -> Usage:
        """Return the sum of all costs."""
        return sum((usage for _, _, usage in self.charges), Usage())

    async def elapsed_s(self) -> float:
        """Return the models' time, for there is no other clock here."""
        return (await self.spent()).seconds

    async def said(self, *, after: int) -> list[tuple[int, str]]:
        """Return what was said after message number `after`."""
        return list(enumerate(self.words, 1))[after:]

    async def verdict(self, key: str, kind: Kind) -> Verdict | None:
        """Return what was decided about a call."""
        return self.verdicts.get((key, kind))

    async def spend(self, key: str) -> None:
        """Use up the verdict that a call may be repeated."""
        del self.verdicts[(key, "repeat")]

    async def begin_call(
        self, key: str, tool: str, arguments: Mapping[str, Any]
    ) -> CallRecord | bool:
        """Write down an intent."""
        del tool, arguments
        if key not in self.journal:
            self.journal[key] = None
            return False
        return self.journal[key] or True

    async def settle_call(self, key: str, record: CallRecord) -> None:
        """Write down a result."""
        self.journal[key] = record

    def kinds(self) -> list[str]:
        """Return the kinds of the events, in order."""
        return [kind for kind, _ in self.events]


@dataclass
class ListMemory:
    """Recall a given answer, keep every proposal and refuse none."""

    recalled: Recall = field(default_factory=Recall)
    proposals: list[Body] = field(default_factory=list[Any])
    outcomes: list[RunOutcome] = field(default_factory=list[RunOutcome])

    async def recall(self, query: RecallQuery) -> Recall:
        """Return the given answer."""
        del query
        return self.recalled

    async def propose(
        self,
        body: Body,
        *,
        namespace: str,
        provenance: Provenance,
        observations: Sequence[str] = (),
        tools: Collection[str] = (),
    ) -> Remembered:
        """Keep the proposal."""
        del namespace, provenance, observations, tools
        self.proposals.append(body)
        return Remembered(outcome="new")

    async def finish(self, outcome: RunOutcome) -> None:
        """Keep the outcome."""
        self.outcomes.append(outcome)
