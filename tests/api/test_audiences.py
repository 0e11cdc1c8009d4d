"""A batch as NDJSON: read as it comes, stored whole or not at all, whatever a line holds."""

import csv
import os
import socket
import time
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from api import audiences
from bench.usage import resident_mebibytes
from tests.api.conftest import BOOTSTRAP, check_problem
from tests.processes import wait_for
from worker.models import Batch, Event, Message

HEAD: dict[str, Any] = {"surface": "otp", "text": "Hello"}
ROWS = int(os.environ.get("DELIVERY_TEST_AUDIENCE_ROWS", "60000"))
MEBIBYTE = 1024 * 1024


def lines(*given: Any, head: dict[str, Any] = HEAD) -> bytes:
    """Bytes stand as they are."""
    return b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in (head, *given))


def row(n: int, **fields: Any) -> dict[str, Any]:
    return {"to": f"+9198{n:08}", **fields}


def send(api: httpx.Client, body: bytes | Iterable[bytes], **headers: str) -> httpx.Response:
    return api.post("/v1/batches", content=body, headers={"Content-Type": "application/x-ndjson", **headers})


def nothing_is_stored(session: Session) -> bool:
    return not session.exec(select(Message.id)).first() and not session.exec(select(Batch.id)).first()


def accepted(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


# It is the batch that JSON would make


def test_lines_make_the_same_batch_as_json(api: httpx.Client, session: Session, make_surface: Any) -> None:
    make_surface()
    head = {**HEAD, "text": "Hi {{name}}", "callback_data": "c", "journey": {"id": "j-1"}}
    given = [row(n, variables={"name": f"N{n}"}, callback_data=f"c{n}") for n in range(3)]
    streamed = accepted(send(api, lines(*given, head=head)))
    posted = api.post("/v1/batches", json={**head, "messages": given}).json()
    assert {**streamed, "id": None} == {**posted, "id": None}
    columns = (Message.recipient, Message.text, Message.callback_data, Message.state)
    found = [
        session.exec(select(*columns).where(Message.batch_id == batch["id"]).order_by(Message.id)).all()
        for batch in (streamed, posted)
    ]
    assert found[0] == found[1] != []
    assert api.get(f"/v1/batches/{streamed['id']}").json()["journey"] == {"id": "j-1"}


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_it_does_not_matter_how_the_body_is_cut(
    api: httpx.Client, session: Session, make_surface: Any, size: int
) -> None:
    make_surface()
    body = b"\xef\xbb\xbf" + lines(row(1), b"", b"  ", {"to": "+919876543210", "text": "h\u00e9llo \\ \t\n"}).replace(
        b"\n", b"\r\n"
    )
    answer = accepted(send(api, (body[at : at + size] for at in range(0, len(body), size))))
    assert (answer["accepted"], answer["rejected"]) == (2, [])
    assert session.exec(select(Message.text).order_by(Message.id)).all() == [None, "h\u00e9llo \\ \t\n"]


def test_who_has_opted_out_is_suppressed_and_told(api: httpx.Client, session: Session, make_surface: Any) -> None:
    make_surface(message_type="marketing")
    api.put("/v1/consents/+919800000001", json={"credential": "main", "state": "opted_out"}).raise_for_status()
    answer = accepted(send(api, lines(row(0), row(1), row(2))))
    assert (answer["accepted"], answer["suppressed"], answer["total"]) == (2, 1, 3)
    assert session.exec(select(Event.type)).all() == ["message.suppressed"]


# One bad line harms itself alone

BAD_LINES = [
    (b"{", "messages"),
    (b'{"to": "+91980000\xff"}', "messages"),
    (b"\x00", "messages"),
    (b"[]", "messages"),
    (b'"text"', "messages"),
    (b"{}", "to"),
    (b'{"to": 7}', "to"),
    (b'{"to": 919800000009}', "to"),
    (b'{"to": 919800000009.0}', "to"),
    (b'{"to": "919800000009.0"}', "to"),
    (b'{"to": "9.1980000E+11"}', "to"),
    (b'{"to": "+919800000009", "variables": {"a": 1.5}}', "variables.a"),
    (b'{"to": "+919800000009", "variables": {"a\\u0000": "x"}}', "variables.a\ufffd"),
    (b'{"to": "call me"}', "to"),
    (b'{"to": "+919800000009", "text": ""}', "text"),
    (b'{"to": "+919800000009", "unknown": 1}', "unknown"),
    (b'{"to": "+919800000009", "text": "a\\u0000b"}', "text"),
    (b'{"to": "+919800000009", "callback_data": "' + b"x" * 4_001 + b'"}', "callback_data"),
    (b'{"to": "+919800000009", "text": "' + b"x" * MEBIBYTE + b'"}', "messages"),
]


@pytest.mark.parametrize(("line", "field"), BAD_LINES, ids=[str(n) for n in range(len(BAD_LINES))])
def test_bad_line_is_left_out_or_refuses_all_and_is_named(
    api: httpx.Client, session: Session, make_surface: Any, line: bytes, field: str
) -> None:
    make_surface()
    problem = check_problem(send(api, lines(row(0), line, row(2))), 422)
    assert [(error["index"], error["field"]) for error in problem["errors"]] == [(1, field)]
    assert nothing_is_stored(session)

    answer = accepted(send(api, lines(row(0), line, row(2), head={**HEAD, "on_invalid": "skip"})))
    assert (answer["accepted"], answer["rejected_count"]) == (2, 1)
    assert [(bad["index"], bad["field"]) for bad in answer["rejected"]] == [(1, field)]
    kept = api.get(f"/v1/batches/{answer['id']}/rejected").json()
    assert kept == {"items": answer["rejected"], "next_cursor": None}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"\n\n", "the body is empty"),
        (b"{", "The first line must be the batch"),
        (lines(row(0), head={"text": "no surface"}), "surface"),
        (lines(row(0), head=row(1)), "a line each: this one is a message"),
        (lines(row(0), head=row(1, variables={"name": "B"})), "a line each: this one is a message"),
        (lines(row(0), head={**HEAD, "messages": []}), "messages"),
        (lines(row(0), head={**HEAD, "surface": "nobody"}), "surface"),
        (lines(row(0), head={**HEAD, "validity_period": "P9D"}), "validity_period"),
        (lines(), "give at least one row"),
        (b'{"surface": "' + b"x" * MEBIBYTE + b'"}', "it is longer than"),
    ],
    ids=range(11),
)
def test_what_is_wrong_with_the_batch_itself_is_said(
    api: httpx.Client, session: Session, make_surface: Any, body: bytes, words: str
) -> None:
    make_surface()
    assert words in check_problem(send(api, body), 422)["detail"]
    assert nothing_is_stored(session)


def test_thousands_of_bad_rows_are_counted_listed_and_downloaded(api: httpx.Client, make_surface: Any) -> None:
    make_surface()
    given = [row(n) if n % 2 else {"to": f"=nobody-{n}"} for n in range(11_000)]
    answer = accepted(send(api, lines(*given, head={**HEAD, "on_invalid": "skip"})))
    assert (answer["accepted"], answer["rejected_count"], len(answer["rejected"])) == (5_500, 5_500, 1_000)
    assert api.get(f"/v1/batches/{answer['id']}").json()["rejected_count"] == 5_500
    download = api.get(f"/v1/batches/{answer['id']}/rejected", params={"format": "csv"})
    assert download.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(StringIO(download.text)))
    assert [int(bad["index"]) for bad in rows] == list(range(0, 11_000, 2))
    page = api.get(f"/v1/batches/{answer['id']}/rejected", params={"limit": 1_000}).json()
    rest = api.get(f"/v1/batches/{answer['id']}/rejected", params={"cursor": page["next_cursor"], "limit": 1}).json()
    assert [page["items"][-1]["index"], rest["items"][0]["index"]] == [1_998, 2_000]


def test_refusal_does_not_look_at_bad_rows_without_end(api: httpx.Client, session: Session, make_surface: Any) -> None:
    make_surface()
    problem = check_problem(send(api, lines(*[{"to": "x"}] * (audiences.MOST_COUNTED + 9_000))), 422)
    assert problem["detail"].startswith("at least 1")
    assert "none is left" not in problem["detail"]  # the rest may be good
    assert len(problem["errors"]) == 1_000
    assert nothing_is_stored(session)


# Once each, at a pace


@pytest.mark.parametrize("as_lines", [True, False])
def test_deduplicate_keeps_the_first_row_of_each_recipient(
    api: httpx.Client, session: Session, make_surface: Any, as_lines: bool
) -> None:
    make_surface()
    head = {**HEAD, "deduplicate": True}
    given = [row(1, text="first"), row(2, text="second"), {"to": "0091 98 00000001", "text": "third"}, row(1)]
    answer = (
        send(api, lines(*given, head=head)) if as_lines else api.post("/v1/batches", json={**head, "messages": given})
    )
    found = accepted(answer)
    assert (found["total"], found["accepted"], found["duplicates"], found["rejected_count"]) == (2, 2, 2, 0)
    assert session.exec(select(Message.text).order_by(Message.id)).all() == ["first", "second"]


def test_pace_spreads_the_turns_and_one_that_is_too_slow_is_refused(
    api: httpx.Client, session: Session, make_surface: Any
) -> None:
    make_surface()
    head = {**HEAD, "messages_per_second": 2, "validity_period": "PT10M"}
    accepted(send(api, lines(*[row(n) for n in range(5)], head=head)))
    turns = session.exec(select(Message.next_attempt_at).order_by(Message.id)).all()
    assert [(turn - turns[0]).total_seconds() for turn in turns if turn and turns[0]] == [0, 0.5, 1, 1.5, 2]
    refused = check_problem(send(api, lines(*[row(n) for n in range(2_000)], head=head)), 422)
    assert "messages_per_second" in refused["detail"]
    assert "a second is enough for them" in refused["detail"]


# The same request twice does the work once


def test_key_gives_the_first_answer_again_and_no_other_body(
    api: httpx.Client, session: Session, make_surface: Any
) -> None:
    make_surface()
    key = {"Idempotency-Key": "once"}
    first, again = (accepted(send(api, lines(row(1)), **key)) for _ in range(2))
    assert first == again
    check_problem(send(api, lines(row(2)), **key), 409)
    assert len(session.exec(select(Batch.id)).all()) == 1


@pytest.mark.parametrize("change", [{"name": "renamed"}, {"default_country": None}])
def test_first_answer_is_given_again_whatever_became_of_the_surface(
    api: httpx.Client, session: Session, make_surface: Any, change: dict[str, Any]
) -> None:
    make_surface(default_country="IN")
    key = {"Idempotency-Key": "once"}
    body, other = lines({"to": "9876543210"}), lines({"to": "9876543211"})
    first = send(api, body, **key)
    accepted(first)
    api.patch("/v1/surfaces/otp", json=change).raise_for_status()
    again = send(api, body, **key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "another body" in check_problem(send(api, other, **key), 409)["detail"]
    assert "another body" in check_problem(send(api, b"{", **key), 409)["detail"]
    assert len(session.exec(select(Batch.id)).all()) == 1


def test_answer_that_is_forgotten_while_the_body_comes_again_is_a_conflict(
    api: httpx.Client, engine: Engine, session: Session, make_surface: Any
) -> None:
    make_surface()
    key = {"Idempotency-Key": "once"}
    whole = lines(*[row(n) for n in range(5_000)])
    accepted(send(api, whole, **key))

    def body() -> Iterator[bytes]:
        yield whole[:-1]
        time.sleep(0.3)  # what came is read
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM idempotency_key"))
        yield whole[-1:]

    assert "send it again" in check_problem(send(api, body(), **key), 409)["detail"]
    assert len(session.exec(select(Batch.id)).all()) == 1
    accepted(send(api, whole, **key))


# What breaks off has stored nothing


def _temporary_files() -> list[str]:
    folder = Path("/proc/self/fd")
    return [name for entry in folder.iterdir() if "(deleted)" in (name := _target(entry)) and "/tmp" in name]


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""


def test_client_that_goes_away_half_way_leaves_nothing(
    api: httpx.Client, address: str, session: Session, make_surface: Any
) -> None:
    make_surface()
    url = httpx.URL(address)
    before = len(_temporary_files())
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(
            b"POST /v1/batches HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\n"
            b"Authorization: Bearer " + BOOTSTRAP.encode() + b"\r\nContent-Length: 100000000\r\n\r\n"
        )
        connection.sendall(lines(*[row(n) for n in range(20_000)]))
        wait_for(lambda: len(_temporary_files()) > before)
    wait_for(lambda: len(_temporary_files()) == before)
    assert nothing_is_stored(session)


def test_surface_that_changes_while_the_rows_come_refuses_them(
    api: httpx.Client, session: Session, make_surface: Any
) -> None:
    make_surface()

    def body() -> Iterator[bytes]:
        yield lines(*[row(n) for n in range(10_000)]) + b"\n"
        time.sleep(0.3)  # what came is read
        with httpx.Client(base_url=api.base_url, headers=api.headers) as other:
            other.patch("/v1/surfaces/otp", json={"default_country": "IN"}).raise_for_status()
        yield orjson.dumps(row(1))

    assert "send it again" in check_problem(send(api, body()), 409)["detail"]
    assert nothing_is_stored(session)


def test_more_at_once_than_fit_are_told_to_come_later(
    api: httpx.Client, make_surface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    waiting, go_on = [], []

    def slow() -> Iterator[bytes]:
        yield lines(row(1)) + b"\n"
        waiting.append(1)
        wait_for(lambda: go_on)

    def one() -> None:
        with httpx.Client(base_url=api.base_url, headers=api.headers, timeout=30) as other:
            answers.append(send(other, slow()).status_code)

    answers: list[int] = []
    threads = [Thread(target=one) for _ in range(audiences.MOST_AT_ONCE)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(waiting) == len(threads))

    def is_full() -> bool:
        refused = send(api, lines(row(2)))
        return refused.status_code == 503 and "Retry-After" in refused.headers

    wait_for(is_full, every=0.1)
    go_on.append(1)
    for thread in threads:
        thread.join()
    assert answers == [202] * len(threads)
    accepted(send(api, lines(row(2))))


@pytest.mark.parametrize(
    ("name", "most", "status"), [("MOST_ROWS", 2, 422), ("MOST_BYTES", 100, 413), ("SILENCE_SECONDS", 0.2, 408)]
)
def test_body_beyond_a_limit_is_refused_with_it(
    api: httpx.Client,
    session: Session,
    make_surface: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    most: float,
    status: int,
) -> None:
    make_surface()
    monkeypatch.setattr(audiences, name, most)

    def body() -> Iterator[bytes]:
        yield lines(row(1), row(2))
        if status == 408:
            time.sleep(0.6)
        yield b"\n" + orjson.dumps(row(3))

    check_problem(send(api, body()), status)
    assert nothing_is_stored(session)


# However many


def test_many_rows_take_no_more_memory_than_few(api: httpx.Client, engine: Engine, make_surface: Any) -> None:
    """The API runs in this process here, and so does the client, which makes its rows as it goes."""
    make_surface()

    def body() -> Iterator[bytes]:
        yield orjson.dumps({**HEAD, "deduplicate": True, "on_invalid": "skip"})
        for first in range(0, ROWS, 500):
            yield b"".join(b"\n" + orjson.dumps(row(n)) for n in range(first, min(first + 500, ROWS)))
            peak.append(resident_mebibytes(os.getpid()))

    before, peak = resident_mebibytes(os.getpid()), list[float]()
    with httpx.Client(base_url=api.base_url, headers=api.headers, timeout=600) as patient:
        answer = accepted(send(patient, body()))
    peak.append(resident_mebibytes(os.getpid()))
    assert (answer["accepted"], answer["duplicates"]) == (ROWS, 0)
    assert max(peak) - before < 100
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*), count(DISTINCT recipient) FROM message")).one()
    assert tuple(found) == (ROWS, ROWS)
