"""The busiest routes go past FastAPI, and nobody can tell."""

import inspect

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.app import ROUTERS, _shortcut
from api.routes import messages, webhooks

SHORT = [
    route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.endpoint in (messages.send_message, webhooks.take_reports)
]


def parts_of(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(part for below in dependant.dependencies for part in parts_of(below))]


@pytest.mark.parametrize("route", SHORT, ids=lambda route: route.path)
def test_short_route_takes_only_what_the_shortcut_gives(route: APIRoute) -> None:
    for part in parts_of(route.dependant):
        call = part.call if inspect.isroutine(part.call) else type(part.call).__call__
        assert inspect.iscoroutinefunction(call)
        assert [*part.query_params, *part.header_params, *part.cookie_params, *part.body_params] == []
        assert all(parameter.field_info.annotation is str for parameter in part.path_params)
        assert part.background_tasks_param_name is part.response_param_name is part.websocket_param_name is None


@pytest.mark.parametrize(
    ("method", "path", "is_short"),
    [
        ("POST", "/v1/messages", True),
        ("POST", "/webhooks/infobip/x/y/reports", True),
        ("GET", "/v1/messages", False),
        ("POST", "/v1/messages/", False),
        ("POST", "/v1/messages/x", False),
        ("POST", "/webhooks/infobip/x/y/z/reports", False),
    ],
)
def test_only_their_requests_take_it(method: str, path: str, is_short: bool) -> None:
    assert _shortcut.leads({"type": "http", "method": method, "path": path}) is is_short


def test_without_a_body_type_or_with_a_wrong_method_the_answers_are_those_of_all_routes(api: httpx.Client) -> None:
    assert api.put("/v1/messages").status_code == 405
    assert api.post("/v1/messages", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert api.post("/v1/messages", content=b"{}").headers["x-request-id"]
