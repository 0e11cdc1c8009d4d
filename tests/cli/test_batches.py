"""`delivery batches` and `delivery messages` against a real API: what they find and show, what they stop and start, and
their exit codes."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import Session

from tests.cli.shell import Delivery, failure
from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, apply, change, report, took

ANNA, BERT, CARL = "919900000001", "919900000002", "919900000003"
NOBODY = str(uuid4())


def sent_batch(session: Session, lane: MadeLane, *ends: str) -> tuple[str, list[UUID]]:
    """A batch with a message for each end that it meets: delivered, failed or queued."""
    numbers = [f"9199000000{n:02d}" for n in range(len(ends))]
    ids = make_batch(session, lane, numbers)
    leaving = [n for n, end in enumerate(ends) if end != "queued"]
    if leaving:
        waiting = [ids[n] for n, end in enumerate(ends) if end == "queued"]
        change(session, "UPDATE message SET next_attempt_at = now() + interval '1 h' WHERE id = ANY(:ids)", ids=waiting)
        answer(session, took(session, lane))
        reports = {"delivered": {}, "failed": {"status": 9, "group": 2, "error": 1}}
        apply(session, lane, *(report(ids[n], **reports[ends[n]]) for n in leaving))
    batch = session.connection().exec_driver_sql("SELECT id FROM batch ORDER BY id DESC LIMIT 1").scalar_one()
    session.commit()
    return str(batch), ids


# Batches


def test_list_and_get_show_how_far_a_batch_is_and_why_the_rest_failed(
    at_home: Delivery, session: Session, lane: MadeLane, administrator: httpx.Client
) -> None:
    older, _ = sent_batch(session, lane, "queued")
    batch, _ = sent_batch(session, lane, "delivered", "delivered", "failed")
    heading, first, second = at_home("batches", "list").out.splitlines()
    assert heading.split() == ["id", "created_at", "surface", "state", "total", "counts", "journey", "callback_data"]
    assert (first.split()[0], second.split()[0]) == (batch, older)
    assert first.split()[2:5] == ["main", "done", "3"]
    assert "2 delivered, 1 failed" in first
    shown = at_home("batches", "get", batch).out
    assert "2 delivered, 1 failed" in shown
    assert "1      EC_UNKNOWN_SUBSCRIBER  " in shown
    assert at_home("batches", "get", batch, "--json").json == administrator.get(f"/v1/batches/{batch}").json()
    assert [item["id"] for item in at_home("batches", "list", "--limit", "1", "--json").json["items"]] == [batch]


def test_list_finds_by_each_of_its_options(at_home: Delivery, administrator: httpx.Client, lane: MadeLane) -> None:
    def send(**fields: Any) -> str:
        body = {"surface": "main", "text": "Hello", "messages": [{"to": ANNA}], **fields}
        return str(administrator.post("/v1/batches", json=body).json()["id"])

    spring, summer = send(journey={"id": "spring"}, callback_data="a+b"), send(journey={"id": "summer"})
    before = administrator.get(f"/v1/batches/{summer}").json()["created_at"]
    for options, found in (
        (("--journey", "spring"), [spring]),
        (("--callback-data", "a+b"), [spring]),
        (("--surface", "main"), [summer, spring]),
        (("--from", before), [summer]),
        (("--until", before), [spring]),
        (("--state", "running,paused", "--journey", "summer"), [summer]),
        (("--state", "done"), []),
    ):
        items = at_home("batches", "list", *options, "--json").json["items"]
        assert [item["id"] for item in items] == found, options
    assert at_home("batches", "list", "--journey", "winter").out == "there is no such batch\n"


def test_batches_are_paused_resumed_rescheduled_and_cancelled(
    at_home: Delivery, session: Session, lane: MadeLane
) -> None:
    first, _ = sent_batch(session, lane, "queued", "queued")
    second, _ = sent_batch(session, lane, "queued")
    done = at_home("batches", "pause", first, second)
    assert (done.code, done.out.splitlines()) == (0, [f"{first} paused: 2 queued", f"{second} paused: 1 queued"])
    done = at_home("batches", "resume", first, second, "--json")
    assert [json.loads(line)["state"] for line in done.out.splitlines()] == ["running", "running"]
    moved = at_home("batches", "reschedule", first, "--send-at", "2126-01-31T09:00:00Z", "--validity", "PT2H")
    assert "180 days" in failure(moved)
    refused = at_home("batches", "cancel", first)
    assert refused.code == 1
    assert refused.err.splitlines()[0] == f"{first}: 2 of 2 messages wait, and would never be sent"
    assert refused.err.splitlines()[1].startswith("delivery: there is no terminal to ask on: give --yes")
    assert at_home("batches", "cancel", first, "--yes").out.startswith(f"{first} cancelled: ")


def test_what_one_batch_cannot_do_keeps_no_other_from_it(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    batch, _ = sent_batch(session, lane, "queued")
    done = at_home("batches", "pause", NOBODY, batch)
    assert (done.code, done.out) == (1, f"{batch} paused: 1 queued\n")
    assert done.err == f"delivery: {NOBODY}: There is no batch with this id (404)\n"


@pytest.mark.parametrize(
    ("ends", "code"), [(("delivered", "delivered"), 0), (("delivered", "failed"), 4)], ids=["all", "some"]
)
def test_wait_says_by_its_exit_code_whether_all_were_delivered(
    at_home: Delivery, session: Session, lane: MadeLane, ends: tuple[str, ...], code: int
) -> None:
    batch, _ = sent_batch(session, lane, *ends)
    done = at_home("batches", "wait", batch, "--json")
    assert (done.code, done.err, done.json["id"]) == (code, "", batch)
    assert at_home("batches", "wait", batch).code == code


def test_rejected_rows_are_shown_and_written_to_a_file(
    at_home: Delivery, administrator: httpx.Client, lane: MadeLane, tmp_path: Path
) -> None:
    rows = [{"to": ANNA}, {"to": "call me"}, {"to": "12"}]
    body = {"surface": "main", "text": "Hello", "on_invalid": "skip", "messages": rows}
    batch = administrator.post("/v1/batches", json=body).json()["id"]
    heading, first, second = at_home("batches", "rejected", batch).out.splitlines()
    assert heading.split() == ["index", "to", "field", "reason"]
    assert (first.split()[:4], second.split()[:3]) == (["1", "call", "me", "to"], ["2", "12", "to"])
    assert at_home("batches", "rejected", batch, "rejected.csv") == (0, "", "")
    written = (tmp_path / "rejected.csv").read_text()
    assert [row["to"] for row in csv.DictReader(io.StringIO(written))] == ["call me", "12"]
    assert at_home("batches", "rejected", batch, "--format", "csv").out.splitlines() == written.splitlines()
    assert len(at_home("batches", "rejected", batch, "--json").json["items"]) == 2
    told = failure(at_home("batches", "rejected", batch, "rejected.csv", "--format", "table"))
    assert told.startswith("a file is written as CSV")


# Messages


def test_list_of_messages_finds_by_each_of_its_options(at_home: Delivery, session: Session, lane: MadeLane) -> None:
    batch, (delivered, failed, queued) = sent_batch(session, lane, "delivered", "failed", "queued")
    change(session, "UPDATE message SET callback_data = 'parcel-7' WHERE id = :id", id=queued)
    for options, found in (
        (("--state", "failed"), [failed]),
        (("--to", "+919900000000"), [delivered]),
        (("--callback-data", "order-5512"), [failed, delivered]),
        (("--prefix", "parcel-"), [queued]),
        (("--error", "EC_UNKNOWN_SUBSCRIBER"), [failed]),
        (("--from", "2126-01-01T00:00:00Z"), []),
        (("--until", "2126-01-01T00:00:00Z"), [queued, failed, delivered]),
        (("--journey", "spring"), []),
        (("--limit", "1"), [queued]),
    ):
        items = at_home("messages", "list", "--batch", batch, *options, "--json").json["items"]
        assert [item["id"] for item in items] == [str(message) for message in found], options
    heading, row = at_home("messages", "list", "--state", "failed").out.splitlines()
    assert heading.split()[:4] == ["id", "created_at", "to", "state"]
    assert row.split()[0] == str(failed)
    assert "Failed after EC_UNKNOWN_SUBSCRIBER" in row
    assert at_home("messages", "list", "--to", CARL + "9").out == "there is no such message\n"


def test_get_of_a_message_begins_with_its_sentence_and_ends_with_its_timeline(
    at_home: Delivery, session: Session, lane: MadeLane, administrator: httpx.Client
) -> None:
    _, (failed,) = sent_batch(session, lane, "failed")
    sentence, *_ = shown = at_home("messages", "get", str(failed)).out.splitlines()
    assert sentence.startswith("Failed after EC_UNKNOWN_SUBSCRIBER: ")
    timeline = shown[shown.index("timeline:") + 2 :]
    assert len(timeline) == len(administrator.get(f"/v1/messages/{failed}").json()["timeline"])
    assert [line.split("  ")[1] for line in timeline] == [
        *("accepted", "attempt 1", "accepted by infobip", "report", "finished")
    ]
    _, (delivered,) = sent_batch(session, lane, "delivered")
    assert at_home("messages", "get", str(delivered)).out.startswith("The message is delivered.\n")


# What cannot be


@pytest.mark.parametrize(
    ("command", "noun"),
    [
        (("batches", "get", "ID"), "batch"),
        (("batches", "wait", "ID"), "batch"),
        (("batches", "pause", NOBODY, "ID"), "batch"),
        (("batches", "rejected", "ID"), "batch"),
        (("replay", "ID"), "batch"),
        (("messages", "list", "--batch", "ID"), "batch"),
        (("messages", "get", "ID"), "message"),
    ],
)
def test_only_whole_ids_are_taken_and_nothing_is_asked_of_the_api(
    at_home: Delivery, command: tuple[str, ...], noun: str
) -> None:
    said = failure(at_home(*command, DELIVERY_API_URL="http://127.0.0.1:1"))
    assert said == f"'ID' is not the ID of a {noun}: give it whole, as lists show it\n"


@pytest.mark.parametrize(
    "command",
    [("batches", "get"), ("batches", "pause"), ("batches", "wait"), ("replay",), ("messages", "get")],
    ids=" ".join,
)
@pytest.mark.usefixtures("session")
def test_unknown_id_is_told(at_home: Delivery, command: tuple[str, ...]) -> None:
    assert failure(at_home(*command, NOBODY)).startswith("There is no ")
