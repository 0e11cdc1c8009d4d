"""The sandbox alone, and the load generator itself: neither may be what limits the product."""

import itertools
from datetime import UTC, datetime
from uuid import uuid4

from bench.bench import Bench
from bench.bodies import CALLBACK_DATA, CONTENT_TEMPLATE_ID, PRINCIPAL_ENTITY_ID, SENDER, TEXT
from bench.figures import Figure
from bench.load import drive
from bench.served import served
from bench.sizes import Sizes
from bench.stage import Stage
from worker.ids import new_id
from worker.infobip.payloads import Content, Outgoing, send_request
from worker.words import Channel

_MESSAGES_A_REQUEST = 500
_CONNECTIONS = 4  # as many as there are pool processes that send


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with served("bench.empty_asgi:app") as url:
        empty = drive(url, [b"{}"] * sizes.empty_requests, sizes.connections)
    empty.check(200)
    with bench.stage() as stage:
        stage.faults(report_lost=1.0)
        bodies = _bodies(stage, sizes)
        load = drive(
            f"{stage.stack.sandbox_url}/sms/3/messages", bodies, _CONNECTIONS, {"Authorization": "App bench-key"}
        )
        load.check(200)
        stage.sandbox.delete("/sandbox/log").raise_for_status()
    return [
        Figure("load generator at an empty ASGI application", empty.per_second, "/s"),
        Figure("messages taken by the sandbox, nothing else running", load.per_second * _MESSAGES_A_REQUEST, "/s"),
    ]


def _bodies(stage: Stage, sizes: Sizes) -> list[bytes]:
    """Requests as the product's workers write them."""
    content = Content(SENDER, TEXT, None, CALLBACK_DATA, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID, None, None)
    return [
        send_request(
            Channel.SMS,
            new_id(),
            [Outgoing(uuid4(), 1, to, 3600.0, content) for to in itertools.islice(stage.to, _MESSAGES_A_REQUEST)],
            0.0,
            "http://127.0.0.1:9/reports",
            datetime.now(UTC),
        ).body
        for _ in range(sizes.sandbox_requests)
    ]
