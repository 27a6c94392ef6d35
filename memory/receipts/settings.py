"""Numbers of the receipts, each with its source; where none is named it is a judgement."""

from pydantic import Field

from memory.records import Frozen


class ReceiptSettings(Frozen):
    """When something counts as known, and what is done about it."""

    act: bool = True
    """Whether the rules move entries; without it receipts only measure."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Chance that an interval ever misses, however often one looks."""
    tuned_for_runs: int = Field(default=100, gt=0)
    """Number of runs at which the intervals are tightest; any choice is valid."""
    min_arm: int = Field(default=8, ge=2)
    """Runs on each side before an interval is given: it holds for large samples only."""
    practical: float = Field(default=0.03, ge=0, lt=1)
    """Differences in the rate of success below this make no difference in practice."""

    prior_sd: float = Field(default=0.15, gt=0)
    """How far effects on success are expected to spread before a kind has taught better."""
    min_prior_entries: int = Field(default=8, ge=2)
    """Entries with a baseline from which a kind's own spread is learned."""
    confounding_sd: float = Field(default=0.08, ge=0)
    """How far the quick comparison may be off, since entries are not recalled at random."""

    min_tasks: int = Field(default=2, ge=1)
    """Different tasks in which an entry was shown before any rule speaks."""
    promote_probability: float = Field(default=0.9, gt=0, le=1)
    promote_runs: int = Field(default=5, ge=1)
    quarantine_probability: float = Field(default=0.95, gt=0, le=1)
    """The evaluation in `evals/` says what follows from it: how soon, and how often wrongly."""
    quarantine_runs: int = Field(default=10, ge=1)
    quarantine_failures: int = Field(default=2, ge=1)
    """Failed runs in which it was shown."""
    retire_probability: float = Field(default=0.05, ge=0, lt=1)
    """An entry goes when its chance to be of help has fallen to this."""
    retire_runs: int = Field(default=60, ge=1)
