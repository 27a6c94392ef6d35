import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from memory.receipts.records import Belief, Estimate
from memory.receipts.rules import Evidence, decide, verdict
from memory.receipts.settings import ReceiptSettings
from memory.records import Status

SETTINGS = ReceiptSettings()


def belief(p_help: float, p_harm: float) -> Belief:
    return Belief(mean=0, sd=0.1, p_help=p_help, p_harm=p_harm, p_same=1 - p_help - p_harm)


def evidence(
    *,
    p_help: float = 0.1,
    p_harm: float = 0.1,
    status: Status = "trial",
    shown: int = 24,
    failures: int = 10,
    tasks: int = 20,
    span: tuple[float, float] = (-0.5, 0.5),
) -> Evidence:
    low, high = span
    found = Estimate(effect=0.0, std_error=0.1, low=low, high=high, runs_with=24, runs_without=5)
    return Evidence(
        status=status,
        shown=shown,
        withheld=5,
        failures=failures,
        tasks=tasks,
        belief=belief(p_help, p_harm),
        randomised=found,
    )


def test_what_seems_to_harm_is_quarantined_with_its_numbers() -> None:
    for status in ("trial", "active"):
        found = decide(evidence(p_harm=0.96, p_help=0.01, status=status), SETTINGS)
        assert found is not None
        assert found.status == "quarantined"
        assert found.reason == snapshot(
            "it seems to harm: shown in 24 runs of 20 tasks, 10 failed; withheld in 5; "
            "chance of help 1 %, of harm 96 %; difference 0 points, interval \N{MINUS SIGN}50…+50"
        )


def test_what_seems_to_help_becomes_active_once() -> None:
    found = decide(evidence(p_help=0.95, p_harm=0.0), SETTINGS)
    assert found is not None
    assert found.status == "active"
    assert decide(evidence(p_help=0.95, p_harm=0.0, status="active"), SETTINGS) is None


def test_what_does_not_help_in_many_runs_is_retired() -> None:
    assert decide(evidence(p_help=0.01, shown=59), SETTINGS) is None
    found = decide(evidence(p_help=0.01, shown=60), SETTINGS)
    assert found is not None
    assert found.status == "retired"


def test_an_interval_that_leaves_nought_out_is_enough() -> None:
    harm = decide(evidence(span=(-0.5, -0.01), shown=10), SETTINGS)
    help_ = decide(evidence(span=(0.01, 0.5), shown=5), SETTINGS)
    assert harm is not None
    assert help_ is not None
    assert (harm.status, help_.status) == ("quarantined", "active")


@pytest.mark.parametrize(
    "few", [{"shown": 9}, {"failures": 1}, {"tasks": 1}], ids=["runs", "failures", "tasks"]
)
def test_too_little_evidence_quarantines_nothing(few: dict[str, int]) -> None:
    counts = {"shown": 24, "failures": 10, "tasks": 20, **few}
    found = evidence(
        p_harm=0.99,
        p_help=0.0,
        shown=counts["shown"],
        failures=counts["failures"],
        tasks=counts["tasks"],
    )
    assert decide(found, SETTINGS) is None


@given(
    p_help=st.floats(0, 1),
    share=st.floats(0, 1),
    status=st.sampled_from(["proposed", "quarantined", "retired"]),
    shown=st.integers(0, 500),
)
def test_what_is_not_recalled_is_never_moved(
    p_help: float, share: float, status: Status, shown: int
) -> None:
    found = evidence(p_help=p_help, p_harm=(1 - p_help) * share, status=status, shown=shown)
    assert decide(found, SETTINGS) is None


@given(p_help=st.floats(0, 1), share=st.floats(0, 1), shown=st.integers(0, 500))
def test_a_rule_never_sends_an_entry_where_it_is(p_help: float, share: float, shown: int) -> None:
    for status in ("trial", "active"):
        found = decide(
            evidence(p_help=p_help, p_harm=(1 - p_help) * share, status=status, shown=shown),
            SETTINGS,
        )
        assert found is None or found.status != status


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, "not yet known"),
        (-0.2, 0.3, "not yet known"),
        (0.01, 0.3, "helps"),
        (-0.3, -0.01, "harms"),
        (-0.02, 0.02, "no practical difference"),
    ],
)
def test_the_verdict_waits_for_the_interval(
    low: float | None, high: float | None, expected: str
) -> None:
    found = Estimate(effect=0.0, low=low, high=high)
    assert verdict(belief(0.3, 0.3), found, SETTINGS) == expected


def test_nothing_is_known_while_there_is_no_interval_however_sure_the_belief() -> None:
    assert verdict(belief(0.0, 0.0), Estimate(), SETTINGS) == "not yet known"
