"""The bare endpoints beside which webhooks are measured: no framework, no token, no log, the same group commit.

Each reads Infobip's body, hands it to the product's own GroupCommit, and answers 200 after the commit. `same_work` has
the product's own work done, for `BARE_CREDENTIAL` in the product's database: what differs is all that stands around it.
`floor_work` has the floor's report step done, in the database `BARE_DATABASE` that the floor filled.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlmodel import Session

from api.group_commit import GroupCommit
from api.routes.webhooks import Push, ReportPush, write_reports
from bench import floor
from worker.db import make_engine
from worker.infobip.reports import parse_reports
from worker.memory import settle_memory

_SHARD = 0  # there is one writer
_Reports = list[dict[str, Any]]


def _push(body: bytes) -> ReportPush:
    return Push(UUID(os.environ["BARE_CREDENTIAL"]), parse_reports(body))


def _write_reports(session: Session, pushes: Sequence[_Reports]) -> list[None]:
    connection: Any = session.connection().connection.driver_connection
    floor.report(connection, [row for rows in pushes for row in rows], _SHARD)
    return [None] * len(pushes)


def _read_reports(body: bytes) -> _Reports:
    return [_row(item) for item in orjson.loads(body)["results"]]


def _row(item: dict[str, Any]) -> dict[str, Any]:
    status, error, price = item["status"], item["error"], item["price"]
    message_id, _, attempt = item["messageId"].rpartition("-")
    return {
        "message_id": message_id,
        "attempt": int(attempt),
        "status_id": status["id"],
        "status_name": status["name"],
        "status_group": status["groupName"],
        "error_id": error["id"],
        "error_name": error["name"],
        "error_permanent": error["permanent"],
        "callback_data": item["callbackData"],
        "price": price["pricePerMessage"],
        "currency": price["currency"],
        "segment_count": item["messageCount"],
        "mcc_mnc": item["mccMnc"],
        "sent_at": item["sentAt"],
        "done_at": item["doneAt"],
    }


class _Endpoint:
    """The writer lives from the server's start to its end."""

    _writer: GroupCommit[Any, None]

    def __init__(self, read: Callable[[bytes], Any], write: Callable[[Session, Sequence[Any]], list[None]]) -> None:
        self._read = read
        self._write = write

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "POST":
            await self._writer.submit(self._read(await _body(receive)))
            await _answer(send)
        else:
            await _answer(send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._writer = GroupCommit(make_engine(os.environ["BARE_DATABASE"]), self._write)
        self._writer.start()
        settle_memory()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._writer.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Any) -> bytes:
    body = bytearray()
    while True:
        part = await receive()
        body += part.get("body", b"")
        if not part.get("more_body"):
            return bytes(body)


async def _answer(send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


same_work = _Endpoint(_push, write_reports)
floor_work = _Endpoint(_read_reports, _write_reports)
