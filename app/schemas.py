"""What the API takes and gives."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agents.approvals import Policy
from agents.state import EndReason
from app.db.records import EventRow, Status, TaskRow
from models.messages import JsonObject

MAX_INSTRUCTION_CHARS = 20_000
MAX_FILES = 50
NAMESPACE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_MAX_DEPTH = 20


def _storable(text: str) -> str:
    """Refuse what no database keeps."""
    if "\0" in text:
        msg = "expected text without NUL bytes"
        raise ValueError(msg)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "expected text without halves of surrogate pairs"
        raise ValueError(msg) from None
    return text


def _said(text: str) -> str:
    """Refuse text in which nothing can be seen."""
    if not any(_visible(character) for character in text):
        msg = "expected some visible text"
        raise ValueError(msg)
    return text


def _visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf"}


def _storable_json(value: JsonObject) -> JsonObject:
    """Refuse values that no database keeps or that are nested beyond reason."""
    _check(value, _MAX_DEPTH)
    return value


def _check(value: object, depth: int) -> None:
    if depth < 0:
        msg = f"expected values nested at most {_MAX_DEPTH} deep"
        raise ValueError(msg)
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, Mapping):
        for name, part in value.items():  # pyright: ignore[reportUnknownVariableType] - JSON of any kind
            _check(name, depth)  # pyright: ignore[reportUnknownArgumentType] - see above
            _check(part, depth - 1)  # pyright: ignore[reportUnknownArgumentType] - see above
    elif isinstance(value, list):
        for part in value:  # pyright: ignore[reportUnknownVariableType] - see above
            _check(part, depth - 1)  # pyright: ignore[reportUnknownArgumentType] - see above


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
"""Neither `true` nor `"1"`, which the schema of a number does not allow."""
Text = Annotated[str, AfterValidator(_storable)]
Words = Annotated[str, AfterValidator(_storable), AfterValidator(_said)]
NamespaceName = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]
Json = Annotated[JsonObject, AfterValidator(_storable_json)]


class Shape(BaseModel):
    """Base of what comes in: unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(Shape):
    """What a task may use."""

    usd: Number | None = Field(default=None, ge=0, allow_inf_nan=False)
    seconds: Number | None = Field(default=None, gt=0, allow_inf_nan=False)
    steps: Whole | None = Field(default=None, gt=0, le=10_000)
    tokens: Whole | None = Field(default=None, gt=0, le=1_000_000_000)
    on_limit: Literal["ask", "end"] | None = None
    """With its dollars or tokens spent, the task waits for more (`ask`, the default) or ends."""


class Later(Shape):
    """When a single task may be worked on; for what comes again make a schedule."""

    at: datetime

    @model_validator(mode="before")
    @classmethod
    def _once(cls, value: object) -> object:
        if isinstance(value, Mapping) and {"cron", "interval_s"} & set(value):  # pyright: ignore[reportUnknownArgumentType] - JSON of any kind
            msg = 'expected {"at": time}; for what comes again use POST /api/v1/schedules'
            raise ValueError(msg)
        return value  # pyright: ignore[reportUnknownVariableType] - see above

    @model_validator(mode="after")
    def _zoned(self) -> "Later":
        if self.at.tzinfo is None:
            msg = "at: expected a time with its zone, such as a final Z"
            raise ValueError(msg)
        return self


class TaskRequest(Shape):
    """A task as it is submitted."""

    instruction: Words = Field(min_length=1, max_length=MAX_INSTRUCTION_CHARS)
    files: tuple[Annotated[Text, Field(min_length=1, max_length=64)], ...] = Field(
        default=(), max_length=MAX_FILES
    )
    """Ids that `POST /files` gave."""
    inputs: Json = {}
    acceptance: tuple[Annotated[Words, Field(max_length=2000)], ...] = Field(
        default=(), max_length=20
    )
    model: Text | None = Field(default=None, min_length=1, max_length=200)
    agent: Text | None = Field(default=None, min_length=1, max_length=100)
    """Id of a standing agent in whose name it is done: by its rules, and out of its day."""
    budget: Budget = Budget()
    schedule: Later | None = None
    """When it may be begun, if not at once."""
    approval: Policy | None = None
    """Which tool calls are asked about or refused; adds to the server's and namespace's rules."""
    namespace: NamespaceName | None = None
    """Where it belongs; the caller's own when left out, and only admins may name another."""
    priority: Whole = Field(default=0, ge=-100, le=100)
    """Higher ones of the same namespace are taken first."""
    metadata: Json = {}


class TaskPatch(Shape):
    """What of a task can be changed: its budget, while nobody works on it."""

    budget: Budget


class MessageRequest(Shape):
    """A person's words to a task."""

    text: Words = Field(min_length=1, max_length=MAX_INSTRUCTION_CHARS)


class UsageView(BaseModel):
    """What a task used."""

    tokens: int
    usd: float
    seconds: float
    """Time worked, waiting excluded."""
    steps: int
    calls: int
    """Model calls."""


class SubgoalView(BaseModel):
    """A subgoal as it stands."""

    index: int
    text: str
    status: str
    result: str


class TaskView(BaseModel):
    """A task as it stands."""

    id: str
    status: Status
    instruction: str
    result: str | None
    error: str | None
    end_reason: EndReason | None
    question: str | None
    """What the task asks, while it waits for input."""
    plan: list[str]
    subgoals: list[SubgoalView]
    usage: UsageView
    budget: Budget
    recalled: list[JsonObject]
    learned: list[JsonObject]
    artifacts: list[JsonObject]
    files: list[JsonObject]
    inputs: JsonObject
    acceptance: list[str]
    model: str | None
    """As asked for; None for the server's choice."""
    namespace: str
    agent: str | None = None
    """The standing agent that it belongs to."""
    family: str
    metadata: JsonObject
    run_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    version: int


class TaskPage(BaseModel):
    """Some tasks, newest first."""

    items: list[TaskView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


class EventView(BaseModel):
    """One thing that happened."""

    seq: int
    kind: str
    at: datetime
    run_id: str
    data: JsonObject


class EventPage(BaseModel):
    """Some events of a task, oldest first."""

    items: list[EventView]
    after: int
    """Pass it as `after` for what follows."""
    ended: bool
    """Whether the last event of the task is among these or before them."""


class FileView(BaseModel):
    """An uploaded file."""

    id: str
    name: str
    size: int
    sha256: str


class ArtifactView(BaseModel):
    """A file that a task made."""

    name: str
    size: int
    url: str


def event_view(row: EventRow) -> EventView:
    """Return an event as the API gives it."""
    return EventView(seq=row.seq, kind=row.kind, at=row.at, run_id=row.run_id, data=row.data)


def task_view(task: TaskRow, *, worked_s: float) -> TaskView:
    """Return a task as the API gives it."""
    subgoals: list[dict[str, Any]] = task.plan.get("subgoals", [])
    return TaskView(
        id=task.id,
        status=task.status,
        instruction=task.instruction,
        result=task.answer,
        error=task.error,
        end_reason=task.end_reason,
        question=task.question,
        plan=[subgoal["text"] for subgoal in subgoals],
        subgoals=[SubgoalView(index=i, **subgoal) for i, subgoal in enumerate(subgoals)],
        usage=UsageView(
            tokens=task.usage.tokens,
            usd=task.usd,
            seconds=round(worked_s, 3),
            steps=task.steps,
            calls=task.model_calls,
        ),
        budget=Budget.model_validate(task.budget),
        recalled=task.recalled,
        learned=task.learned,
        artifacts=task.artifacts,
        files=task.files,
        inputs=task.inputs,
        acceptance=task.acceptance,
        model=task.model or None,
        namespace=task.namespace,
        agent=task.agent_id,
        family=task.family,
        metadata=task.task_metadata,
        run_id=task.run_id,
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        version=task.version,
    )
