"""A real collector of traces on loopback: OTLP over HTTP, protobuf."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """A span as it came in."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    failed: bool
    attributes: dict[str, Value]
    links: tuple[str, ...]
    """Ids of the traces that it points to."""
    service: str


class Collector:
    """Keeps what it is sent."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()

    @property
    def spans(self) -> list[Received]:
        """Every span so far."""
        return [span for body in list(self.bodies) for span in _spans(body)]


@contextmanager
def collector() -> Generator[Collector]:
    """Give a collector that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.paths.add(self.path)
            kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Collector(http.server_port)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield kept
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _spans(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    found: list[Received] = []
    for of_resource in request.resource_spans:
        named = {item.key: item.value.string_value for item in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            found += [_received(span, named["service.name"]) for span in of_scope.spans]
    return found


def _received(span: Span, service: str) -> Received:
    attributes: dict[str, Value] = {}
    for item in span.attributes:
        which = item.value.WhichOneof("value") or ""
        value = getattr(item.value, which)
        if which == "array_value":
            value = tuple(part.string_value for part in value.values)
        attributes[item.key] = value
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        failed=span.status.code == 2,  # STATUS_CODE_ERROR
        attributes=attributes,
        links=tuple(link.trace_id.hex() for link in span.links),
        service=service,
    )
