"""Rows of the service's tables as values."""

import time
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping

from agents.state import EndReason
from models.messages import JsonObject, Usage

Status = Literal[
    "queued",
    "running",
    "waiting_approval",
    "waiting_input",
    "waiting_budget",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
]
"""What a user sees of a task's life."""

TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})
"""A task in one of these is over."""

Learning = Literal["none", "pending", "done"]
"""Whether lessons are still to be drawn from a task that is over."""

Phase = Literal["run", "learn"]
"""What a process has claimed a task for."""


@dataclass(frozen=True)
class PlannedSubgoal:
    """A subgoal as the task shows it."""

    text: str
    status: str = "pending"
    result: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task as it stands."""

    id: str
    namespace: str
    instruction: str
    inputs: JsonObject
    acceptance: list[str]
    files: list[JsonObject]
    """`{"id", "name", "size"}` of each file that came with it."""
    task_metadata: JsonObject
    model: str
    """As asked for; empty for the server's choice."""
    budget: JsonObject
    family: str
    status: Status
    end_reason: EndReason | None = None
    answer: str | None = None
    artifacts: list[JsonObject]
    """`{"name", "size"}` of each file that the answer hands over."""
    error: str | None = None
    question: str | None = None
    """What a person is asked, while the task waits for input."""
    reply: str | None = None
    """The person's answer, until the run has taken it in."""
    plan: JsonObject
    """`{"thought", "subgoals": [{"text", "status", "result"}]}`."""
    recalled: list[JsonObject]
    learned: list[JsonObject]
    learning: Learning = "none"
    run_id: str
    owner: str | None = None
    """Boot id of the process that holds the task; None when nobody does."""
    epoch: int = 0
    """Counts claims; only the newest claim may write."""
    turn: int = 1
    """Counts how often the task was queued; an older turn is worked on by nobody."""
    priority: int = 0
    """From -100 to 100; higher ones of the same namespace come first."""
    agent_id: str | None = None
    """The standing agent that made the task."""
    created_by: str | None = None
    """Id of the key with which it was submitted; None without keys."""
    approval: JsonObject | None = None
    """The task's own rules for approvals, over those of its namespace."""
    not_before: datetime | None = None
    """When it may be worked on, if not at once."""
    paused_from: Status | None = None
    """What a paused task was waiting for; None when it was queued or running."""
    graph_version: int = 1
    """Which version of the graphs its run began with."""
    last_seq: int = 0
    version: int = 0
    steps: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    model_seconds: float = 0.0
    model_calls: int = 0
    worked_seconds: float = 0.0
    """Time worked in finished claims, waiting excluded."""
    deaths: int = 0
    """How far it is suspected of stopping its processes; see `app.db.claims`."""
    death_steps: int = 0
    """Steps that were done when the last of them died."""
    created_at: datetime
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether the task has ended."""
        return self.status in TERMINAL

    @property
    def usage(self) -> Usage:
        """What its model calls consumed."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            usd=self.usd,
            seconds=self.model_seconds,
            calls=self.model_calls,
        )


@dataclass(frozen=True)
class EventRow:
    """One thing that happened to a task."""

    task_id: str
    seq: int
    run_id: str
    kind: str
    at: datetime
    data: JsonObject


@dataclass(frozen=True)
class FileRow:
    """An uploaded file."""

    id: str
    namespace: str
    name: str
    size: int
    sha256: str
    created_at: datetime


@dataclass(frozen=True)
class Claim:
    """A process's right to work on a task, until somebody claims it anew."""

    task_id: str
    run_id: str
    epoch: int
    phase: Phase
    began: float = field(default_factory=time.monotonic, compare=False)
    """When it was claimed, by a clock of this process that nobody sets."""


@dataclass(frozen=True)
class Turn:
    """One time that a task is queued; its number is part of its name for the engine."""

    task_id: str
    run_id: str
    number: int
    namespace: str
    priority: int = 0
    phase: Phase = "run"
    not_before: datetime | None = None
    begun: bool = False
    """Whether the task was worked on before; then it comes before equals that were not."""


def turn_of(task: TaskRow, phase: Phase = "run") -> Turn:
    """Return the task's present turn."""
    return Turn(
        task_id=task.id,
        run_id=task.run_id,
        number=task.turn,
        namespace=task.namespace,
        priority=task.priority,
        phase=phase,
        not_before=task.not_before,
        begun=task.started_at is not None,
    )


def values_of(record: TaskRow | EventRow | FileRow) -> dict[str, Any]:
    """Return the columns of a row about to be inserted."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def columns(row: RowMapping) -> dict[str, Any]:
    """Return a row's values by column name."""
    return {str(name): value for name, value in row.items()}
