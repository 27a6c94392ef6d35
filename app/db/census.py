"""Count tasks, calls and costs over the whole database, for `/metrics`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from app.db.tables import model_calls, tasks, tool_calls

_MOST_LABELS = 50
"""How many values of a label are told apart; the rest are counted as `other`."""

Counts = dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Census:
    """What the database held at one moment."""

    tasks: Counts
    """By status and end reason."""
    queued: Counts
    """By namespace."""
    oldest_queued_at: datetime | None
    steps: float
    taken_over: float
    """Tasks that were put back at least once after a death."""
    model_calls: Counts
    """By model."""
    tokens: Counts
    """By model, and `prompt` or `completion`."""
    usd: Counts
    """By model."""
    tool_calls: Counts
    """By tool, and `ok`, `failed` or `unsettled`."""


def take(connection: Connection) -> Census:
    """Count everything; a few scans, so that its caller should not ask too often."""
    by_status = select(
        tasks.c.status,
        func.coalesce(tasks.c.end_reason, ""),
        func.count(),
        func.sum(tasks.c.steps),
        func.sum(case((tasks.c.deaths > 0, 1), else_=0)),
    ).group_by(tasks.c.status, tasks.c.end_reason)
    statuses = connection.execute(by_status).all()
    queued = tasks.c.status == "queued"
    by_namespace = _grouped(tasks.c.namespace, func.count()).where(queued)
    models = connection.execute(
        _grouped(
            model_calls.c.model,
            func.count(),
            func.sum(model_calls.c.prompt_tokens),
            func.sum(model_calls.c.completion_tokens),
            func.sum(model_calls.c.usd),
        )
    ).all()
    calls = {"prompt": 2, "completion": 3}
    return Census(
        tasks={(row[0], row[1]): float(row[2]) for row in statuses},
        queued=_bounded(connection.execute(by_namespace).all(), 1),
        oldest_queued_at=connection.execute(
            select(func.min(tasks.c.created_at)).where(queued)
        ).scalar(),
        steps=float(sum(row[3] or 0 for row in statuses)),
        taken_over=float(sum(row[4] for row in statuses)),
        model_calls=_bounded(models, 1),
        tokens={
            (*model, kind): value
            for kind, place in calls.items()
            for model, value in _bounded(models, place).items()
        },
        usd=_bounded(models, 4),
        tool_calls=_tool_calls(connection),
    )


def _tool_calls(connection: Connection) -> Counts:
    settled, ok = tool_calls.c.settled, tool_calls.c.record["ok"].as_boolean()
    statement = _grouped(
        tool_calls.c.tool,
        func.sum(case((settled & ok, 1), else_=0)),
        func.sum(case((settled, 1), else_=0)),
        func.count(),
    )
    counted: Counts = {}
    rows: Sequence[Any] = connection.execute(statement).all()
    for at, row in enumerate(rows):
        name = str(row[0]) if at < _MOST_LABELS else "other"
        good, over, every = (float(figure) for figure in row[1:])
        for outcome, figure in (("ok", good), ("failed", over - good), ("unsettled", every - over)):
            counted[name, outcome] = counted.get((name, outcome), 0.0) + figure
    return counted


def _grouped(label: ColumnElement[Any], *figures: ColumnElement[Any]) -> Any:  # noqa: ANN401 - SQLAlchemy types a select by each of its columns
    return select(label, *figures).group_by(label).order_by(func.count().desc(), label)


def _bounded(rows: Sequence[Any], place: int) -> Counts:
    """Return one figure by the first column; what comes after the most frequent is `other`."""
    counted: Counts = {}
    for at, row in enumerate(rows):
        name = (str(row[0]) if at < _MOST_LABELS else "other",)
        counted[name] = counted.get(name, 0.0) + float(row[place] or 0)
    return counted
