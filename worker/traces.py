"""Traces, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector and the extra `otel` is installed; else nothing is
imported and nothing is done.

A trace begins with a call of the API and goes with its nudge into the task that sends. Ticks begin none. What leaves
the process has passed the sieve (trace_sieve.py).
"""

import os
import threading
from collections.abc import MutableMapping
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST_EXPORT_SECONDS = 3.0  # then a process that stops goes without the rest

_EXTRA = ("sdk.trace", "exporter.otlp.proto.http", *(f"instrumentation.{name}" for name in ("asgi", "celery", "httpx")))
_DEFAULTS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",  # the names that the sieve lets through
    "OTEL_EXPORTER_OTLP_TIMEOUT": "5",  # seconds
}
_ends: list[Any] = []


def is_wanted() -> bool:
    """By OpenTelemetry's own variables."""
    environment = os.environ
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off |= environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return not is_off and any(environment.get(name) for name in ENDPOINTS)


@lru_cache(maxsize=1)
def is_on() -> bool:
    """Wanted, and the extra is installed."""
    try:
        return is_wanted() and all(find_spec(f"opentelemetry.{name}") for name in _EXTRA)
    except ModuleNotFoundError:
        return False


def begin(service: str, sampler: "Sampler | None" = None) -> "TracerProvider":
    """Once a process, and after it was forked: what exports has a thread. `sampler`: none takes what
    OTEL_TRACES_SAMPLER says, else all. Call only where traces are on."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.propagate import set_global_textmap
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from worker.trace_sieve import BarePropagator, Sieve

    for name, value in {**_DEFAULTS, "OTEL_SERVICE_NAME": service}.items():
        os.environ.setdefault(name, value)
    exporter = Sieve(OTLPSpanExporter())
    provider = TracerProvider(sampler, Resource.create(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    set_global_textmap(BarePropagator())
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    _ends[:] = [exporter, provider]
    return provider


def begin_in_worker() -> None:
    """In a pool process. Only what belongs to a call's trace is recorded: beat's ticks, several a second, are not."""
    if not is_on():
        return
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    provider = begin("delivery-worker", ParentBased(ALWAYS_OFF))
    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]


def end() -> None:
    """Export what is left, within LAST_EXPORT_SECONDS: a collector that is away, or silent, must not keep a process
    from stopping."""
    if not _ends:
        return
    exporter, provider = _ends
    _ends.clear()
    last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    last.start()
    last.join(LAST_EXPORT_SECONDS)
    exporter.shutdown()


def carried() -> dict[str, str]:
    """Where the trace of this context stands, as headers of a task. Celery's own instrumentation puts them there only
    for tasks that the sender has imported, and never ends the span of others."""
    headers: dict[str, str] = {}
    if is_on():
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


def note_trace(_log: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of structlog's: the line has the ID of the trace that it belongs to."""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if context.is_valid and context.trace_flags.sampled:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event
