"""Intervals that stay valid however often one looks at them."""

from math import log, sqrt


def radius(std_error: float, runs: int, *, alpha: float, tuned_for_runs: int) -> float:
    """Return the half-width of an asymptotic confidence sequence.

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476, with the normal
    mixture boundary of Robbins: for a mean of t terms with standard error s,

        s * sqrt((t r + 1) / (t r) * log((t r + 1) / alpha^2)),
        r = (-2 log(alpha) + log(1 - 2 log(alpha))) / t0,

    where t0 is the number of runs at which it is to be tightest. With probability 1 - alpha
    the truth lies inside at every t at once, so one may stop when one likes. That holds
    asymptotically: for terms of finite variance, from a first look on that is not too early.
    """
    if runs < 1:
        return float("inf")
    scale = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / tuned_for_runs
    time = runs * scale
    return std_error * sqrt((time + 1) / time * log((time + 1) / alpha**2))
