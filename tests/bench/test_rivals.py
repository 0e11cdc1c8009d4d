"""The floor leaves what the product leaves; the rival delivers what it was given."""

from typing import Any
from uuid import UUID

import psycopg

from bench import floor
from bench.campaign import run_campaign
from bench.floor_run import floor_database, only_place
from bench.floor_work import accept_all, report_all
from bench.rival_run import DATABASE, run_rival
from bench.stage import Stage, lane_of
from bench.usage import plain_dsn

_MESSAGES = 1_000
_ROWS = 500
_OF_LANE = "lane_id = %(lane)s"
_OF_MESSAGES = "message_id IN (SELECT id FROM message WHERE lane_id = %(lane)s)"
_TABLES = {
    "message": _OF_LANE,
    "batch": _OF_LANE,
    "submission": _OF_LANE,
    "attempt": _OF_MESSAGES,
    "delivery_report": _OF_MESSAGES,
    "unmatched_report": "true",
    "idempotency_key": "true",
}
_OPAQUE = ("uuid", "timestamp with time zone")  # IDs and times: only whether there is one
_OTHERS = {
    "recipient": "length(recipient)",
    "transaction_id": "transaction_id > 0",
    "bulk_ids": "cardinality(bulk_ids)",
    "is_over": "is_over IS NULL",  # a tick marks batches, sooner or later
}


def _contents(connection: psycopg.Connection[Any], lane: UUID) -> dict[str, list[Any]]:
    """Every row that a lane's traffic left, without what differs from one run to the next."""
    found = {}
    for table, condition in _TABLES.items():
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s ORDER BY 1", [table]
        ).fetchall()
        shown = [_OTHERS.get(name, f"{name} IS NULL" if kind in _OPAQUE else name) for name, kind in columns]
        query = f"SELECT {', '.join(shown)} FROM {table} WHERE {condition}"
        found[table] = sorted(connection.execute(query, {"lane": lane}).fetchall(), key=repr)
    found["tally"] = connection.execute(
        """SELECT b.id IS NULL AS is_lane, state, reason, sum(n)
           FROM tally t LEFT JOIN batch b ON b.id = t.subject_id
           WHERE t.subject_id = %(lane)s OR b.lane_id = %(lane)s
           GROUP BY b.id, state, reason ORDER BY 1, 2, 3, 4""",
        {"lane": lane},
    ).fetchall()
    return found


def test_the_floor_leaves_the_rows_that_the_product_leaves(stage: Stage) -> None:
    surface = stage.surface("marketing")
    run_campaign(stage, _MESSAGES, _ROWS, awaits_reports=True, surface=surface)
    dsn = floor_database(stage, "floor_rows")
    place = only_place(dsn)
    batches = [[next(stage.to) for _ in range(_ROWS)] for _ in range(_MESSAGES // _ROWS)]
    with floor.connect(dsn) as connection:
        sent = accept_all(connection, place, batches, 0)
        report_all(connection, sent, 0)
        of_floor = _contents(connection, place.lane_id)
    with psycopg.connect(plain_dsn(stage.stack.database_url)) as connection:
        of_product = _contents(connection, lane_of(stage, surface))
    assert len(of_product["message"]) == _MESSAGES
    for table, rows in of_product.items():
        assert of_floor[table] == rows, table


def test_the_rival_delivers_each_message_once(stage: Stage) -> None:
    already = stage.accepted_count()
    rate = run_rival(stage, 60, concurrency=2)
    taken = stage.acceptances(already, 1_000)
    assert rate.messages == 60
    with psycopg.connect(plain_dsn(stage.stack.database_url).replace("/delivery?", f"/{DATABASE}?")) as connection:
        rows = connection.execute("SELECT id::text, state, started_at <= sent_at FROM message ORDER BY 1").fetchall()
    assert sorted(item["message_id"] for item in taken) == [row[0] for row in rows]
    assert {row[1:] for row in rows} == {("sent", True)}
    assert stage.sandbox.get("/sandbox/summary").json()["duplicates_refused"] == 0
