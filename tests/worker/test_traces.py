"""Traces: nothing is done where none are wanted, and nothing leaves that is not listed."""

import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, get_current_span

from tests.http_servers import serving
from worker.trace_sieve import BarePropagator, Sieve
from worker.traces import is_wanted

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
BOTH = """
import sys
from worker.logs import configure_logging
configure_logging()
import api.app, worker.tasks
from api.traces import traced
from worker import traces
BROKEN
app = object()
assert traced(app) is app
traces.begin_in_worker()
assert traces.carried() == {}
traces.end()
parts = ("opentelemetry.instrumentation", "opentelemetry.exporter", "opentelemetry.sdk.trace")
print([name for name in sys.modules if name.startswith(parts)])
"""
MISSING = "sys.modules['opentelemetry.sdk.trace'] = None"
END = """
from worker import traces
provider = traces.begin("test")
provider.get_tracer("test").start_span("one").end()
traces.end()
traces.end()
print("ended")
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    servers = {"DELIVERY_DATABASE_URL": "postgresql://x@127.0.0.1:9/x", "DELIVERY_REDIS_URL": "redis://127.0.0.1:9/0"}
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **servers, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=25)


def test_nothing_is_imported_where_no_collector_is_named() -> None:
    done = run(BOTH.replace("BROKEN", ""))
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_without_the_extra_one_line_says_so_and_all_goes_on() -> None:
    code = "import sys\n" + MISSING + BOTH.replace("BROKEN", "del sys.modules['opentelemetry.sdk.trace']")
    done = run(code, **{ENDPOINT: "http://127.0.0.1:9"})
    assert done.stderr.count("\n") == 1
    assert "traces_not_installed" in done.stderr


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({ENDPOINT: "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({ENDPOINT: "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
    ids=range(6),
)
def test_opentelemetry_s_own_variables_say_whether_they_are_wanted(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_wanted() is wanted


def test_a_collector_that_is_away_is_a_line_without_its_address() -> None:
    logging = "from worker.logs import configure_logging\nconfigure_logging()\n"
    done = run(logging + END, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces?key=planted")
    (line,) = done.stderr.splitlines()
    assert '"event":"traces_not_exported"' in line
    assert "planted" not in line


def test_a_collector_that_is_silent_keeps_no_process_from_stopping() -> None:
    over = threading.Event()

    def silent(_: object) -> tuple[int, dict[str, str]]:
        over.wait(60)
        return 200, {}

    with serving(silent) as port:
        try:
            done = run(END, **{ENDPOINT: f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000"})
        finally:
            over.set()
    assert done.stdout == "ended\n"


def test_the_sieve_keeps_names_times_and_what_is_listed() -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Sieve(memory)))
    link = Link(SpanContext(1, 1, is_remote=True), {"planted": "planted"})
    with provider.get_tracer("test").start_as_current_span("named", links=[link]) as span:
        span.set_attribute("http.route", "/v1/messages")
        span.set_attribute("url.path", "/planted")
        span.set_attribute("error.type", ["planted"])
        span.add_event("told", {"planted": "planted"})
        span.record_exception(ValueError("planted"))
        span.set_status(Status(StatusCode.ERROR, "planted"))
    (kept,) = memory.get_finished_spans()
    assert "planted" not in kept.to_json()
    assert (kept.name, dict(kept.attributes or {})) == ("named", {"http.route": "/v1/messages"})
    assert [event.name for event in kept.events] == ["told", "exception"]
    assert dict(kept.events[1].attributes or {}) == {"exception.type": "ValueError"}
    assert kept.status.status_code is StatusCode.ERROR


def test_a_closed_sieve_gives_nothing_on() -> None:
    memory = InMemorySpanExporter()
    sieve = Sieve(memory)
    sieve.shutdown()
    sieve.shutdown()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(sieve))
    provider.get_tracer("test").start_span("late").end()
    assert memory.get_finished_spans() == ()


def test_a_caller_s_free_text_goes_no_further_than_its_trace() -> None:
    caller = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=planted", "baggage": "a=planted"}
    given = BarePropagator().extract(caller)
    context = get_current_span(given).get_span_context()
    assert (f"{context.trace_id:x}", context.trace_flags) == ("a" * 32, TraceFlags.SAMPLED)
    passed_on: dict[str, str] = {}
    BarePropagator().inject(passed_on, given)
    assert passed_on == {"traceparent": caller["traceparent"]}
