"""The API over HTTP, as a command calls it: each trouble is one line that says what to do."""

import ipaddress
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cli.environment import API_TOKEN, API_URL, read_environment
from cli.errors import CommandError

_TIMEOUT_SECONDS = 60.0
_PAGE = 1_000
_MOST_FAULTS = 20  # of an answer's, shown


class ApiAway(CommandError):
    """The API does not answer, or not as itself just now: the same call may succeed later, or be done already."""


class ApiClient:
    """A client with the token in DELIVERY_API_TOKEN of the API at DELIVERY_API_URL, or of the `delivery up` that runs
    here. Errors of every call: CommandError."""

    def __init__(self) -> None:
        """Errors: CommandError where a variable is missing, or holds something else."""
        read_environment(os.environ)
        url, token = (os.environ.get(name, "").strip() for name in (API_URL, API_TOKEN))
        if not url:
            raise CommandError(f"{API_URL} is not set: set it to the address of the API, such as http://127.0.0.1:8000")
        if not token:
            raise CommandError(
                f"{API_TOKEN} is not set: set it to a token, made by `delivery token create --name N --scope read`"
            )
        if not (token.isascii() and token.isprintable()):
            raise CommandError(f"{API_TOKEN} holds characters that no token has")
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            self._url = httpx.URL()
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise CommandError(f"{API_URL} must be an address with http:// or https://, such as http://127.0.0.1:8000")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_SECONDS,
            # A proxy of the environment has no business on this machine; elsewhere it may be the only way.
            trust_env=not _is_here(self._url.host),
        )

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def read(self, path: str, **query: Any) -> Any:
        """The answer to a GET. Queries that are None are left out."""
        return self._json("GET", path, params=_given(query))

    def write(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer to a call that changes something; None where it has no body. `key`: for Idempotency-Key."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._json(method, path, json=body, headers=headers)

    def items(self, path: str, most: int | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """A list of the API's, page by page as it is asked for, at most so many."""
        left = most
        while left is None or left > 0:
            page = self.read(path, limit=_PAGE if left is None else min(left, _PAGE), **query)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            query["cursor"] = page["next_cursor"]
            if query["cursor"] is None:
                return

    def upload(self, path: str, pieces: Iterable[bytes], media_type: str, **query: Any) -> Any:
        """POST a file in pieces, read as fast as the API takes them."""
        return self._json("POST", path, content=pieces, headers={"Content-Type": media_type}, params=_given(query))

    @contextmanager
    def download(self, path: str, **query: Any) -> Iterator[Iterator[bytes]]:
        """GET a file in pieces. Errors: CommandError also where it breaks off."""
        with self._told(), self._http.stream("GET", path, params=_given(query)) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield answer.iter_bytes()

    def _json(self, method: str, path: str, **request: Any) -> Any:
        with self._told():
            answer = self._http.request(method, path, **request)
        if not answer.is_success:
            raise _refusal(answer)
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise CommandError(f"{API_URL} leads to something that is not the API: its answer is no JSON") from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise ApiAway(f"the API at {self._url} did not answer within {_TIMEOUT_SECONDS:g} s") from error
        except httpx.ConnectError as error:
            raise ApiAway(f"cannot reach the API at {self._url}: {error}") from error
        except httpx.TransportError as error:
            raise ApiAway(f"the connection to the API at {self._url} broke off: {error}") from error


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _refusal(answer: httpx.Response) -> CommandError:
    if answer.is_redirect:
        return CommandError(f"{API_URL} leads elsewhere: set it to where {answer.headers['location']} is")
    try:
        problem = answer.json()
        detail, faults = str(problem["detail"]), problem.get("errors", [])
    except (ValueError, TypeError, KeyError):
        if answer.is_server_error:
            return ApiAway(f"the API answered {answer.status_code} without a reason: try again")
        return CommandError(f"the API answered {answer.status_code}, and not in its own words: is {API_URL} right?")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return CommandError(f"the API does not take the token in {API_TOKEN}: {detail}")
    if answer.status_code == httpx.codes.FORBIDDEN:
        return CommandError(f"the token in {API_TOKEN} may not do this: {detail}")
    if answer.is_server_error:
        return ApiAway(f"{detail} ({answer.status_code})")
    lines = [_line(fault) for fault in faults[:_MOST_FAULTS]] if len(faults) > 1 else []
    return CommandError("\n  ".join([f"{detail} ({answer.status_code})", *lines]))


def _line(fault: dict[str, Any]) -> str:
    row = f"row {fault['index']}, " if "index" in fault else ""
    return f"{row}{fault.get('field')}: {fault.get('message')}"
