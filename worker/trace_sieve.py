"""What of a span leaves the process: names, times, and the attributes listed here. Everything else stays.

OpenTelemetry's instrumentations record paths, queries, URLs, headers of callers and the words of errors. Ours hold
webhook tokens, numbers, texts and the rows that a database quotes. So it is said what may pass, not what may not: a new
version that records more changes nothing.
"""

from collections.abc import Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status

_log = structlog.get_logger()

PASSING = frozenset(
    {
        "http.request.method",
        "http.response.status_code",
        "http.route",  # the template
        "server.address",
        "server.port",
        "error.type",
        "exception.type",
        "celery.task_name",
        "celery.state",
        "messaging.message.id",  # the task's ID
        "messaging.destination",  # the queue
    }
)


class Sieve(SpanExporter):
    """An exporter that gives another one no more than may leave. Closed, by whomever and however often, it drops."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._is_closed:
            return SpanExportResult.FAILURE
        result = self._exporter.export([sieved(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            _log.warning("traces_not_exported", spans=len(spans))
        return result

    def shutdown(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def sieved(span: ReadableSpan) -> ReadableSpan:
    events = [SpanEvent(event.name, _passing(event.attributes), event.timestamp) for event in span.events]
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        _passing(span.attributes),
        events,
        kind=span.kind,
        status=Status(span.status.status_code),  # its description is an error's message
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _passing(attributes: object) -> dict[str, str | int]:
    items = attributes.items() if hasattr(attributes, "items") else ()
    return {key: value for key, value in items if key in PASSING and isinstance(value, str | int)}


class BarePropagator(TraceContextTextMapPropagator):
    """Takes and gives the IDs of a trace. A caller's `tracestate` and `baggage` are free text: they go no further."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        found = super().extract(carrier, context, getter)
        caller = get_current_span(found).get_span_context()
        if not caller.trace_state:
            return found
        bare = SpanContext(caller.trace_id, caller.span_id, is_remote=True, trace_flags=caller.trace_flags)
        return set_span_in_context(NonRecordingSpan(bare), found)
