"""Read from SQL, as counts and sums, how runs with an entry and without it fared."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, case, cast, func, select

from memory.receipts.moments import Cell, Moments
from memory.receipts.records import METRICS, HarmCase, Metric
from memory.records import Kind
from memory.tables import entries, outcomes, uses

Cells = Mapping[Metric, Sequence[Cell]]
Families = Mapping[Metric, Mapping[str, Moments]]

_SUCCESS: ColumnElement[float] = case((outcomes.c.success, 1.0), else_=0.0)
_FIGURES: Mapping[Metric, ColumnElement[float]] = {
    "success": _SUCCESS,
    "steps": cast(outcomes.c.steps, Float),
    "tokens": cast(outcomes.c.tokens, Float),
    "usd": outcomes.c.usd,
    "seconds": outcomes.c.seconds,
}
_USED = uses.join(outcomes, outcomes.c.run_id == uses.c.run_id)


def cells_of(
    connection: Connection, entry_id: str, version: int, metrics: Collection[Metric] = METRICS
) -> Cells:
    """Return the finished runs in which this version of an entry had its chance."""
    keys = (outcomes.c.family, uses.c.withheld, uses.c.probability)
    rows = connection.execute(
        select(*keys, func.count(), *_sums(metrics))
        .select_from(_USED)
        .where(uses.c.entry_id == entry_id, uses.c.version == version)
        .group_by(*keys)
        .order_by(*keys)
    ).all()
    return _cells(rows, metrics)


def cells_of_kind(
    connection: Connection, namespace: str, kind: Kind, metrics: Collection[Metric] = METRICS
) -> Mapping[str, Cells]:
    """Return the same for every entry of a kind, as far as it was shown."""
    keys = (outcomes.c.family, uses.c.withheld, uses.c.probability)
    rows = connection.execute(
        select(entries.c.id, *keys, func.count(), *_sums(metrics))
        .select_from(_USED.join(entries, entries.c.id == uses.c.entry_id))
        .where(
            entries.c.namespace == namespace,
            entries.c.kind == kind,
            uses.c.version == entries.c.head_version,
            uses.c.withheld.is_(False),
        )
        .group_by(entries.c.id, *keys)
        .order_by(entries.c.id, *keys)
    ).all()
    grouped: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row[1:])
    return {entry_id: _cells(found, metrics) for entry_id, found in grouped.items()}


def cells_of_memory(connection: Connection, namespace: str) -> Cells:
    """Return the finished runs for which memory had anything, held out ones as withheld."""
    drawn = (
        select(
            uses.c.run_id,
            func.max(uses.c.reasons["arm"].as_string()).label("arm"),
            func.max(uses.c.reasons["holdout"].as_float()).label("chance"),
        )
        .where(uses.c.namespace == namespace)
        .group_by(uses.c.run_id)
        .subquery()
    )
    held_out = case((drawn.c.arm == "holdout", 1), else_=0)
    chance = func.coalesce(drawn.c.chance, 0.0)
    keys = (outcomes.c.family, held_out, chance)
    rows = connection.execute(
        select(*keys, func.count(), *_sums(METRICS))
        .select_from(drawn.join(outcomes, outcomes.c.run_id == drawn.c.run_id))
        .group_by(*keys)
        .order_by(*keys)
    ).all()
    return _cells(rows, METRICS)


def families_of(
    connection: Connection,
    namespace: str,
    families: Collection[str] | None = None,
    metrics: Collection[Metric] = METRICS,
) -> Families:
    """Return all finished runs of the families, or of every one."""
    chosen = (
        select(outcomes.c.family, func.count(), *_sums(metrics))
        .where(outcomes.c.namespace == namespace)
        .group_by(outcomes.c.family)
        .order_by(outcomes.c.family)
    )
    if families is not None:
        chosen = chosen.where(outcomes.c.family.in_(sorted(families)))
    rows = connection.execute(chosen).all()
    return {
        metric: {row[0]: _moments(row[1:], place) for row in rows}
        for place, metric in enumerate(metrics)
    }


def unfinished(connection: Connection, entry_id: str, version: int) -> int:
    """Return how many runs used an entry and have not ended."""
    joined = uses.outerjoin(outcomes, outcomes.c.run_id == uses.c.run_id)
    return connection.execute(
        select(func.count())
        .select_from(joined)
        .where(uses.c.entry_id == entry_id, uses.c.version == version, outcomes.c.run_id.is_(None))
    ).scalar_one()


def tasks_shown(connection: Connection, entry_id: str, version: int) -> int:
    """Return in how many different finished tasks an entry was shown."""
    return connection.execute(
        select(func.count(outcomes.c.task_id.distinct()))
        .select_from(_USED)
        .where(
            uses.c.entry_id == entry_id,
            uses.c.version == version,
            uses.c.withheld.is_(False),
        )
    ).scalar_one()


def harm_cases(
    connection: Connection, entry_id: str, version: int, *, limit: int = 5, peers: int = 3
) -> tuple[HarmCase, ...]:
    """Return the newest runs that failed with an entry while others succeeded without it."""
    failed = connection.execute(
        select(outcomes)
        .select_from(_USED)
        .where(
            uses.c.entry_id == entry_id,
            uses.c.version == version,
            uses.c.withheld.is_(False),
            outcomes.c.success.is_(False),
        )
        .order_by(outcomes.c.created_at.desc(), outcomes.c.run_id)
        .limit(limit)
    ).mappings()
    found: list[HarmCase] = []
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    for run in failed.all():
        key = (run["namespace"], run["family"])
        if key not in known:
            known[key] = _succeeded_without(connection, entry_id, *key, limit=peers)
        if known[key]:
            values = {name: run[name] for name in ("run_id", "task_id", "family", "end_reason")}
            found.append(HarmCase(**values, peers=known[key]))
    return tuple(found)


def _succeeded_without(
    connection: Connection, entry_id: str, namespace: str, family: str, *, limit: int
) -> tuple[str, ...]:
    shown = select(uses.c.run_id).where(uses.c.entry_id == entry_id, uses.c.withheld.is_(False))
    rows = connection.execute(
        select(outcomes.c.run_id)
        .where(
            outcomes.c.namespace == namespace,
            outcomes.c.family == family,
            outcomes.c.success.is_(True),
            outcomes.c.run_id.not_in(shown),
        )
        .order_by(outcomes.c.created_at.desc(), outcomes.c.run_id)
        .limit(limit)
    )
    return tuple(row[0] for row in rows)


def _sums(metrics: Collection[Metric]) -> list[ColumnElement[float]]:
    figures = [_FIGURES[metric] for metric in metrics]
    return [func.sum(part) for figure in figures for part in (figure, figure * figure)]


def _cells(rows: Sequence[Sequence[Any]], metrics: Collection[Metric]) -> Cells:
    return {
        metric: [Cell(row[0], not row[1], float(row[2]), _moments(row[3:], place)) for row in rows]
        for place, metric in enumerate(metrics)
    }


def _moments(row: Sequence[Any], place: int) -> Moments:
    """Return one metric of a row that begins with the number of runs."""
    return Moments(int(row[0]), float(row[1 + 2 * place]), float(row[2 + 2 * place]))
