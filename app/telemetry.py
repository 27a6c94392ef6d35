"""Deliver spans to a collector over OTLP/HTTP, beside the work and never in its way."""

import logging
import os
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit, urlunsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.errors import SettingsError
from app.spans import SpanTracing, TaskTraceIds

_LOG = logging.getLogger(__name__)
_PATH = "/v1/traces"
_TIMEOUT_S = 2.0
"""For one batch, which then is given up: also how long a stop can take."""
_EVERY_MS = 1000
_HELD = 4096
"""Spans that wait at most; what comes beyond is lost."""
_BATCH = 512


def open_tracing(endpoint: str) -> SpanTracing:
    """Return what shows turns to the collector at `endpoint`.

    Raises:
        SettingsError: the endpoint is no address of a collector.
    """
    url = traces_url(endpoint)
    # It complains anew for each batch and each span; `_Delivery` says it once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        resource=_resource(), id_generator=TaskTraceIds(), shutdown_on_exit=False
    )
    delivery = _Delivery(OTLPSpanExporter(endpoint=url, timeout=_TIMEOUT_S), url)
    processor = BatchSpanProcessor(
        delivery,
        max_queue_size=_HELD,
        schedule_delay_millis=_EVERY_MS,
        max_export_batch_size=_BATCH,
    )
    provider.add_span_processor(processor)
    return SpanTracing(provider, delivery.hurry)


def _resource() -> Resource:
    """Return who sends: what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, else strop."""
    found = Resource.create({"service.instance.id": f"{socket.gethostname()}-{os.getpid()}"})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "strop"}))
    return found


def traces_url(endpoint: str) -> str:
    """Return where traces are sent, given the address of a collector, with or without a path.

    Raises:
        SettingsError: it is no address, or holds a password.
    """
    parts = _address(endpoint)
    if parts is None:
        msg = "STROP_OTLP_ENDPOINT: expected a URL such as http://localhost:4318"
        raise SettingsError(msg)
    if "@" in parts.netloc:
        msg = "STROP_OTLP_ENDPOINT: expected no password in it; use OTEL_EXPORTER_OTLP_HEADERS"
        raise SettingsError(msg)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(_PATH) else path + _PATH))


def _address(endpoint: str) -> SplitResult | None:
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if valid else None


class _Delivery(SpanExporter):
    """Says once when delivering begins to fail, and once when it works again."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._failing = False
        self._hurried = False

    def hurry(self) -> None:
        """Lose what cannot be delivered at once: the process stops."""
        self._hurried = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver a batch, or lose it."""
        if self._hurried and self._failing:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            _LOG.warning("traces cannot be delivered to %s and are lost until they can", self._url)
        elif self._failing and not failing:
            _LOG.warning("traces are delivered to %s again", self._url)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Give up what is under way."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hold nothing back, as ever."""
        return self._exporter.force_flush(timeout_millis)
