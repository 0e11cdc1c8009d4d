"""The API over HTTP, as a command calls it: each trouble is one line that says what to do."""

import ipaddress
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from cli.environment import API_TOKEN, API_URL, read_environment
from cli.errors import CommandError
from cli.output import go_on_without_output

_TIMEOUT_SECONDS = 60.0
_GLANCE_SECONDS = 5.0
_COMMIT_SECONDS = 600.0  # what a million rows may take, from their last byte to the answer
_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)  # seconds between tries under one key
_LONGEST_PAUSE = 60.0  # whatever the API asks for
_PAGE = 1_000
_MOST_FAULTS = 20  # of an answer's, shown


class ApiAway(CommandError):
    """The API does not answer, or not as itself just now: the same call may succeed later, or be done already."""

    def __init__(self, words: str, after_seconds: float = 0.0) -> None:
        """`after_seconds`: how long the API asks to be left alone."""
        super().__init__(words)
        self.after_seconds = after_seconds


class ApiRefusal(CommandError):
    """The API's own no. `faults`: of rows and fields, as `errors` of its answer has them."""

    def __init__(self, words: str, status: int, faults: list[dict[str, Any]]) -> None:
        super().__init__(words)
        self.status = status
        self.faults = faults


class Created(NamedTuple):
    """`asked_at`: when the first try was made, roughly, by the API's clock, in seconds since 1970; None where it tells
    no time. What was created before that, an earlier call under the same key created."""

    answer: Any
    asked_at: float | None


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

    def glance(self, path: str, **query: Any) -> Any:
        """The same for whoever looks again soon: it does not wait long."""
        return self._json("GET", path, params=_given(query), timeout=_GLANCE_SECONDS)

    def write(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer to a call that changes something; None where it has no body. `key`: for Idempotency-Key."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._json(method, path, json=body, headers=headers)

    def ask(self, path: str, body: Any) -> Any:
        """The answer to a POST that changes nothing."""
        return self._json("POST", path, json=body, changes=False)

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

    def create(
        self,
        path: str,
        key: str,
        body: Callable[[], bytes | Iterable[bytes]],
        say: Callable[[str], None],
        media_type: str = "application/json",
    ) -> Created:
        """POST under an idempotency key, again while the API is away: the work is done once.

        `body` gives the same bytes each time; `say` hears of each further try. Errors: ApiAway after the last try.
        """
        headers = {"Content-Type": media_type, "Idempotency-Key": key}
        timeout = httpx.Timeout(_TIMEOUT_SECONDS, read=_COMMIT_SECONDS)
        began = time.monotonic()
        pauses = iter(_PAUSES)
        while True:
            try:
                answer = self._ask("POST", path, content=body(), headers=headers, timeout=timeout)
            except ApiAway as away:
                pause = next(pauses, None)
                if pause is None:
                    raise
                seconds = min(max(pause, away.after_seconds), _LONGEST_PAUSE)
                say(f"{away}; trying again in {seconds:g} s with the same key, so that nothing is sent twice")
                time.sleep(seconds)
                continue
            answered_at = _time_of(answer)
            return Created(_read_json(answer), answered_at and answered_at - (time.monotonic() - began))

    @contextmanager
    def download(self, path: str, **query: Any) -> Iterator[Iterator[bytes]]:
        """GET a file in pieces. Errors: CommandError also where it breaks off."""
        with self._told(), self._http.stream("GET", path, params=_given(query)) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield answer.iter_bytes()

    def _json(self, method: str, path: str, **request: Any) -> Any:
        answer = self._ask(method, path, **request)
        return None if answer.status_code == httpx.codes.NO_CONTENT else _read_json(answer)

    def _ask(self, method: str, path: str, *, changes: bool = True, **request: Any) -> httpx.Response:
        with self._told():
            answer = self._http.request(method, path, **request)
        if not answer.is_success:
            raise _refusal(answer)
        if changes and method != "GET":
            go_on_without_output()
        return answer

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            seconds = error.request.extensions["timeout"]["read"]
            raise ApiAway(f"the API at {self._url} did not answer within {seconds:g} s") from error
        except httpx.ConnectError as error:
            raise ApiAway(f"cannot reach the API at {self._url}: {error}") from error
        except httpx.TransportError as error:
            raise ApiAway(f"the connection to the API at {self._url} broke off: {error}") from error


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise CommandError(f"{API_URL} leads to something that is not the API: its answer is no JSON") from error


def _time_of(answer: httpx.Response) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return None


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
    # With Retry-After, a conflict says that the first request under this key still runs.
    if answer.is_server_error or "Retry-After" in answer.headers:
        after = answer.headers.get("Retry-After", "")
        return ApiAway(f"{detail} ({answer.status_code})", float(after) if after.isdigit() else 0.0)
    lines = [_line(fault) for fault in faults[:_MOST_FAULTS]] if len(faults) > 1 else []
    return ApiRefusal("\n  ".join([f"{detail} ({answer.status_code})", *lines]), answer.status_code, faults)


def _line(fault: dict[str, Any]) -> str:
    row = f"row {fault['index']}, " if "index" in fault else ""
    return f"{row}{fault.get('field')}: {fault.get('message')}"
