"""Spans of the API's calls, where traces are on (worker/traces.py)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker import traces

_NOT_TRACED = "/healthz$,/readyz$,/metrics$"  # asked for by machines, all day


def traced(app: ASGIApp) -> ASGIApp:
    """The application as it is; where traces are on, with a span around each call."""
    if not traces.is_on():
        return app
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(
        _Named(app),
        excluded_urls=_NOT_TRACED,
        default_span_details=lambda _: ("unknown", {}),
        exclude_spans=["receive", "send"],
        tracer_provider=traces.begin("delivery-api"),
    )


class _Named:
    """Names the span for the route's template, which is known once there is an answer. The instrumentation's own name
    would be the path, which holds webhook tokens and numbers."""

    def __init__(self, app: ASGIApp) -> None:
        from opentelemetry.trace import get_current_span

        self._app = app
        self._span = get_current_span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_naming(message: Message) -> None:
            route = getattr(scope.get("route"), "path", None)
            if message["type"] == "http.response.start" and route is not None:
                span = self._span()
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            await send(message)

        await self._app(scope, receive, send_naming)
