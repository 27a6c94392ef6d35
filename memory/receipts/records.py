"""What a receipt holds."""

from typing import Literal

from memory.records import Frozen, Status

Metric = Literal["success", "steps", "tokens", "usd", "seconds"]
METRICS: tuple[Metric, ...] = ("success", "steps", "tokens", "usd", "seconds")

Verdict = Literal["not yet known", "helps", "harms", "no practical difference"]


class Arm(Frozen):
    """The finished runs on one side of a comparison."""

    runs: int = 0
    successes: int = 0
    mean_steps: float | None = None
    """`None` before the first run."""


class Estimate(Frozen):
    """How runs with an entry differ from runs without it, and how sure that is."""

    effect: float | None = None
    """Mean with it minus mean without it, like compared with like; `None` without both."""
    std_error: float | None = None
    low: float | None = None
    """Lower end of an interval that holds however often one looks; `None` for too few runs."""
    high: float | None = None
    runs_with: int = 0
    runs_without: int = 0


class MetricEffect(Frozen):
    """Two estimates of the same thing, side by side."""

    metric: Metric
    baseline: Estimate
    """Against runs of the same family that were not shown it: quick, but not at random."""
    shrunk: float | None = None
    """`baseline.effect` drawn towards what entries of its kind do."""
    randomised: Estimate
    """From the runs in which a draw decided: slow, but fair."""


class FamilyEffect(Frozen):
    """The effect on success in one family of tasks."""

    family: str
    baseline: Estimate
    randomised: Estimate


class HarmCase(Frozen):
    """A run that failed with the entry while its like succeeded without it."""

    run_id: str
    task_id: str
    family: str
    end_reason: str
    peers: tuple[str, ...]
    """Ids of the newest runs of the family that succeeded without it."""


class Prior(Frozen):
    """What entries of a kind do, before anything is known about one of them."""

    mean: float = 0.0
    sd: float
    entries: int = 0
    """How many taught it; 0 for the number in the settings."""


class Belief(Frozen):
    """What both estimates and the kind's prior say together about success."""

    mean: float
    sd: float
    p_help: float
    """Chance that it raises success by more than the practical difference."""
    p_harm: float
    p_same: float


class Receipt(Frozen):
    """How runs fared with an entry and without it, in its present version."""

    entry_id: str
    version: int
    status: Status
    shown: Arm
    """Runs that had it in their prompts."""
    withheld: Arm
    """Runs that would have had it, but for its own draw."""
    held_out: int
    """Finished runs that would have had it, but were left without any memory."""
    unfinished: int
    """Runs that used it and have not ended yet."""
    note: Verdict
    effect: float | None = None
    """Difference in the rate of success by the draws; `None` until it is known."""
    belief: Belief
    prior: Prior
    metrics: tuple[MetricEffect, ...]
    families: tuple[FamilyEffect, ...]
    harm_cases: tuple[HarmCase, ...]
    summary: str
    """The same in a sentence."""


class Overall(Frozen):
    """What the whole memory does: runs with it against runs held out by a draw."""

    namespace: str
    with_memory: Arm
    held_out: Arm
    note: Verdict
    effects: dict[Metric, Estimate]
