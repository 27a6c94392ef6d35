"""What the API takes and gives about standing agents."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from agents.approvals import Policy
from app.db.records import Status, TaskRow
from app.db.standing import AgentMessageRow, AgentRow, LiveTask, Spent
from app.schemas import Budget, Number, Shape, Text, Whole, Words
from app.timing import Timing

MAX_INSTRUCTION_CHARS = 10_000
MAX_MESSAGE_CHARS = 4000
Name = Annotated[Words, Field(min_length=1, max_length=200)]
Instruction = Annotated[Words, Field(min_length=1, max_length=MAX_INSTRUCTION_CHARS)]
Dollars = Annotated[Number, Field(gt=0, le=1e9, allow_inf_nan=False)]
Tokens = Annotated[Whole, Field(gt=0, le=1_000_000_000)]
Wakes = Annotated[Whole, Field(gt=0, le=100_000)]
State = Literal["asleep", "working", "waiting", "paused"]
"""`waiting`: its task waits for a person, an approval or more budget."""
_AT_WORK: frozenset[Status] = frozenset({"queued", "running"})


class AgentTask(Shape):
    """What an agent's tasks have beside its instruction."""

    model: Text | None = Field(default=None, min_length=1, max_length=200)
    acceptance: tuple[Annotated[Words, Field(max_length=2000)], ...] = Field(
        default=(), max_length=20
    )
    budget: Budget = Budget()
    """Of each wake-up; with its dollars or tokens spent it ends, unless `on_limit` says `ask`."""
    approval: Policy | None = None
    priority: int = Field(default=0, ge=-100, le=100)


class AgentRequest(Shape):
    """A standing agent that is wanted."""

    name: Name
    """For people."""
    instruction: Instruction
    """What it is there for; the beginning of the instruction of each of its tasks."""
    timing: Timing | None = None
    """When it wakes by itself; left out, it wakes for messages and when it is asked to."""
    task: AgentTask = AgentTask()
    usd_per_day: Dollars | None = None
    """What its model calls may cost in a day of UTC."""
    tokens_per_day: Tokens | None = None
    """What its model calls may read and write in a day of UTC."""
    wakes_per_day: Wakes | None = None
    """How often it wakes in a day of UTC."""
    wake_on_message: bool = True
    """Whether a message wakes it, or waits until it wakes."""


class AgentPatch(Shape):
    """What of an agent is to be other; what is left out stays, and null takes away."""

    name: Name | None = None
    instruction: Instruction | None = None
    timing: Timing | None = None
    task: AgentTask | None = None
    usd_per_day: Dollars | None = None
    tokens_per_day: Tokens | None = None
    wakes_per_day: Wakes | None = None
    wake_on_message: bool | None = None


class AgentMessageRequest(Shape):
    """Something that an agent is to be told."""

    text: Words = Field(min_length=1, max_length=MAX_MESSAGE_CHARS)


class AgentView(BaseModel):
    """A standing agent as it stands."""

    id: str
    namespace: str
    name: str
    instruction: str
    timing: Timing | None
    task: AgentTask
    usd_per_day: float | None
    tokens_per_day: int | None
    wakes_per_day: int | None
    wake_on_message: bool
    state: State
    task_id: str | None
    """The wake-up that is not over."""
    inbox: int
    """Messages that wait for the next wake-up."""
    usd_today: float
    tokens_today: int
    wakes_today: int
    next_at: datetime | None
    """When it is due next; None when it is paused, or never is by itself."""
    rest_until: datetime | None
    """It does not wake before, since its day or a quota is used up; raising either wakes it."""
    last_at: datetime | None
    """When it woke last."""
    last_task_id: str | None
    error_count: int
    """Wake-ups in a row that came to nothing, such as by a quota."""
    last_error: str | None
    failed_in_a_row: int
    """How many of its newest tasks failed, up to 20; at 3 webhooks are told `agent.failing`."""
    created_at: datetime


class AgentPage(BaseModel):
    """Some agents, newest first."""

    items: list[AgentView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


class AgentMessageView(BaseModel):
    """Something that an agent was told."""

    seq: int
    text: str
    created_at: datetime
    created_by: str | None
    task_id: str | None
    """The wake-up that took it in; None while it waits."""


class AgentInbox(BaseModel):
    """Some of what an agent was told, newest first."""

    items: list[AgentMessageView]


class ReportView(BaseModel):
    """What a wake-up came to."""

    task_id: str
    status: Status
    text: str | None
    """The task's answer."""
    error: str | None
    question: str | None
    """What it asks, while it waits for input."""
    usd: float
    woken_at: datetime
    finished_at: datetime | None


class ReportPage(BaseModel):
    """Some wake-ups, newest first."""

    items: list[ReportView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last one."""


def agent_view(
    row: AgentRow, live: list[LiveTask], used: Spent, *, inbox: int, failures: int
) -> AgentView:
    """Return an agent as the API gives it."""
    state: State = "asleep"
    if row.paused:
        state = "paused"
    elif live:
        state = "working" if any(task.status in _AT_WORK for task in live) else "waiting"
    own = {name: getattr(row, name) for name in AgentView.model_fields if hasattr(row, name)}
    return AgentView.model_validate(
        own
        | {
            "next_at": None if row.paused else row.next_at,
            "state": state,
            "task_id": live[0].id if live else None,
            "inbox": inbox,
            "failed_in_a_row": failures,
            "usd_today": used.usd,
            "tokens_today": used.tokens,
            "wakes_today": used.wakes,
        }
    )


def message_view(row: AgentMessageRow) -> AgentMessageView:
    """Return a message as the API gives it."""
    return AgentMessageView(**{name: getattr(row, name) for name in AgentMessageView.model_fields})


def report_view(task: TaskRow) -> ReportView:
    """Return what a wake-up came to."""
    return ReportView(
        task_id=task.id,
        status=task.status,
        text=task.answer,
        error=task.error,
        question=task.question,
        usd=task.usd,
        woken_at=task.created_at,
        finished_at=task.finished_at,
    )
