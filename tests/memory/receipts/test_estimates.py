"""Properties of the estimators, and values worked out by hand."""

from math import isfinite, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.receipts.baseline import against_family
from memory.receipts.moments import Cell, Moments, by_family, unite
from memory.receipts.randomised import compare, estimate
from memory.receipts.sequential import radius
from memory.receipts.settings import ReceiptSettings

SETTINGS = ReceiptSettings()


def rates(runs: int, successes: int) -> Moments:
    return Moments(runs, successes, successes)


@st.composite
def rate(draw: st.DrawFn) -> Moments:
    runs = draw(st.integers(0, 40))
    return rates(runs, draw(st.integers(0, runs)))


cells = st.lists(
    st.builds(
        Cell,
        st.sampled_from(["f", "g", "h"]),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 0.3, 1.0]),
        rate(),
    ),
    max_size=8,
)
figures = st.lists(st.floats(-1e6, 1e6, allow_nan=False), max_size=12)


def moments_of(values: list[float]) -> Moments:
    return Moments(len(values), sum(values), sum(value**2 for value in values))


def totals_of(found: list[Cell], others: Moments) -> dict[str, Moments]:
    totals = dict(by_family(found))
    totals["f"] = totals.get("f", Moments()) + others
    return totals


def test_the_radius_is_that_of_the_paper() -> None:
    alpha, runs, tuned = 0.05, 200, 100
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / tuned
    sigma = 3.0
    expected = sigma * sqrt(
        2 * (runs * rho2 + 1) / (runs**2 * rho2) * log(sqrt(runs * rho2 + 1) / alpha)
    )
    found = radius(sigma / sqrt(runs), runs, alpha=alpha, tuned_for_runs=tuned)
    assert found == pytest.approx(expected)


def test_a_sequence_is_wider_than_a_single_look_and_narrows() -> None:
    widths = [
        radius(1 / sqrt(runs), runs, alpha=0.05, tuned_for_runs=100) for runs in range(1, 2000)
    ]
    assert widths == sorted(widths, reverse=True)
    assert all(
        width > 1.96 / sqrt(runs) for runs, width in zip(range(1, 2000), widths, strict=True)
    )
    assert radius(1.0, 0, alpha=0.05, tuned_for_runs=100) == float("inf")


@given(runs=st.integers(1, 10_000), alpha=st.floats(0.001, 0.4), factor=st.floats(1.01, 2))
def test_more_certainty_makes_a_wider_interval(runs: int, alpha: float, factor: float) -> None:
    sure = radius(1.0, runs, alpha=alpha, tuned_for_runs=100)
    assert sure > radius(1.0, runs, alpha=min(alpha * factor, 0.9), tuned_for_runs=100)


def test_with_one_chance_and_one_family_it_is_the_difference_of_the_rates() -> None:
    found = [
        Cell("f", shown=True, probability=0.25, moments=rates(12, 9)),
        Cell("f", shown=False, probability=0.25, moments=rates(4, 1)),
    ]
    difference = compare(found, by_family(found), binary=True)
    assert difference is not None
    assert difference.effect == pytest.approx(9 / 12 - 1 / 4)
    # The spread of each side, with four tosses of a coin in it.
    assert difference.noise_with == pytest.approx((9 * 3 / 12 + 4 / 4) / 16 / 12)
    assert difference.noise_without == pytest.approx((1 * 3 / 4 + 4 / 4) / 8 / 4)


def test_runs_with_different_chances_are_weighted_by_what_happened_to_them() -> None:
    found = [
        Cell("f", shown=True, probability=0.5, moments=rates(2, 2)),
        Cell("f", shown=True, probability=0.2, moments=rates(8, 4)),
        Cell("f", shown=False, probability=0.5, moments=rates(2, 0)),
        Cell("f", shown=False, probability=0.2, moments=rates(2, 1)),
    ]
    difference = compare(found, by_family(found), binary=True)
    assert difference is not None
    shown = (2 * 2 + 4 / 0.8) / (2 * 2 + 8 / 0.8)
    withheld = (0 * 2 + 1 / 0.2) / (2 * 2 + 2 / 0.2)
    assert difference.effect == pytest.approx(shown - withheld)


def test_an_easy_family_that_was_seldom_withheld_does_not_look_like_help() -> None:
    found = [
        Cell("easy", shown=True, probability=0.1, moments=rates(90, 81)),
        Cell("easy", shown=False, probability=0.1, moments=rates(2, 2)),
        Cell("hard", shown=True, probability=0.1, moments=rates(90, 9)),
        Cell("hard", shown=False, probability=0.1, moments=rates(18, 2)),
    ]
    difference = compare(found, by_family(found), binary=True)
    assert difference is not None
    naive = 90 / 180 - 4 / 20
    assert naive == pytest.approx(0.3)
    assert abs(difference.effect) < 0.05


def test_against_the_family_the_shown_runs_are_left_out_of_the_baseline() -> None:
    found = [
        Cell("f", shown=True, probability=0.1, moments=rates(4, 3)),
        Cell("g", shown=True, probability=0.1, moments=rates(6, 3)),
        Cell("g", shown=False, probability=0.1, moments=rates(1, 1)),
    ]
    totals = {"f": rates(10, 5), "g": rates(12, 6), "h": rates(50, 50)}
    difference = against_family(found, totals, binary=True)
    assert difference is not None
    assert difference.effect == pytest.approx((4 * (3 / 4 - 2 / 6) + 6 * (3 / 6 - 3 / 6)) / 10)
    f, g = 6 / 12 * 6 / 12, 7 / 14 * 7 / 14
    assert difference.noise_with == pytest.approx((4 * f + 6 * g) / 100)
    assert difference.noise_without == pytest.approx((16 * f / 6 + 36 * g / 6) / 100)
    assert (difference.runs_with, difference.runs_without) == (10, 12)


def test_a_family_without_other_runs_gives_no_baseline() -> None:
    found = [Cell("f", shown=True, probability=0.1, moments=rates(4, 3))]
    assert against_family(found, by_family(found), binary=True) is None


@given(found=cells, others=rate())
def test_whatever_is_on_record_every_number_is_finite(found: list[Cell], others: Moments) -> None:
    totals = totals_of(found, others)
    for difference in (
        compare(found, totals, binary=True),
        against_family(found, totals, binary=True),
    ):
        shown = estimate(difference, SETTINGS, binary=True)
        numbers = (shown.effect, shown.std_error, shown.low, shown.high)
        assert all(isfinite(number) for number in numbers if number is not None)
        if shown.low is not None and shown.high is not None:
            assert shown.effect is not None
            assert -1 <= shown.low <= shown.effect + 1e-9
            assert shown.effect - 1e-9 <= shown.high <= 1


@given(with_it=figures, without=figures)
def test_steps_and_costs_are_finite_on_none_one_and_two_runs(
    with_it: list[float], without: list[float]
) -> None:
    found = [
        Cell("f", shown=True, probability=0.3, moments=moments_of(with_it)),
        Cell("f", shown=False, probability=0.3, moments=moments_of(without)),
    ]
    difference = compare(found, by_family(found), binary=False)
    shown = estimate(difference, SETTINGS, binary=False)
    assert (difference is None) == (not with_it or not without)
    numbers = (shown.effect, shown.std_error, shown.low, shown.high)
    assert all(isfinite(number) for number in numbers if number is not None)
    assert (shown.low is None) == (min(len(with_it), len(without)) < SETTINGS.min_arm)


@given(
    group=rate(), times=st.integers(1, 5), probability=st.floats(0.05, 0.5), other=st.integers(1, 4)
)
def test_equal_groups_leave_nought_in_the_interval(
    group: Moments, times: int, probability: float, other: int
) -> None:
    many = unite([group] * times)
    few = unite([group] * other)
    found = [
        Cell("f", shown=True, probability=probability, moments=many),
        Cell("f", shown=False, probability=probability, moments=few),
    ]
    shown = estimate(compare(found, by_family(found), binary=True), SETTINGS, binary=True)
    if shown.low is not None and shown.high is not None:
        assert shown.effect == pytest.approx(0, abs=1e-9)
        assert shown.low < 0 < shown.high


@given(group=rate(), more=st.integers(1, 40), probability=st.floats(0.05, 0.5))
def test_one_success_more_with_it_never_lowers_the_effect(
    group: Moments, more: int, probability: float
) -> None:
    if group.total == group.runs:
        return
    withheld = Cell("f", shown=False, probability=probability, moments=rates(more, more // 2))

    def effect(successes: float) -> float:
        moments = Moments(group.runs, successes, successes)
        found = [Cell("f", shown=True, probability=probability, moments=moments), withheld]
        difference = compare(found, by_family(found), binary=True)
        assert difference is not None
        return difference.effect

    assert effect(group.total + 1) > effect(group.total)


@given(found=cells, others=rate())
def test_the_order_and_the_names_of_families_do_not_matter(
    found: list[Cell], others: Moments
) -> None:
    renamed = [
        Cell({"f": "x", "g": "y", "h": "z"}[c.family], c.shown, c.probability, c.moments)
        for c in reversed(found)
    ]
    totals = totals_of(found, others)
    other_totals = {{"f": "x", "g": "y", "h": "z"}[name]: value for name, value in totals.items()}
    one, other = compare(found, totals, binary=True), compare(renamed, other_totals, binary=True)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.effect == pytest.approx(other.effect, abs=1e-9)
        assert one.noise_with == pytest.approx(other.noise_with, abs=1e-9)


@given(found=cells)
def test_swapping_the_sides_and_their_chances_turns_the_sign(found: list[Cell]) -> None:
    swapped = [
        Cell(c.family, not c.shown, 1 - c.probability if c.randomised else c.probability, c.moments)
        for c in found
    ]
    totals = by_family(found)
    one, other = compare(found, totals, binary=True), compare(swapped, totals, binary=True)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.effect == pytest.approx(-other.effect, abs=1e-9)


@given(values=figures, shift=st.floats(-100, 100))
def test_moments_agree_with_the_values(values: list[float], shift: float) -> None:
    moments = moments_of(values)
    if values:
        mean = sum(values) / len(values)
        scale = max(map(abs, values)) ** 2 * len(values) + 1
        assert moments.mean == pytest.approx(mean, rel=1e-6, abs=1e-6)
        expected = sum((value - shift) ** 2 for value in values)
        assert moments.around(shift) == pytest.approx(expected, abs=1e-6 * scale + 1e-3)
    assert Moments().variance == 0
