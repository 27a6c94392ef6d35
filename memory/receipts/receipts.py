"""Write receipts, and move entries by them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from memory.base import StaleVersionError
from memory.database import Database
from memory.receipts.baseline import against_family
from memory.receipts.moments import Cell, Moments, unite
from memory.receipts.pooling import believe, pooled_prior, shrink
from memory.receipts.randomised import Difference, compare, estimate
from memory.receipts.records import (
    METRICS,
    Arm,
    Estimate,
    FamilyEffect,
    Metric,
    MetricEffect,
    Overall,
    Prior,
    Receipt,
)
from memory.receipts.rules import ACTOR, Evidence, Transition, decide, verdict
from memory.receipts.samples import (
    Cells,
    Families,
    cells_of,
    cells_of_kind,
    cells_of_memory,
    families_of,
    harm_cases,
    tasks_shown,
    unfinished,
)
from memory.receipts.settings import ReceiptSettings
from memory.receipts.wording import summary
from memory.records import Entry, Kind
from memory.rows import load, load_entries
from memory.store import MemoryStore
from memory.tables import audit, uses

_FRESH_SHARE = 20
"""A kind's prior is learned anew when a twentieth more runs have ended."""


@dataclass
class _Known:
    prior: Prior
    left: int
    """Runs that may end before it is learned anew."""


class Receipts:
    """Reads the log of uses and outcomes; the only trace it leaves is a status."""

    def __init__(
        self, database: Database, store: MemoryStore, settings: ReceiptSettings | None = None
    ) -> None:
        self._database = database
        self._store = store
        self._settings = settings or ReceiptSettings()
        self._priors: dict[tuple[str, Kind], _Known] = {}

    async def receipt(self, entry_id: str) -> Receipt:
        """Return how runs fared with an entry and without it.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._database.read(lambda connection: self._receipt(connection, entry_id))

    async def evidence(self, entry_id: str) -> Evidence:
        """Return what the rules look at, which is quicker to have than a whole receipt.

        Raises:
            EntryNotFoundError: there is none of that id.
        """
        return await self._database.read(
            lambda connection: self._evidence(connection, load(connection, entry_id))
        )

    async def overall(self, namespace: str) -> Overall:
        """Return what the whole memory does, by the runs that were held out."""
        return await self._database.read(lambda connection: self._overall(connection, namespace))

    async def settle(self, run_id: str) -> dict[str, Transition]:
        """Move the entries of a run that has just ended where the rules send them."""
        if not self._settings.act:
            return {}
        found = await self._database.read(lambda connection: self._transitions(connection, run_id))
        moved: dict[str, Transition] = {}
        for entry, transition in found:
            try:
                await self._store.set_status(
                    entry.id,
                    transition.status,
                    reason=transition.reason,
                    actor=ACTOR,
                    expected=entry.status,
                )
            except StaleVersionError:
                continue  # someone else was quicker; their word stands
            moved[entry.id] = transition
        return moved

    def _transitions(self, connection: Connection, run_id: str) -> list[tuple[Entry, Transition]]:
        chosen = select(uses.c.entry_id).where(uses.c.run_id == run_id).order_by(uses.c.rank)
        ids = [row[0] for row in connection.execute(chosen)]
        heads = load_entries(connection, ids)
        free = [heads[key] for key in ids if key in heads and _is_free(connection, key)]
        found: list[tuple[Entry, Transition]] = []
        for entry in free:
            transition = decide(self._evidence(connection, entry), self._settings)
            if transition is not None:
                found.append((entry, transition))
        return found

    def _evidence(self, connection: Connection, entry: Entry) -> Evidence:
        cells = cells_of(connection, entry.id, entry.version, ("success",))["success"]
        touched = {cell.family for cell in cells}
        totals = families_of(connection, entry.namespace, touched, ("success",))["success"]
        baseline = against_family(cells, totals, binary=True)
        drawn = compare(cells, totals, binary=True)
        shown = unite(cell.moments for cell in cells if cell.shown)
        return Evidence(
            status=entry.status,
            shown=shown.runs,
            withheld=_drawn(cells, shown=False).runs,
            failures=shown.runs - round(shown.total),
            tasks=tasks_shown(connection, entry.id, entry.version),
            belief=believe(baseline, drawn, self._prior(connection, entry), self._settings),
            randomised=estimate(drawn, self._settings, binary=True),
        )

    def _prior(self, connection: Connection, entry: Entry) -> Prior:
        """Return a prior that may be a little old: every ending of a run asks for it."""
        key = (entry.namespace, entry.kind)
        known = self._priors.get(key)
        if known is None or known.left <= 0:
            totals = families_of(connection, entry.namespace, None, ("success",))
            prior = self._fresh_prior(connection, entry, totals, "success")
            runs = unite(totals["success"].values()).runs
            known = self._priors[key] = _Known(prior, max(runs // _FRESH_SHARE, 10))
        known.left -= 1
        return known.prior

    def _fresh_prior(
        self, connection: Connection, entry: Entry, totals: Families, metric: Metric
    ) -> Prior:
        kind = cells_of_kind(connection, entry.namespace, entry.kind, (metric,))
        unit = _unit(totals, metric)
        found = [
            difference.scaled(1 / unit)
            for cells in kind.values()
            if (difference := _baseline(cells[metric], totals, metric)) is not None
        ]
        return pooled_prior(found, self._settings)

    def _receipt(self, connection: Connection, entry_id: str) -> Receipt:
        entry = load(connection, entry_id)
        cells = cells_of(connection, entry.id, entry.version)
        totals = families_of(connection, entry.namespace)
        success = cells["success"]
        prior = self._fresh_prior(connection, entry, totals, "success")
        metrics = tuple(self._effect(connection, entry, cells, totals, name) for name in METRICS)
        baseline = _baseline(success, totals, "success")
        belief = believe(
            baseline, compare(success, totals["success"], binary=True), prior, self._settings
        )
        randomised = metrics[0].randomised
        note = verdict(belief, randomised, self._settings)
        shown, withheld = _arm(cells, shown=True), _arm(cells, shown=False, drawn_only=True)
        without = unite(cell.moments for cell in success if not cell.shown)
        return Receipt(
            entry_id=entry.id,
            version=entry.version,
            status=entry.status,
            shown=shown,
            withheld=withheld,
            held_out=without.runs - withheld.runs,
            unfinished=unfinished(connection, entry.id, entry.version),
            note=note,
            effect=None if note == "not yet known" else randomised.effect,
            belief=belief,
            prior=prior,
            metrics=metrics,
            families=self._families(success, totals),
            harm_cases=harm_cases(connection, entry.id, entry.version),
            summary=summary(shown, withheld, randomised, note),
        )

    def _effect(
        self, connection: Connection, entry: Entry, cells: Cells, totals: Families, metric: Metric
    ) -> MetricEffect:
        baseline = _baseline(cells[metric], totals, metric)
        drawn = self._drawn(cells[metric], totals, metric)
        if baseline is None:
            return MetricEffect(metric=metric, baseline=Estimate(), randomised=drawn)
        unit = _unit(totals, metric)
        prior = self._fresh_prior(connection, entry, totals, metric)
        pulled = shrink(baseline.scaled(1 / unit), prior, self._settings) * unit
        binary = metric == "success"
        return MetricEffect(
            metric=metric,
            baseline=estimate(baseline, self._settings, binary=binary),
            shrunk=pulled,
            randomised=drawn,
        )

    def _drawn(self, cells: Sequence[Cell], totals: Families, metric: Metric) -> Estimate:
        binary = metric == "success"
        counts = (_drawn(cells, shown=True).runs, _drawn(cells, shown=False).runs)
        difference = compare(cells, totals[metric], binary=binary)
        return estimate(difference, self._settings, binary=binary, counts=counts)

    def _families(self, cells: Sequence[Cell], totals: Families) -> tuple[FamilyEffect, ...]:
        found: list[FamilyEffect] = []
        for name in sorted({cell.family for cell in cells}):
            own = [cell for cell in cells if cell.family == name]
            baseline = _baseline(own, totals, "success")
            found.append(
                FamilyEffect(
                    family=name,
                    baseline=estimate(baseline, self._settings, binary=True),
                    randomised=self._drawn(own, totals, "success"),
                )
            )
        return tuple(found)

    def _overall(self, connection: Connection, namespace: str) -> Overall:
        cells = cells_of_memory(connection, namespace)
        totals = families_of(connection, namespace)
        effects: dict[Metric, Estimate] = {
            name: self._drawn(cells[name], totals, name) for name in METRICS
        }
        belief = believe(
            None,
            compare(cells["success"], totals["success"], binary=True),
            Prior(sd=self._settings.prior_sd),
            self._settings,
        )
        return Overall(
            namespace=namespace,
            with_memory=_arm(cells, shown=True, drawn_only=True),
            held_out=_arm(cells, shown=False, drawn_only=True),
            note=verdict(belief, effects["success"], self._settings),
            effects=effects,
        )


def _is_free(connection: Connection, entry_id: str) -> bool:
    """Whether no one but the rules has ever set the entry's status."""
    actors = connection.execute(
        select(audit.c.actor)
        .where(audit.c.entry_id == entry_id, audit.c.action == "status")
        .distinct()
    )
    return all(row[0] == ACTOR for row in actors)


def _baseline(cells: Collection[Cell], totals: Families, metric: Metric) -> Difference | None:
    return against_family(list(cells), totals[metric], binary=metric == "success")


def _unit(totals: Families, metric: Metric) -> float:
    """Return what the settings' numbers about success mean in another metric.

    The standard deviation of a success is at most a half; others count in twice their own.
    """
    if metric == "success":
        return 1.0
    return 2 * unite(totals[metric].values()).variance ** 0.5 or 1.0


def _drawn(cells: Sequence[Cell], *, shown: bool) -> Moments:
    return unite(cell.moments for cell in cells if cell.randomised and cell.shown is shown)


def _arm(cells: Cells, *, shown: bool, drawn_only: bool = False) -> Arm:
    success, steps = (
        unite(
            cell.moments
            for cell in cells[metric]
            if cell.shown is shown and (cell.randomised or not drawn_only)
        )
        for metric in ("success", "steps")
    )
    return Arm(
        runs=success.runs,
        successes=round(success.total),
        mean_steps=steps.mean if steps.runs else None,
    )
