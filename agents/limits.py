"""When a run escalates and when it ends: rules of Mobile-Agent-E (arXiv 2501.11733)."""

from collections.abc import Sequence

from agents.state import EndReason, RunLimits, RunState


def stop_reason(state: RunState, limits: RunLimits) -> tuple[EndReason, str] | None:
    """Return why the run has to end now, or None."""
    count, failures = state.get("count", 0), state.get("failures", 0)
    if failures >= limits.max_failures:
        return "max_failures", f"{failures} steps in a row failed"
    if repeated(state.get("signatures", []), limits.max_repeats):
        return "repetition", f"the last {limits.max_repeats} actions were equal"
    if count >= limits.max_steps:
        return "max_steps", f"{count} steps were taken and the task is not done"
    return None


def escalates(state: RunState, limits: RunLimits) -> bool:
    """Whether the Manager has to replan: every `escalate_after` failures in a row."""
    failures = state.get("failures", 0)
    return failures > 0 and failures % limits.escalate_after == 0


def repeated(signatures: Sequence[str], times: int) -> bool:
    """Whether the newest `times` signatures are all equal."""
    newest = signatures[-times:]
    return len(newest) == times and len(set(newest)) == 1
