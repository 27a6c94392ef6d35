"""Decide what becomes of an entry: pure functions of what is known about it."""

from memory.receipts.records import Belief, Estimate, Verdict
from memory.receipts.settings import ReceiptSettings
from memory.receipts.wording import interval, percent
from memory.records import Frozen, Status

ACTOR = "receipts"
"""Signs the audit line; what another actor has set is left alone."""


class Evidence(Frozen):
    """What a rule may look at."""

    status: Status
    shown: int
    withheld: int
    failures: int
    """Failed runs in which it was shown."""
    tasks: int
    """Different tasks in which it was shown."""
    belief: Belief
    randomised: Estimate
    """Of the effect on success."""


class Transition(Frozen):
    """A step in the life of an entry, with the numbers that call for it."""

    status: Status
    reason: str


def decide(evidence: Evidence, settings: ReceiptSettings) -> Transition | None:
    """Return where an entry goes now, or nothing.

    Harm is looked for first; only entries that are recalled are ever moved, so nothing that
    a rule has put away comes back without someone's order.
    """
    if evidence.status not in ("trial", "active") or evidence.tasks < settings.min_tasks:
        return None
    if _harms(evidence, settings):
        return _to("quarantined", "it seems to harm", evidence)
    if _is_idle(evidence, settings):
        return _to("retired", "it does not seem to help", evidence)
    if evidence.status == "trial" and _helps(evidence, settings):
        return _to("active", "it seems to help", evidence)
    return None


def verdict(belief: Belief, randomised: Estimate, settings: ReceiptSettings) -> Verdict:
    """Say what is known: the interval must leave nought out, or all that matters."""
    low, high = randomised.low, randomised.high
    if low is None or high is None:
        return "not yet known"
    if low > 0:
        return "helps"
    if high < 0:
        return "harms"
    within = -settings.practical <= low and high <= settings.practical
    if within or belief.p_same >= 1 - settings.alpha:
        return "no practical difference"
    return "not yet known"


def _harms(evidence: Evidence, settings: ReceiptSettings) -> bool:
    if evidence.shown < settings.quarantine_runs:
        return False
    if evidence.failures < settings.quarantine_failures:
        return False
    known = evidence.randomised.high is not None and evidence.randomised.high < 0
    return known or evidence.belief.p_harm >= settings.quarantine_probability


def _is_idle(evidence: Evidence, settings: ReceiptSettings) -> bool:
    unlikely = evidence.belief.p_help <= settings.retire_probability
    return unlikely and evidence.shown >= settings.retire_runs


def _helps(evidence: Evidence, settings: ReceiptSettings) -> bool:
    if evidence.shown < settings.promote_runs:
        return False
    known = evidence.randomised.low is not None and evidence.randomised.low > 0
    return known or evidence.belief.p_help >= settings.promote_probability


def _to(status: Status, why: str, evidence: Evidence) -> Transition:
    belief = evidence.belief
    numbers = (
        f"shown in {evidence.shown} runs of {evidence.tasks} tasks, {evidence.failures} failed; "
        f"withheld in {evidence.withheld}; chance of help {percent(belief.p_help)}, "
        f"of harm {percent(belief.p_harm)}; {interval(evidence.randomised)}"
    )
    return Transition(status=status, reason=f"{why}: {numbers}")
