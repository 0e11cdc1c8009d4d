"""The sandbox's own calls: look inside, make trouble, start afresh. They need no key and are never logged."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.account import Account
from sandbox.channels import Channel
from sandbox.clock import format_ms, now_ms
from sandbox.faults import FaultSet
from sandbox.inbound import InboundMessage
from sandbox.store import Record
from sandbox.traffic import E, TrafficLog

MAX_LIMIT = 10_000
_ENTRIES_PER_CHUNK = 20  # A body may hold 500 messages; between chunks other calls get their turn.

ClosePort = Callable[[float], None]


class OutageOrder(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Page(BaseModel):
    """A query string that asks for a page; `cursor` is the sequence number of the first item."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[int, Field(ge=0)] = 0


def _json(value: object, status: int = 200, background: BackgroundTask | None = None) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json", background=background)


def _refusal(error: ValidationError, shape: type[BaseModel]) -> Response:
    """422, saying what is wrong and which names there are."""
    problems = [
        {"field": ".".join(map(str, detail["loc"])), "message": detail["msg"]}
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    allowed = [field.alias or name for name, field in shape.model_fields.items()]
    return _json({"errors": problems, "allowed": allowed}, 422)


class SandboxCalls:
    """`close_port` takes the whole port away for that many seconds; the server knows how."""

    def __init__(self, account: Account, close_port: ClosePort) -> None:
        self._account = account
        self._close_port = close_port

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/messages", self.list_messages, methods=["GET"]),
            Route("/sandbox/summary", self.summarise, methods=["GET"]),
            Route("/sandbox/requests", self.list_requests, methods=["GET"]),
            Route("/sandbox/pushes", self.list_pushes, methods=["GET"]),
            Route("/sandbox/inbound", self.write_inbound, methods=["POST"]),
            Route("/sandbox/faults", self.show_faults, methods=["GET"]),
            Route("/sandbox/faults", self.replace_faults, methods=["PUT"]),
            Route("/sandbox/outage", self.begin_outage, methods=["POST"]),
            Route("/sandbox/log", self.forget, methods=["DELETE"]),
        ]

    async def list_messages(self, request: Request) -> Response:
        try:
            page = Page.model_validate(dict(request.query_params))
        except ValidationError as error:
            return _refusal(error, Page)
        items: list[dict[str, object]] = []
        next_cursor = None
        now = now_ms()
        for record in self._account.store.oldest_first(page.cursor):
            if not record.is_accepted or (page.to is not None and record.to != page.to):
                continue
            if len(items) == page.limit:
                next_cursor = str(record.sequence)
                break
            items.append(_item(record, now))
        return _json({"items": items, "next_cursor": next_cursor})

    async def summarise(self, request: Request) -> Response:
        store = self._account.store
        return _json(
            {
                "requests": self._account.requests.seen_count,
                "accepted": store.accepted_count,
                "refused": store.refused_count,
                "duplicates_refused": store.duplicates_refused_count,
                "recipients": len(store.acceptances),
                "most_acceptances_of_one_recipient": max(store.acceptances.values(), default=0),
                "inbound": self._account.inbound_count,
                "inbound_waiting": sum(map(len, self._account.inboxes.values())),
                "pushes": self._account.push_log.seen_count,
                "requests_dropped_from_log": self._account.requests.dropped_count,
                "pushes_dropped_from_log": self._account.push_log.dropped_count,
            }
        )

    async def list_requests(self, request: Request) -> Response:
        return _stream(request, self._account.requests)

    async def list_pushes(self, request: Request) -> Response:
        return _stream(request, self._account.push_log)

    async def write_inbound(self, request: Request) -> Response:
        try:
            message = InboundMessage.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error, InboundMessage)
        self._account.receive(message)
        return _json({"message_id": message.message_id})

    async def show_faults(self, request: Request) -> Response:
        return _json(self._account.faults.chosen.model_dump())

    async def replace_faults(self, request: Request) -> Response:
        try:
            chosen = FaultSet.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error, FaultSet)
        self._account.faults.replace(chosen)
        return _json(chosen.model_dump())

    async def begin_outage(self, request: Request) -> Response:
        try:
            order = OutageOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(error, OutageOrder)
        # In the background: the port closes only when this answer has left.
        return _json({"seconds": order.seconds}, background=BackgroundTask(self._begin_outage, order.seconds))

    async def _begin_outage(self, seconds: float) -> None:
        self._close_port(seconds)

    async def forget(self, request: Request) -> Response:
        self._account.forget()
        return Response(status_code=204)


def _item(record: Record, now: int) -> dict[str, object]:
    message = record.message
    item: dict[str, object] = {
        "message_id": record.message_id,
        "bulk_id": record.bulk_id,
        "to": record.to,
        "sender": message.sender,
        "channel": message.channel,
        "text": message.text,
        "callback_data": message.callback_data,
        "principal_entity_id": message.principal_entity_id,
        "content_template_id": message.content_template_id,
        "validity_seconds": message.validity_seconds,
        "accepted_at": format_ms(record.accepted_ms),
        "status": record.status(now)["name"],
        "reports_pushed": record.reports_pushed,
    }
    if message.channel is Channel.MMS:
        item |= {"title": message.content.get("title"), "content": message.content["messageSegments"]}
    return item


def _stream(request: Request, log: TrafficLog[E]) -> Response:
    """The log as a JSON list, or with `?format=jsonl` as one object a line."""
    wanted = request.query_params.get("format", "json")
    if wanted not in ("json", "jsonl"):
        return _json({"errors": [{"field": "format", "message": "unknown"}], "allowed": ["json", "jsonl"]}, 422)
    if wanted == "jsonl":
        return StreamingResponse(_chunks(log, b"", b"\n", b"\n"), media_type="application/x-ndjson")
    return StreamingResponse(_chunks(log, b"[", b",", b"]"), media_type="application/json")


async def _chunks(log: TrafficLog[E], start: bytes, between: bytes, end: bytes) -> AsyncIterator[bytes]:
    entries = list(log.entries)
    yield start
    for first in range(0, len(entries), _ENTRIES_PER_CHUNK):
        chunk = between.join(entry.as_json() for entry in entries[first : first + _ENTRIES_PER_CHUNK])
        yield (between if first else b"") + chunk
        await asyncio.sleep(0)
    if entries or start:
        yield end
