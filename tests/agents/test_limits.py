"""Escalation and stopping are pure rules."""

from hypothesis import given
from hypothesis import strategies as st

from agents.limits import escalates, repeated, stop_reason
from agents.operating import leaving_steps
from agents.state import RunLimits, RunState, Step

counts = st.integers(0, 60)


@given(counts, counts, st.lists(st.sampled_from("ab"), max_size=8))
def test_a_run_within_all_limits_goes_on_and_one_beyond_any_stops(
    count: int, failures: int, signatures: list[str]
) -> None:
    limits = RunLimits()
    state = RunState(count=count, failures=failures, signatures=signatures)
    beyond = count >= 40 or failures >= 5 or repeated(signatures, 5)
    assert (stop_reason(state, limits) is not None) == beyond


@given(st.integers(0, 20), st.integers(1, 6))
def test_the_manager_is_called_at_every_multiple_of_the_threshold(failures: int, k: int) -> None:
    state = RunState(failures=failures)
    expected = failures > 0 and failures % k == 0
    assert escalates(state, RunLimits(escalate_after=k)) == expected


@given(st.lists(st.sampled_from("ab"), max_size=10), st.integers(2, 6))
def test_repetition_means_that_the_newest_actions_are_all_equal(
    signatures: list[str], times: int
) -> None:
    newest = signatures[-times:]
    assert repeated(signatures, times) == (len(newest) == times and len(set(newest)) == 1)


@given(st.integers(0, 30), st.integers(1, 7))
def test_noting_never_takes_a_step_out_of_the_window(count: int, window: int) -> None:
    steps = [Step(n=n, subgoal=0, thought="", calls=()) for n in range(count)]
    leaving = leaving_steps(RunState(recent=steps), window)
    kept = steps[len(leaving) :]
    assert steps[: len(leaving)] == leaving
    assert len(kept) >= min(count, window)
    assert len(kept) < 2 * window
