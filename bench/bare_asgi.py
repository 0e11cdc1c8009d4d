"""The bare endpoint beside which webhooks are measured: no framework, no rules, the same group commit.

It reads Infobip's body, hands the reports to the product's own GroupCommit, whose work here is the floor's report step,
and answers 200 after the commit. Served like the API; `BARE_DATABASE` names a database that the floor filled.
"""

import os
from collections.abc import Sequence
from typing import Any

import orjson
from sqlmodel import Session

from api.group_commit import GroupCommit
from bench import floor
from worker.db import make_engine

_SHARD = 0  # there is one writer
_Reports = list[dict[str, Any]]


def _write(session: Session, pushes: Sequence[_Reports]) -> list[None]:
    connection: Any = session.connection().connection.driver_connection
    floor.report(connection, [row for rows in pushes for row in rows], _SHARD)
    return [None] * len(pushes)


def _read(body: bytes) -> _Reports:
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

    _writer: GroupCommit[_Reports, None]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "POST":
            rows = _read(await _body(receive))
            await self._writer.submit(rows, weight=len(rows))
            await _answer(send)
        else:
            await _answer(send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._writer = GroupCommit(make_engine(os.environ["BARE_DATABASE"]), _write)
        self._writer.start()
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


app = _Endpoint()
