"""Every route names a scope: whoever adds one without is told here."""

import httpx
import pytest
from fastapi.routing import APIRoute

from api.app import ROUTERS
from api.auth import Needs
from worker.tokens import Scope

OPEN = {"/healthz", "/readyz", "/metrics"}
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
GUARDED = [
    (method, route.path)
    for route in ROUTES
    if route.path not in OPEN and not route.path.startswith("/webhooks/")
    for method in sorted(route.methods or ())
]


def test_there_are_routes_to_walk() -> None:
    assert len(GUARDED) > 15


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_route_answers_401_without_token_before_it_looks_at_anything(
    stranger: httpx.Client, method: str, path: str
) -> None:
    answer = stranger.request(method, path, content=b"{not json")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.path} {sorted(route.methods)}")
def test_reading_needs_read_sending_needs_send_and_configuring_needs_admin(route: APIRoute) -> None:
    scopes = [call.scope for dependency in route.dependant.dependencies if isinstance(call := dependency.call, Needs)]
    if route.path in OPEN or route.path.startswith("/webhooks/"):
        assert scopes == []
    elif route.methods == {"GET"}:
        assert scopes == [Scope.READ]
    else:
        sends = {"/v1/messages", "/v1/batches"}
        steers = route.path.startswith("/v1/batches/")
        assert scopes == [Scope.SEND if route.path in sends else Scope.REPLAY if steers else Scope.ADMIN]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz", "/metrics"])
def test_documentation_and_health_are_open(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200
