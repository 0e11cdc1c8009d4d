"""The short way to the routes that take thousands of requests a second.

FastAPI documents and checks them as all others, but it spends 0.3 ms on each request before and after the route: seven
layers, two exit stacks, its solver. Theirs go from the edge straight to the route.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from api.edge import Edge
from api.problems import of_refusal
from worker.refusals import Refusal

Arguments = Callable[[Request], Awaitable[dict[str, Any]]]


class Shortcut:
    """The routes of some endpoints: async ones that take nothing but the request, path parameters as texts, and
    dependencies of the same kind."""

    def __init__(self, routers: Iterable[APIRouter], endpoints: Collection[Callable[..., Any]]) -> None:
        self._edge = Edge(_answer)
        routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
        self._routes = [(route, _solver(route.dependant)) for route in routes if route.endpoint in endpoints]

    def leads(self, scope: Scope) -> bool:
        """Whether the request is for one of them; then `scope` says so."""
        if scope["type"] == "http":
            for route, arguments in self._routes:
                found = route.path_regex.match(scope["path"])
                if found is not None and route.methods and scope["method"] in route.methods:
                    scope.update(route=route, path_params=found.groupdict(), arguments=arguments)
                    return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    try:
        response = await scope["route"].endpoint(**await scope["arguments"](request))
    except Refusal as error:
        response = of_refusal(error)
    await response(scope, receive, send)


def _solver(dependant: Dependant) -> Arguments:
    """What finds the arguments of a dependency or an endpoint."""
    named = [name for name in (dependant.request_param_name, dependant.http_connection_param_name) if name is not None]
    parameters = [parameter.name for parameter in dependant.path_params]
    dependencies: list[tuple[str, Any, Arguments]] = [
        (str(part.name), part.call, _solver(part)) for part in dependant.dependencies
    ]

    async def arguments(request: Request) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(named, request)
        for parameter in parameters:
            found[parameter] = request.path_params[parameter]
        for name, call, solve in dependencies:
            found[name] = await call(**await solve(request))
        return found

    return arguments
