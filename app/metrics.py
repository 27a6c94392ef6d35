"""What a monitor reads: figures of this process, and of the database that all processes share."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.db.census import Census, Counts, take
from app.db.types import now
from memory.database import Database

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LEAST_AGE_S = 5.0
_SHARE = 20
"""A census is not taken again before this many times what it took: at most 5 % of the time."""
_WAITING = ("waiting_approval", "waiting_input", "waiting_budget", "paused")


class Metrics:
    """The figures of one application; a watcher of its requests."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "strop_http_requests",
            "HTTP requests by route and status; 0 when the client left before the answer",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "strop_http_request_seconds",
            "Seconds from a request to the end of its answer, event streams excluded",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self._registry,
        )
        self._readers = Gauge(
            "strop_event_stream_readers", "Open event streams", registry=self._registry
        )
        self._shared = _Shared()
        self._registry.register(self._shared)
        self._lock = asyncio.Lock()
        self._stale_at = 0.0

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Note a request that is over; a stream has no duration worth noting."""
        self._requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    def reading(self, change: int) -> None:
        """Note that an event stream was opened (1) or closed (-1)."""
        self._readers.inc(change)

    async def text(self, database: Database) -> bytes:
        """Return every figure in the exposition format; those of the database may be seconds old.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        async with self._lock:
            if time.monotonic() >= self._stale_at:
                began = time.monotonic()
                self._shared.census = await database.read(take)
                ended = time.monotonic()
                self._stale_at = ended + max(_LEAST_AGE_S, (ended - began) * _SHARE)
        return await asyncio.to_thread(generate_latest, self._registry)


class _Shared(Collector):
    """Shows the last census."""

    def __init__(self) -> None:
        self.census: Census | None = None

    def collect(self) -> Iterator[Metric]:
        """Give the figures."""
        census = self.census
        if census is None:
            return
        yield from _of_tasks(census)
        yield _counter("strop_steps", "Steps of all tasks", (), {(): census.steps})
        yield _counter("strop_model_calls", "Calls of models", ("model",), census.model_calls)
        labels = ("model", "kind")
        yield _counter("strop_model_tokens", "Tokens of models", labels, census.tokens)
        yield _counter("strop_model_usd", "Dollars spent on models", ("model",), census.usd)
        told = "Calls of tools with effects; `unsettled`: under way, or interrupted"
        yield _counter("strop_tool_calls", told, ("tool", "outcome"), census.tool_calls)


def _of_tasks(census: Census) -> Iterator[Metric]:
    by_status: Counts = {}
    for (status, _reason), count in census.tasks.items():
        by_status[status,] = by_status.get((status,), 0.0) + count
    ended = {place: n for place, n in census.tasks.items() if place[1]}
    waiting = {(name,): by_status.get((name,), 0.0) for name in _WAITING}
    age = (now() - census.oldest_queued_at).total_seconds() if census.oldest_queued_at else 0.0
    yield _gauge("strop_tasks", "Tasks by status", ("status",), by_status)
    yield _gauge("strop_queue_length", "Queued tasks", ("namespace",), census.queued)
    yield _gauge(
        "strop_queue_oldest_seconds", "Age of the oldest queued task", (), {(): max(0.0, age)}
    )
    running = {(): by_status.get(("running",), 0.0)}
    yield _gauge("strop_tasks_running", "Tasks that are worked on", (), running)
    yield _gauge("strop_tasks_waiting", "Tasks that wait for a person", ("for",), waiting)
    submitted = {(): sum(census.tasks.values())}
    yield _counter("strop_tasks_submitted", "Tasks submitted", (), submitted)
    told = "Tasks that were put back after their process died or its database failed"
    yield _counter("strop_tasks_taken_over", told, (), {(): census.taken_over})
    yield _counter("strop_tasks_ended", "Tasks by how they ended", ("status", "reason"), ended)


def _counter(name: str, told: str, labels: tuple[str, ...], figures: Counts) -> Metric:
    return _filled(CounterMetricFamily(name, told, labels=labels), figures)


def _gauge(name: str, told: str, labels: tuple[str, ...], figures: Counts) -> Metric:
    return _filled(GaugeMetricFamily(name, told, labels=labels), figures)


def _filled(family: Any, figures: Counts) -> Metric:  # noqa: ANN401 - the two families share no base with this method
    for labels, value in figures.items():
        family.add_metric(labels, value)
    return family
