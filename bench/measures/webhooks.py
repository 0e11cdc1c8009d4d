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
        batches, url, sent = _send(stage, sizes)
        dsn, bare_sent = _prepare_bare(stage, sizes)
        api = stage.stack.pid_of("api") or 0
        with served("bench.bare_asgi:app", {"BARE_DATABASE": dsn}) as bare_url:
            product, bare = Outcome(), Outcome()
            cpu = 0.0
            for ours, theirs in zip(_turns(sent, sizes.rounds), _turns(bare_sent, sizes.rounds), strict=True):
                before = cpu_seconds(api)
                product += drive(url, ours, sizes.connections)
                cpu += cpu_seconds(api) - before
                bare += drive(bare_url, theirs, sizes.connections)
        for outcome in (product, bare):
            outcome.check(200)
        _check(stage, batches, dsn, sizes.webhooks)
    return [
        Figure(
            "webhooks with one report each",
            product.per_second,
            "/s",
            (at_least(3_000), at_least(0.6, "ratio")),
            ratio(product.per_second, bare.per_second),
            BARE,
            {
                "p50_seconds": percentile(product.latencies, 0.5),
                "p99_seconds": percentile(product.latencies, 0.99),
                "api_cpu_us_per_request": cpu / sizes.webhooks * 1e6,
            },
        ),
        Figure("a bare ASGI endpoint with the same group commit", bare.per_second, "/s"),
    ]


def _send(stage: Stage, sizes: Sizes) -> tuple[list[str], str, _Sent]:
    """Messages that Infobip has and has not reported yet: their batches, their webhook, themselves."""
    surface = stage.surface("marketing")
    sent = run_campaign(stage, sizes.webhooks, sizes.batch_rows, awaits_reports=False, surface=surface)
    url = stage.get(f"/v1/credentials/{surface.credential_id}")["webhook_urls"]["reports"]
    rows = stage.rows("SELECT id, recipient FROM message WHERE batch_id = ANY(%s::uuid[]) ORDER BY id", sent.batches)
    return sent.batches, str(url), [(row[0], row[1]) for row in rows]


def _prepare_bare(stage: Stage, sizes: Sizes) -> tuple[str, _Sent]:
    """The same in a database for the bare endpoint, written by the floor."""
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


def _check(stage: Stage, batches: Sequence[str], bare_dsn: str, expected: int) -> None:
    """Errors: MeasureFailed where a report that was answered 200 is not recorded, here or there."""
    recorded = """
        SELECT count(*) FROM message m JOIN delivery_report r ON r.message_id = m.id AND r.result = 'applied'
        WHERE m.state = 'delivered'
    """
    ours = stage.rows(f"{recorded} AND m.batch_id = ANY(%s::uuid[])", list(batches))[0][0]
    with psycopg.connect(bare_dsn) as connection:
        row = connection.execute(recorded).fetchone()
    for whose, found in (("the product", ours), ("the bare endpoint", row and row[0])):
        if found != expected:
            raise MeasureFailed(f"{whose} recorded {found} of {expected} reports")
