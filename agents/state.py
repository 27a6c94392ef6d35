"""The nouns of a run, and the state that flows through its graphs."""

from typing import Annotated, Literal, TypedDict, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from memory.records import ErrorClass, Kind, Provenance, Shortcut
from models.messages import Frozen, JsonObject, ToolCall

Outcome = Literal["success", "wrong_state", "no_change"]
"""What a step did: what was expected, something else, or nothing."""

EndReason = Literal[
    "done",
    "no_answer",
    "max_steps",
    "max_failures",
    "repetition",
    "budget",
    "timeout",
    "cancelled",
    "model_unavailable",
    "tool_unavailable",
    "policy",
    "internal",
]
"""Why a run ended."""


GRAPH_VERSION = 1
"""Counts changes of the graphs after which a run that was begun before cannot go on."""
READABLE_GRAPHS: frozenset[int] = frozenset({1})
"""The versions with which this one can go on."""


class Said(BaseModel):
    """A value that a model wrote: fields that nobody asked for are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _lenient_class(value: object) -> object:
    """Read what models write for an error class; a word of their own means `unknown`."""
    if value in (None, "", "null", "none", "None"):
        return None
    return value if value in get_args(ErrorClass) else "unknown"


def _shortened(limit: int) -> BeforeValidator:
    def cut(value: object) -> object:
        return value[:limit] if isinstance(value, str) else value

    return BeforeValidator(cut)


class RunLimits(Frozen):
    """Bounds of one run; the defaults are Mobile-Agent-E's (arXiv 2501.11733)."""

    max_steps: int = Field(default=40, gt=0)
    escalate_after: int = Field(default=2, gt=0)
    """Failures in a row after which the Manager replans."""
    max_failures: int = Field(default=5, gt=0)
    """Failures in a row that end the run."""
    max_repeats: int = Field(default=5, gt=1)
    """Equal actions in a row that end the run."""
    history_window: int = Field(default=5, gt=0)
    """The newest steps that a Solver always sees with their results."""
    max_subgoals: int = Field(default=6, gt=0)
    max_answer_rounds: int = Field(default=2, ge=0)
    """How often a refused answer may be mended."""
    usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    on_limit: Literal["ask", "end"] = "end"
    """Whether a run that has spent its dollars or tokens waits for more, or ends."""


class TaskSpec(Frozen):
    """What was asked, as a run needs it."""

    task_id: str
    run_id: str
    """Also the id of the run's graph thread."""
    namespace: str
    instruction: str
    acceptance: tuple[str, ...] = ()
    """Conditions that the answer has to meet, in words."""
    inputs: JsonObject = Field(default_factory=dict)
    """Named values that came with the task."""
    files: tuple[str, ...] = ()
    """Names of the files that came with it, in the workspace."""
    family: str = ""
    """Kind of task, for comparing like with like."""
    said: tuple[str, ...] = ()
    """What its owner said while it was worked on, oldest first; a part of the task."""
    limits: RunLimits = RunLimits()


class Subgoal(Frozen):
    """A piece that the Manager cut."""

    text: str
    status: Literal["pending", "running", "done", "failed"] = "pending"
    result: str = ""


class Plan(Said):
    """The Manager's reply: what has to be true, in order."""

    thought: str = ""
    subgoals: tuple[str, ...] = Field(min_length=1)


class Action(Frozen):
    """What the Solver wants to do next."""

    thought: str = ""
    calls: tuple[ToolCall, ...] = Field(min_length=1)
    """Run side by side when none of them has an effect, else in order."""

    @property
    def signature(self) -> str:
        """The calls without their ids, for seeing repetition."""
        return repr([(c.name, sorted(c.arguments.items(), key=repr)) for c in self.calls])


class CallRecord(Frozen):
    """One tool call and what came of it."""

    id: str
    tool: str
    arguments: JsonObject
    ok: bool
    text: str
    error_class: ErrorClass | None = None
    certain: bool = False
    final: bool = False
    artifacts: tuple[str, ...] = ()
    data: JsonObject | None = None
    seconds: float = 0.0


class Step(Frozen):
    """One action, its results and the judgement of it."""

    n: int
    subgoal: int
    thought: str
    calls: tuple[CallRecord, ...]
    changed: tuple[str, ...] = ()
    """Files of the workspace that came, went or changed."""
    outcome: Outcome = "success"
    error_class: ErrorClass | None = None
    feedback: str = ""
    progress: str = ""
    """What the Reviewer says has been achieved so far; empty when code decided."""
    decided_by: Literal["code", "model"] = "code"

    @property
    def failed(self) -> bool:
        """Whether the step did not do what was wanted."""
        return self.outcome != "success"


class StepReview(Said):
    """The Reviewer's judgement of a step."""

    outcome: Outcome
    error_class: Annotated[ErrorClass | None, BeforeValidator(_lenient_class)] = None
    feedback: Annotated[str, _shortened(2000)] = ""
    """What went wrong and how to see or mend it; empty after success."""
    progress: Annotated[str, _shortened(1000)] = ""
    """What has been achieved so far, in one or two sentences."""


class AnswerReview(Said):
    """The Reviewer's judgement of the final answer."""

    accepted: bool
    score: float = Field(default=0.0, ge=0, le=1)
    feedback: Annotated[str, _shortened(2000)] = ""
    mend: Literal["nothing", "wording", "work"] = "nothing"
    """What a refused answer needs: other words from the same evidence, or more steps."""


class RepairedAnswer(Said):
    """The Refiner's new wording."""

    answer: str = Field(min_length=1)


class Notes(Said):
    """The Refiner's full replacement of the notes."""

    notes: Annotated[str, _shortened(4000)]


class FinalAnswer(Said):
    """The Manager's answer from the results of several subgoals."""

    answer: str = Field(min_length=1)


class RecalledText(Frozen):
    """A recalled entry as it enters prompts."""

    id: str
    version: int
    kind: Kind
    text: str
    scope: str
    shortcut: Shortcut | None = None
    """The steps to run, when it is a Shortcut."""


class Learned(Frozen):
    """What became of one proposal."""

    id: str | None
    kind: Kind
    outcome: Literal["new", "merged", "refused"]
    text: str
    reason: str = ""
    provenance: Provenance = Provenance()


class RunState(TypedDict, total=False):
    """State of the `task` and `operate` graphs; every key is replaced as a whole."""

    recalled: list[RecalledText]
    plan: list[Subgoal]
    plan_thought: str
    current: int
    """Index of the running subgoal."""
    workspace: str
    """What the Perceptor saw last."""
    files: dict[str, str]
    """Path to a stamp of its content, for seeing what changed."""
    action: Action | None
    recent: list[Step]
    """The newest steps, oldest first: all that the notes do not cover."""
    count: int
    """Steps so far in this run."""
    signatures: list[str]
    """Signatures of the newest actions."""
    failures: int
    """Failures in a row."""
    total_failures: int
    escalations: int
    notes: str
    progress: str
    result: CallRecord | None
    """The `answer` call that finished the running subgoal."""
    answer: str
    artifacts: list[str]
    review: AnswerReview | None
    rounds: int
    """Answers refused so far."""
    doubt: list[str]
    """Calls of the action that may have happened, about which a person is to be asked."""
    words: list[str]
    """What the owner said while the task was worked on."""
    heard: int
    """Number of the newest of those messages."""
    end_reason: EndReason | None
    error: str
