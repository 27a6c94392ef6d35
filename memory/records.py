"""What can be learned, and where it came from."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ErrorClass = Literal[
    "bad_arguments",
    "precondition",
    "not_found",
    "auth",
    "quota",
    "timeout",
    "network",
    "server",
    "sandbox",
    "policy",
    "unknown",
]
"""Why a step failed, in eleven words."""

INFRASTRUCTURE: frozenset[ErrorClass] = frozenset(
    {"auth", "quota", "timeout", "network", "server", "sandbox"}
)
"""Failures of the world around a step; nothing is ever learned from them."""

Status = Literal["proposed", "trial", "active", "quarantined", "retired"]
"""Life of an entry. Only `trial` and `active` entries are recalled."""

Kind = Literal["tip", "shortcut"]
"""What is learned. More kinds come with their own records."""

ScopeLevel = Literal["global", "family", "tool", "file", "role"]


class Frozen(BaseModel):
    """An immutable value, closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(Frozen):
    """What an entry is about."""

    level: ScopeLevel = "global"
    key: str = Field(default="", max_length=200)
    """The tool's name, the file's name (`*.csv` for a kind of file), the role, the family."""


class Tip(Frozen):
    """General advice learned from a run (Mobile-Agent-E, arXiv 2501.11733)."""

    kind: Literal["tip"] = "tip"
    text: str = Field(min_length=8, max_length=400)
    scope: Scope = Scope()
    polarity: Literal["do", "avoid"] = "do"
    error_class: ErrorClass | None = None
    """The failure that taught it, if one did."""


class ShortcutArgument(Frozen):
    """A parameter of a Shortcut."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    description: str = Field(default="", max_length=200)


class ArgumentRef(Frozen):
    """Take the value from the Shortcut's argument of this name."""

    ref: str


class ArgumentConst(Frozen):
    """Pass this value as it is."""

    const: Any


class ShortcutStep(Frozen):
    """One tool call of a Shortcut."""

    tool: str
    arguments: dict[str, ArgumentRef | ArgumentConst] = {}


class Check(Frozen):
    """A condition that a machine can check on the workspace."""

    file_exists: str | None = None
    """Path, or the name of an argument in braces, such as `{path}`."""
    file_contains: str | None = None
    """Text that the file named in `file_exists` must hold."""


class Shortcut(Frozen):
    """A parameterised sequence of tool calls that the runtime executes in one go."""

    kind: Literal["shortcut"] = "shortcut"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{2,59}$")
    description: str = Field(min_length=8, max_length=400)
    arguments: tuple[ShortcutArgument, ...] = Field(default=(), max_length=6)
    precondition: str = Field(default="", max_length=400)
    precondition_check: Check | None = None
    postcondition_check: Check | None = None
    steps: tuple[ShortcutStep, ...] = Field(min_length=1, max_length=20)


Body = Annotated[Tip | Shortcut, Field(discriminator="kind")]


class Provenance(Frozen):
    """Where a version came from."""

    task_id: str = ""
    run_id: str = ""
    steps: tuple[int, ...] = ()
    """Numbers of the steps that are its evidence."""
    model: str = ""
    author: Literal["agent", "user", "import"] = "agent"
    reason: str = ""


class Entry(Frozen):
    """One immutable version of a learned thing."""

    id: str
    namespace: str
    kind: Kind
    status: Status
    status_reason: str = ""
    version: int
    parent_version: int | None = None
    body: Body
    content_hash: str
    provenance: Provenance
    created_at: datetime
    uses: int = 0
    """Runs in which it was shown."""

    @property
    def text(self) -> str:
        """What is indexed and shown: a tip's text, or a shortcut's description."""
        if isinstance(self.body, Tip):
            return self.body.text
        return f"{self.body.name}: {self.body.description} {self.body.precondition}".strip()


class RecallQuery(Frozen):
    """What memory is asked for."""

    text: str
    """The task's instruction, and the subgoal when there is one."""
    namespace: str
    run_id: str
    family: str = ""
    files: tuple[str, ...] = ()
    """Names of the files at hand; entries scoped to them are found by name."""
    tools: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("tip", "shortcut")
    top_k: int = 5
    """At most this many of each kind."""


class Recalled(Frozen):
    """An entry that would enter a prompt."""

    entry: Entry
    score: float
    rank: int
    withheld: bool = False
    """True when it was kept out, at random, to measure what it is worth."""
    probability: float = 0.0
    """The chance with which it could have been withheld; 1 in a run held out from memory."""
    reasons: tuple[str, ...] = ()
    """Why it was picked, such as `lexical 0.8`, `file data.csv`."""


class Recall(Frozen):
    """The answer to a `RecallQuery`."""

    items: tuple[Recalled, ...] = ()
    degraded: str = ""
    """Empty, or what part of retrieval was not available and why."""
    held_out: bool = False
    """True when the run goes without any memory, to measure what the whole of it is worth."""
    holdout: float = 0.0
    """The chance with which that could have happened."""

    @property
    def shown(self) -> tuple[Recalled, ...]:
        """What enters the prompt."""
        return tuple(item for item in self.items if not item.withheld)


class RunOutcome(Frozen):
    """How a run ended: what a receipt is computed from."""

    run_id: str
    task_id: str
    namespace: str
    family: str
    success: bool
    end_reason: str
    steps: int
    failures: int
    tokens: int
    usd: float
    seconds: float


class Remembered(Frozen):
    """What became of a proposal."""

    outcome: Literal["new", "merged", "refused"]
    entry: Entry | None = None
    reason: str = ""
