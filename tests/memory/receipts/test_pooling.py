from math import isfinite, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.receipts.pooling import believe, between, pooled_prior, shrink
from memory.receipts.randomised import Difference
from memory.receipts.records import Prior
from memory.receipts.settings import ReceiptSettings

SETTINGS = ReceiptSettings()
SURE = ReceiptSettings(confounding_sd=0.0)
PRIOR = Prior(sd=0.15)

differences = st.builds(
    Difference,
    st.floats(-1, 1),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.integers(1, 50),
    st.integers(1, 50),
)


def difference(effect: float, noise: float = 0.01) -> Difference:
    return Difference(effect, noise / 2, noise / 2, 20, 20)


def test_the_spread_of_effects_is_what_noise_does_not_explain() -> None:
    # Equal noise: the variance of the estimates minus the noise.
    effects = [-0.3, 0.0, 0.3]
    assert between(effects, [0.01] * 3) == pytest.approx(0.09 - 0.01)
    assert between([0.1] * 5, [0.01] * 5) == 0


def test_few_entries_teach_nothing() -> None:
    assert pooled_prior([difference(0.5)] * 3, SETTINGS) == Prior(sd=0.15)


def test_a_kind_that_does_nothing_makes_its_entries_doubtful() -> None:
    quiet = pooled_prior([difference(0.0)] * 20, SETTINGS)
    loud = pooled_prior([difference(0.4 * (-1) ** n) for n in range(20)], SETTINGS)
    assert quiet.entries == loud.entries == 20
    assert quiet.sd < 0.05 < 0.25 < loud.sd
    assert shrink(difference(0.3), quiet, SETTINGS) < shrink(difference(0.3), loud, SETTINGS)


def test_without_evidence_the_prior_speaks() -> None:
    belief = believe(None, None, Prior(mean=0.0, sd=0.15), SETTINGS)
    assert (belief.mean, belief.sd) == (0.0, 0.15)
    assert belief.p_help == pytest.approx(belief.p_harm)
    assert belief.p_same == pytest.approx(0.1585, abs=1e-3)


def test_the_weights_are_those_of_the_formula() -> None:
    baseline = Difference(0.2, 0.004, 0.001, 50, 200)
    drawn = Difference(-0.1, 0.004, 0.012, 50, 12)
    belief = believe(baseline, drawn, PRIOR, SETTINGS)
    family, withheld = 0.001 + 0.08**2, 0.012
    share = withheld / (family + withheld)
    effect = share * 0.2 + (1 - share) * -0.1
    noise = 0.004 + family * withheld / (family + withheld)
    precision = 1 / 0.15**2 + 1 / noise
    assert belief.mean == pytest.approx(effect / noise / precision)
    assert belief.sd == pytest.approx(sqrt(1 / precision))


@given(
    baseline=st.none() | differences,
    drawn=st.none() | differences,
    mean=st.floats(-0.3, 0.3),
    sd=st.floats(0.03, 0.3),
)
def test_a_belief_is_finite_and_its_chances_sum_to_one(
    baseline: Difference | None, drawn: Difference | None, mean: float, sd: float
) -> None:
    for settings in (SETTINGS, SURE):
        belief = believe(baseline, drawn, Prior(mean=mean, sd=sd), settings)
        assert isfinite(belief.mean)
        assert 0 < belief.sd <= sd + 1e-9
        assert belief.p_help + belief.p_harm + belief.p_same == pytest.approx(1)
        assert min(belief.p_help, belief.p_harm, belief.p_same) >= -1e-12


@given(found=st.lists(differences, max_size=30))
def test_a_prior_is_finite_whatever_was_found(found: list[Difference]) -> None:
    for settings in (SETTINGS, SURE):
        prior = pooled_prior(found, settings)
        assert isfinite(prior.mean)
        assert 0.03 <= prior.sd <= 0.3


@given(found=differences, mean=st.floats(-0.3, 0.3))
def test_shrinking_stays_between_the_estimate_and_the_kind(found: Difference, mean: float) -> None:
    pulled = shrink(found, Prior(mean=mean, sd=0.15), SETTINGS)
    low, high = sorted((found.effect, mean))
    assert low - 1e-9 <= pulled <= high + 1e-9


@given(worse=st.floats(0.0, 0.5))
def test_worse_results_raise_the_chance_of_harm(worse: float) -> None:
    one = believe(difference(0.0), None, PRIOR, SETTINGS)
    other = believe(difference(-worse), None, PRIOR, SETTINGS)
    assert other.p_harm >= one.p_harm - 1e-12
    assert other.p_help <= one.p_help + 1e-12
