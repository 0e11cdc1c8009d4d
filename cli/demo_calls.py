"""The demo's calls over HTTP: a journey engineer's to the API, and a look at what the sandbox took.

A process of the stack may be killed at any moment and is back in seconds, so a call that fails for that is made again;
what creates something carries an idempotency key, so that it is created once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from cli.demo_plan import (
    CONTENT_TEMPLATE_ID,
    OUR_NUMBER,
    PRINCIPAL_ENTITY_ID,
    REPLY_TEMPLATE_ID,
    Acceptance,
    FoundMessage,
    FoundReport,
    Plan,
)
from cli.demo_replay import FoundReplay
from cli.errors import CommandError

PATIENCE_SECONDS = 20.0
_TIMEOUT_SECONDS = 10.0
_GLANCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.2
_PAGE = 1_000
_SANDBOX_PAGE = 10_000
TEXT = "Dear customer, parcel {{parcel}} arrives today between 10 and 12. Delivery Demo"


class Calls:
    """`meanwhile` is called between tries: whoever owns the stack keeps watch there."""

    def __init__(self, api_url: str, sandbox_url: str, token: str, meanwhile: Callable[[], None]) -> None:
        self.sandbox_url = sandbox_url
        self._meanwhile = meanwhile
        headers = {"Authorization": f"Bearer {token}"}
        # Everything is on this machine: a proxy of the environment has no business here.
        self._api = httpx.Client(base_url=api_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False)
        self._sandbox = httpx.Client(base_url=sandbox_url, timeout=_TIMEOUT_SECONDS, trust_env=False)

    def close(self) -> None:
        self._api.close()
        self._sandbox.close()

    def create(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        return self._ask(self._api, "POST", path, json=body, headers={"Idempotency-Key": key})

    def read(self, path: str, **query: Any) -> Any:
        return self._ask(self._api, "GET", path, params=query)

    def read_sandbox(self, path: str, **query: Any) -> Any:
        return self._ask(self._sandbox, "GET", path, params=query)

    def post_to_sandbox(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask(self._sandbox, "POST", path, json=body)

    def empty_sandbox_log(self) -> None:
        self._ask(self._sandbox, "DELETE", "/sandbox/log")

    def glance(self, path: str, **query: Any) -> Any | None:
        """One quick try; None where nobody answers now."""
        return self._once(self._api, "GET", path, params=query, timeout=_GLANCE_SECONDS)

    def glance_at_sandbox(self, path: str) -> Any | None:
        return self._once(self._sandbox, "GET", path, timeout=_GLANCE_SECONDS)

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All of a list of the API's."""
        return _items(self.read, path, limit=_PAGE, **query)

    def sandbox_items(self, path: str) -> Iterator[dict[str, Any]]:
        """All of a list of the sandbox's."""
        return _items(self.read_sandbox, path, limit=_SANDBOX_PAGE)

    def _ask(self, client: httpx.Client, method: str, path: str, **request: Any) -> Any:
        """Errors: CommandError when it is refused, or fails for longer than our patience."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (answer := self._once(client, method, path, **request)) is None:
            if time.monotonic() > deadline:
                raise CommandError(f"{method} {client.base_url.join(path)} failed for {PATIENCE_SECONDS:g} s")
            self.pause()
        return answer

    def pause(self) -> None:
        """Between two tries, or two looks."""
        self._meanwhile()
        time.sleep(_PAUSE_SECONDS)

    def _once(self, client: httpx.Client, method: str, path: str, **request: Any) -> Any | None:
        try:
            answer = client.request(method, path, **request)
        except httpx.TransportError:
            return None
        # With Retry-After, a conflict says that our first try of this key still runs.
        if answer.is_server_error or "Retry-After" in answer.headers:
            return None
        if answer.is_error:
            raise CommandError(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else {}


def _items(read: Callable[..., Any], path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Page by page, as they are asked for."""
    cursor: dict[str, str] = {}
    while True:
        page = read(path, **query, **cursor)
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def configure(calls: Calls, run: str) -> dict[str, Any]:
    """Credential and surface, as an administrator would create them. Gives the credential."""
    credential = {
        "name": f"demo {run}",
        "base_url": calls.sandbox_url,
        "api_key": f"demo-{run}",
        "principal_entity_id": PRINCIPAL_ENTITY_ID,
        "content_template_id": REPLY_TEMPLATE_ID,
        "inbound_number": OUR_NUMBER,
    }
    surface = {
        "name": _surface(run),
        "channel": "sms",
        "message_type": "marketing",
        "credential": credential["name"],
        "sender": "DLVDMO",
        "sending_window": "off",
        "window_off_reason": "A demo on a sandbox: no handset rings at night",
    }
    created: dict[str, Any] = calls.create("/v1/credentials", credential, f"{run}-credential")
    calls.create("/v1/surfaces", surface, f"{run}-surface")
    return created


def send_batch(calls: Calls, plan: Plan, run: str, validity: str) -> dict[str, Any]:
    """The plan as a batch, as a journey engineer would send it. Gives the batch."""
    batch = {
        "surface": _surface(run),
        "text": TEXT,
        "content_template_id": CONTENT_TEMPLATE_ID,
        "validity_period": validity,
        "journey": {"name": "demo", "run": run},
        "messages": [
            {"to": message.to, "callback_data": message.callback_data, "variables": {"parcel": message.parcel}}
            for message in plan.messages
        ],
    }
    accepted: dict[str, Any] = calls.create("/v1/batches", batch, f"{run}-batch")
    return accepted


def order_replay(calls: Calls, batch_id: str, validity: str, key: str, *, dry_run: bool = False) -> dict[str, Any]:
    """What failed or expired, once more. Gives the linked batch or, with `dry_run`, the preview."""
    order = {"validity_period": validity, "dry_run": dry_run}
    answer: dict[str, Any] = calls.create(f"/v1/batches/{batch_id}/replay", order, key)
    return answer


def _surface(run: str) -> str:
    return f"demo-{run}"


def read_found(calls: Calls, batch_id: str) -> list[FoundMessage]:
    """Every message of the batch with its recorded reports."""
    reports: dict[str, list[FoundReport]] = defaultdict(list)
    for item in calls.items("/v1/reports", batch=batch_id):
        report = FoundReport(item["attempt"], item["status"]["group"], item["source"], item["callback_data"])
        reports[item["message_id"]].append(report)
    return [replace(message, reports=reports[message.id]) for message in read_messages(calls, batch_id)]


def read_messages(calls: Calls, batch_id: str) -> list[FoundMessage]:
    """Every message of the batch, without its reports."""
    return [
        FoundMessage(
            id=item["id"],
            to=item["to"],
            state=item["state"],
            attempts=item["attempts"],
            callback_data=item["callback_data"],
            expires_at=datetime.fromisoformat(item["expires_at"]),
            reason=item["reason"],
        )
        for item in calls.items("/v1/messages", batch=batch_id)
    ]


def read_replay(
    calls: Calls,
    source_id: str,
    before: Sequence[FoundMessage],
    preview: Mapping[str, Any],
    orders: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> FoundReplay:
    """How both batches stand at the end of the replay that `orders` made; the sandbox's log was emptied before them."""
    first, second = orders
    return FoundReplay(
        preview=preview,
        first=first,
        second=second,
        source=calls.read(f"/v1/batches/{source_id}"),
        batch=calls.read(f"/v1/batches/{first['id']}"),
        before=before,
        after=read_messages(calls, source_id),
        messages=read_found(calls, first["id"]),
        acceptances=read_acceptances(calls),
        duplicates_refused=calls.read_sandbox("/sandbox/summary")["duplicates_refused"],
    )


def read_acceptances(calls: Calls) -> list[Acceptance]:
    """What the sandbox took since its log was emptied."""
    return [
        Acceptance(
            to=item["to"],
            sender=item["sender"],
            accepted_at=datetime.fromisoformat(item["accepted_at"]),
            validity_seconds=item["validity_seconds"],
            principal_entity_id=item["principal_entity_id"],
            content_template_id=item["content_template_id"],
        )
        for item in calls.sandbox_items("/sandbox/messages")
    ]
