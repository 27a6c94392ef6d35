"""Let entries of a kind teach what to expect of one of them, and weigh all evidence."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from memory.receipts.randomised import Difference
from memory.receipts.records import Belief, Prior
from memory.receipts.settings import ReceiptSettings

_LEAST_SD = 0.03
_MOST_SD = 0.3
_LEAST_NOISE = 1e-6
"""Runs that are all alike are no proof that the next one is."""


def pooled_prior(found: Sequence[Difference], settings: ReceiptSettings) -> Prior:
    """Return the mean and spread of a kind's effects on success (empirical Bayes).

    Moments after DerSimonian and Laird (1986): what the estimates differ by beyond their
    noise is the spread of the effects. With few entries the settings speak.
    """
    if len(found) < settings.min_prior_entries:
        return Prior(sd=settings.prior_sd)
    doubt = settings.confounding_sd**2
    noise = [max(one.noise_with + one.noise_without + doubt, _LEAST_NOISE) for one in found]
    spread = between([one.effect for one in found], noise)
    sd = min(max(sqrt(spread), _LEAST_SD), _MOST_SD)
    weights = [1 / (sd**2 + own) for own in noise]
    # One entry's worth of nought keeps a handful of lucky ones from moving the mean.
    total = sum(weights) + 1 / settings.prior_sd**2
    mean = sum(w * one.effect for w, one in zip(weights, found, strict=True)) / total
    return Prior(mean=mean, sd=sd, entries=len(found))


def between(effects: Sequence[float], noise: Sequence[float]) -> float:
    """Return the variance of the effects themselves, given the variance of each estimate."""
    weights = [1 / own for own in noise]
    total = sum(weights)
    mean = sum(w * effect for w, effect in zip(weights, effects, strict=True)) / total
    excess = sum(w * (effect - mean) ** 2 for w, effect in zip(weights, effects, strict=True))
    scale = total - sum(w**2 for w in weights) / total
    return max((excess - (len(effects) - 1)) / scale, 0.0) if scale > 0 else 0.0


def shrink(found: Difference, prior: Prior, settings: ReceiptSettings) -> float:
    """Return an estimate against the family drawn towards its kind."""
    noise = found.noise_with + found.noise_without + settings.confounding_sd**2
    share = prior.sd**2 / (prior.sd**2 + noise)
    return prior.mean + share * (found.effect - prior.mean)


def believe(
    baseline: Difference | None,
    randomised: Difference | None,
    prior: Prior,
    settings: ReceiptSettings,
) -> Belief:
    """Weigh both estimates and the prior by their precision (normal approximation).

    Both share the runs that were shown the entry, so only what they compare with counts as
    two witnesses: the withheld runs, with their noise, and the family, with its noise and
    the doubt that it is as hard. The first wins as it grows, since it has no such doubt.
    """
    mean, variance = prior.mean, prior.sd**2
    seen = _together(baseline, randomised, settings.confounding_sd**2)
    if seen is not None:
        effect, noise = seen
        share = variance / (variance + noise)
        mean, variance = mean + share * (effect - mean), variance * (1 - share)
    normal = NormalDist(mean, max(sqrt(variance), 1e-9))
    harm = normal.cdf(-settings.practical)
    kept = normal.cdf(settings.practical)
    return Belief(mean=mean, sd=normal.stdev, p_help=1 - kept, p_harm=harm, p_same=kept - harm)


def _together(
    baseline: Difference | None, randomised: Difference | None, doubt: float
) -> tuple[float, float] | None:
    if baseline is None and randomised is None:
        return None
    if baseline is None or randomised is None:
        one = baseline or randomised
        assert one is not None  # noqa: S101 - both were ruled out above
        noise = one.noise_with + one.noise_without + (doubt if randomised is None else 0.0)
        return one.effect, noise
    shared = max(baseline.noise_with, randomised.noise_with)
    family, drawn = baseline.noise_without + doubt, randomised.noise_without
    share = drawn / (family + drawn) if family + drawn > 0 else 0.5
    effect = share * baseline.effect + (1 - share) * randomised.effect
    return effect, shared + share * family
