"""Every route names a scope, or stands in a list here with its reason: whoever adds one without is told."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.app import ROUTERS, create_app
from api.auth import Needs
from tests.api.conftest import check_problem
from worker.words import Scope

OPEN = {
    "/healthz": "says that the process answers, and nothing else",
    "/readyz": "says whether PostgreSQL and Redis answer, and nothing else",
    "/metrics": "for Prometheus: counts, without a number or a text",
}
NOT_OURS = {
    "/openapi.json": "what the calls are: no data of anybody",
    "/docs": "a page that shows it",
    "/docs/oauth2-redirect": "a part of that page",
    "/redoc": "another page that shows it",
}
WEBHOOKS = "/webhooks/"  # instead of a scope, their path holds a token

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
METHODS = [(method, route.path) for route in ROUTES for method in sorted(route.methods or ())]
GUARDED = [(method, path) for method, path in METHODS if path not in OPEN and not path.startswith(WEBHOOKS)]


def test_there_are_routes_to_walk() -> None:
    assert len(GUARDED) > 15


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_route_answers_401_without_token_before_it_looks_at_anything(
    stranger: httpx.Client, method: str, path: str
) -> None:
    answer = stranger.request(method, path, content=b"{not json")
    check_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), [found for found in METHODS if found[1].startswith(WEBHOOKS)])
def test_webhook_answers_404_to_a_wrong_token(
    stranger: httpx.Client, make_credential: Callable[[], dict[str, Any]], method: str, path: str
) -> None:
    for credential in (make_credential()["id"], str(uuid4())):
        check_problem(stranger.request(method, path.format(credential_id=credential, token="wrong")), 404)


@pytest.mark.parametrize("path", OPEN)
def test_open_route_has_the_one_error_body_too(stranger: httpx.Client, path: str) -> None:
    check_problem(stranger.delete(path), 405)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.path} {sorted(route.methods)}")
def test_reading_needs_read_sending_needs_send_and_configuring_needs_admin(route: APIRoute) -> None:
    scopes = [call.scope for dependency in route.dependant.dependencies if isinstance(call := dependency.call, Needs)]
    if route.path in OPEN or route.path.startswith(WEBHOOKS):
        assert scopes == []
    elif route.methods == {"GET"}:
        assert scopes == [Scope.READ]
    else:
        sends = {"/v1/messages", "/v1/batches", "/v1/consents/import", "/v1/consents/{to}", "/v1/media", "/v1/preview"}
        steers = route.path.startswith("/v1/batches/")
        asks = route.path == "/v1/dlt-templates/match"  # changes nothing, and a text is too long for a query
        needed = Scope.SEND if route.path in sends else Scope.REPLAY if steers else Scope.READ if asks else Scope.ADMIN
        assert scopes == [needed]


def unwalked(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """The paths of all that is served beside the routes walked here, however it was added."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        # A mounted application has routes of its own, an included router is a route that holds that router.
        below = getattr(getattr(route, "original_router", route), "routes", None)
        if below:
            yield from unwalked(below, path)
        elif route not in ROUTES:
            yield path


@pytest.fixture
def app(environment: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    app = create_app()
    yield app
    app.state.engine.dispose()


def test_nothing_is_served_that_is_not_walked_here(app: FastAPI) -> None:
    assert set(unwalked(app.routes)) == set(NOT_OURS)


def _answer(*_: object) -> Response:
    return Response()


def _router() -> APIRouter:
    router = APIRouter()
    router.get("/more")(_answer)
    return router


ADDITIONS: dict[str, Callable[[FastAPI], object]] = {
    "/console/docs": lambda app: app.mount("/console", FastAPI()),
    "/static": lambda app: app.mount("/static", _answer),
    "/plain": lambda app: app.add_route("/plain", _answer),
    "/more": lambda app: app.include_router(_router()),
}


@pytest.mark.parametrize("path", ADDITIONS)
def test_addition_that_is_not_walked_here_is_seen(app: FastAPI, path: str) -> None:
    ADDITIONS[path](app)
    assert path in set(unwalked(app.routes)) - set(NOT_OURS)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz", "/metrics"])
def test_documentation_and_health_are_open(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200
