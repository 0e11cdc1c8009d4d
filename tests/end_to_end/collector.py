"""A collector of traces: takes what a stack exports, keeps every byte, and reads the spans in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.http_servers import Headers, serving


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str | int]


@dataclass
class Collector:
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        return [span for body in list(self.bodies) for span in _read(body)]


def _read(body: bytes) -> Iterator[Span]:
    for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = {one.key: one.value.string_value for one in of_process.resource.attributes}["service.name"]
        for of_library in of_process.scope_spans:
            for span in of_library.spans:
                values = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                yield Span(service, span.name, *ids, values)


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    def take(request: BaseHTTPRequestHandler) -> tuple[int, Headers]:
        collector.bodies.append(request.rfile.read(int(request.headers["Content-Length"])))
        return 200, {"Content-Length": "0"}

    with serving(take) as collector.port:
        yield collector
