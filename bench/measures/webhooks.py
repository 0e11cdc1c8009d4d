"""One delivery report to a request, committed before the 200: the product and a bare endpoint by turns."""

import itertools
from collections.abc import Sequence
from uuid import UUID, uuid4

import orjson
import psycopg

from bench import floor
from bench.bench import Bench
from bench.bodies import CALLBACK_DATA, SENDER
from bench.campaign import run_campaign
from bench.errors import MeasureFailed
from bench.figures import Figure, at_least, percentile, ratio
from bench.floor_run import floor_database, only_place
from bench.floor_work import accept_all
from bench.load import Outcome, drive
from bench.served import served
from bench.sizes import Sizes
from bench.stage import NO_REPORTS, Stage
from bench.usage import cpu_seconds
from sandbox import codes
from sandbox.clock import format_ms, now_ms
from sandbox.outcomes import network_of
from sandbox.store import PRICE

BARE_DATABASE = "bare"
BARE = "a bare endpoint"
_Sent = list[tuple[UUID, str]]  # (message ID, recipient)


def measure(bench: Bench) -> list[Figure]:
    sizes = bench.sizes
    with bench.stage() as stage:
        stage.faults(**NO_REPORTS)
        batches, credential_id, url, sent = _send(stage, sizes)
        floor_dsn, floor_sent = _prepare_floor(stage, sizes)
        own = {**stage.stack.environment, "BARE_DATABASE": stage.stack.database_url, "BARE_CREDENTIAL": credential_id}
        api = stage.stack.pid_of("api") or 0
        with (
            served("bench.bare_asgi:same_work", own) as same_url,
            served("bench.bare_asgi:floor_work", {"BARE_DATABASE": floor_dsn}) as floor_url,
        ):
            product, same, least = Outcome(), Outcome(), Outcome()
            cpu = 0.0
            turns = (_turns(part, sizes.rounds) for part in (sent[::2], sent[1::2], floor_sent))
            for ours, bare, floors in zip(*turns, strict=True):
                before = cpu_seconds(api)
                product += drive(url, ours, sizes.connections)
                cpu += cpu_seconds(api) - before
                same += drive(same_url, bare, sizes.connections)
                least += drive(floor_url, floors, sizes.connections)
        for outcome in (product, same, least):
            outcome.check(200)
        _check(stage, batches, floor_dsn, sizes.webhooks)
    return [
        Figure(
            "webhooks with one report each",
            product.per_second,
            "/s",
            (at_least(3_000), at_least(0.6, "ratio")),
            ratio(product.per_second, same.per_second),
            BARE,
            {
                "p50_seconds": percentile(product.latencies, 0.5),
                "p99_seconds": percentile(product.latencies, 0.99),
                "api_cpu_us_per_request": cpu / len(sent[::2]) * 1e6,
            },
        ),
        Figure("a bare ASGI endpoint with the same group commit", same.per_second, "/s"),
        Figure(
            "the same whose work is the floor's",
            least.per_second,
            "/s",
            (),
            ratio(least.per_second, product.per_second),
            "the product",
        ),
    ]


def _send(stage: Stage, sizes: Sizes) -> tuple[list[str], str, str, _Sent]:
    """Messages that Infobip has and has not reported yet: their batches, credential and webhook, and themselves. Half
    are for the product, half for the bare endpoint."""
    surface = stage.surface("marketing")
    sent = run_campaign(stage, sizes.webhooks * 2, sizes.batch_rows, awaits_reports=False, surface=surface)
    url = stage.get(f"/v1/credentials/{surface.credential_id}")["webhook_urls"]["reports"]
    rows = stage.rows("SELECT id, recipient FROM message WHERE batch_id = ANY(%s::uuid[]) ORDER BY id", sent.batches)
    return sent.batches, str(surface.credential_id), str(url), [(row[0], row[1]) for row in rows]


def _prepare_floor(stage: Stage, sizes: Sizes) -> tuple[str, _Sent]:
    """As many in a database of the floor's, written by it."""
    dsn = floor_database(stage, BARE_DATABASE)
    recipients = list(itertools.islice(stage.to, sizes.webhooks))
    batches = [recipients[first : first + sizes.batch_rows] for first in range(0, len(recipients), sizes.batch_rows)]
    with floor.connect(dsn) as connection:
        return dsn, accept_all(connection, only_place(dsn), batches, 0)


def _turns(sent: _Sent, rounds: int) -> list[list[bytes]]:
    bodies = [webhook_body(message_id, to) for message_id, to in sent]
    size = -(-len(bodies) // rounds)
    return [bodies[first : first + size] for first in range(0, len(bodies), size)]


def webhook_body(message_id: UUID, to: str) -> bytes:
    """A push of Infobip's that says one message was delivered."""
    now = now_ms()
    report = {
        "bulkId": str(uuid4()),
        "price": PRICE,
        "status": codes.DELIVERED_TO_HANDSET,
        "error": codes.NO_ERROR,
        "messageId": f"{message_id}-1",
        "to": to,
        "sentAt": format_ms(now - 500),
        "doneAt": format_ms(now),
        "messageCount": 1,
        "mccMnc": "".join(network_of(to)),
        "sender": SENDER,
        "callbackData": CALLBACK_DATA,
    }
    return orjson.dumps({"results": [report]})


def _check(stage: Stage, batches: Sequence[str], floor_dsn: str, expected: int) -> None:
    """Errors: MeasureFailed where a report that was answered 200 is not recorded, here or there."""
    recorded = """
        SELECT count(*) FROM message m JOIN delivery_report r ON r.message_id = m.id AND r.result = 'applied'
        WHERE m.state = 'delivered'
    """
    ours = stage.rows(f"{recorded} AND m.batch_id = ANY(%s::uuid[])", list(batches))[0][0]
    with psycopg.connect(floor_dsn) as connection:
        row = connection.execute(recorded).fetchone()
    for whose, found, answered in (("the product", ours, expected * 2), ("the floor", row and row[0], expected)):
        if found != answered:
            raise MeasureFailed(f"{whose} recorded {found} of {answered} reports")
