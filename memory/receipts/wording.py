"""Say figures as a person reads them."""

from collections.abc import Mapping, Sequence

from memory.receipts.records import Arm, Estimate, Metric, MetricEffect, Receipt, Verdict

_MINUS = "\N{MINUS SIGN}"
_DECIMALS: Mapping[Metric, int] = {"steps": 1, "tokens": 0, "usd": 4, "seconds": 1}


def percent(share: float) -> str:
    """Return a share such as `86 %`."""
    return f"{100 * share:.0f} %"


def points(difference: float) -> str:
    """Return a difference of two shares in points, with its sign, such as `+19`."""
    rounded = round(100 * difference)
    return f"{_MINUS if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded)}"


def interval(estimate: Estimate) -> str:
    """Return what is known of an effect on success."""
    if estimate.effect is None:
        return "no comparison yet"
    found = f"difference {points(estimate.effect)} points"
    if estimate.low is None or estimate.high is None:
        return f"{found}, too few runs for an interval"
    return f"{found}, interval {points(estimate.low)}…{points(estimate.high)}"


def summary(shown: Arm, withheld: Arm, estimate: Estimate, note: Verdict) -> str:
    """Return a receipt in a sentence."""
    seen = f"shown in {_runs(shown)}, withheld in {withheld.runs or 'none'}"
    rates = [
        f"{word} {percent(arm.successes / arm.runs)}"
        for word, arm in (("with", shown), ("without", withheld))
        if arm.runs
    ]
    if not rates:
        return f"{seen}: {note}"
    return f"{seen}; success {', '.join(rates)}, {interval(estimate)}: {note}"


def _runs(arm: Arm) -> str:
    return "1 run" if arm.runs == 1 else f"{arm.runs or 'no'} runs"


def receipt_text(receipt: Receipt) -> str:
    """Return a receipt as lines for a terminal or a page of text."""
    lines = [receipt.summary]
    if receipt.unfinished or receipt.held_out:
        lines.append(
            f"not counted: {receipt.unfinished} runs not ended yet, "
            f"{receipt.held_out} without any memory"
        )
    belief, prior = receipt.belief, receipt.prior
    taught = f"from {prior.entries} entries" if prior.entries else "not learned yet"
    lines += [
        f"chance of help {percent(belief.p_help)}, of harm {percent(belief.p_harm)}, "
        f"of no practical difference {percent(belief.p_same)} "
        f"(prior of its kind {points(prior.mean)} ± {100 * prior.sd:.0f} points, {taught})",
        "",
        *_table(
            ("with minus without", "by the draws", "interval", "against the family", "shrunk"),
            [_metric_row(effect) for effect in receipt.metrics],
        ),
    ]
    if len(receipt.families) > 1:
        rows = [
            (
                f"success, {family.family or 'no family'}",
                *_cells("success", family.randomised),
                _number("success", family.baseline.effect),
                "",
            )
            for family in receipt.families
        ]
        lines += ["", *_table(("by family", "by the draws", "interval", "against", ""), rows)]
    for case in receipt.harm_cases:
        peers = ", ".join(case.peers)
        lines.append(
            f"failed with it: task {case.task_id}, run {case.run_id} ({case.end_reason}); "
            f"its like succeeded without: {peers}"
        )
    return "\n".join(lines)


def _metric_row(effect: MetricEffect) -> tuple[str, ...]:
    return (
        effect.metric,
        *_cells(effect.metric, effect.randomised),
        _number(effect.metric, effect.baseline.effect),
        _number(effect.metric, effect.shrunk),
    )


def _cells(metric: Metric, estimate: Estimate) -> tuple[str, str]:
    if estimate.low is None or estimate.high is None:
        return _number(metric, estimate.effect), "-"
    low, high = _number(metric, estimate.low), _number(metric, estimate.high)
    return _number(metric, estimate.effect), f"{low}…{high}"


def _number(metric: Metric, value: float | None) -> str:
    if value is None:
        return "-"
    if metric == "success":
        return points(value)
    text = f"{abs(value):.{_DECIMALS[metric]}f}"
    if not float(text):
        return text
    return f"{_MINUS if value < 0 else '+'}{text}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
