"""Consent over HTTP: read, said by a caller, its history, and files in and out."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from select import select as select_ready
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from api.routes import consents as routes
from tests.api.conftest import BOOTSTRAP, Make, block_then_terminate, check_problem
from tests.paging import items
from tests.processes import wait_for
from worker import consent_import, consents, tokens
from worker.consents import Blocked, Person
from worker.db import database_now
from worker.ids import new_id
from worker.models import Consent
from worker.words import Block, Scope

ANNA, BERT = "14155550101", "14155550102"
NDJSON, CSV = {"Content-Type": "application/x-ndjson"}, {"Content-Type": "text/csv"}
GOOD = {"to": ANNA, "state": "opted_in"}


@pytest.fixture
def main(make_credential: Make) -> dict[str, Any]:
    return make_credential()


def stands(api: httpx.Client, to: str = ANNA) -> dict[str, str]:
    """The state by the credential's name."""
    answer = api.get(f"/v1/consents/{to}")
    assert answer.status_code == 200, answer.text
    return {item["credential"]: item["state"] for item in answer.json()["items"]}


def say(api: httpx.Client, state: str, to: str = ANNA, **fields: Any) -> dict[str, Any]:
    answer = api.put(f"/v1/consents/{to}", json={"credential": "main", "state": state, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def said_of(api: httpx.Client, to: str = ANNA) -> list[dict[str, Any]]:
    """The history, newest first."""
    found: list[dict[str, Any]] = api.get(f"/v1/consents/{to}/history").json()["items"]
    return found


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def load(api: httpx.Client, content: Any, headers: dict[str, str] = NDJSON, **query: str) -> dict[str, Any]:
    answer = api.post("/v1/consents/import", content=content, headers=headers, params={"credential": "main", **query})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def push(api: httpx.Client, credential: dict[str, Any], word: str, sender: str = ANNA) -> None:
    path = urlsplit(credential["webhook_urls"]["inbound"]).path
    item = {"messageId": str(new_id()), "from": sender, "to": "447700900001", "text": word}
    assert api.post(path, json={"results": [item]}).status_code == 200


def block(engine: Engine, credential: dict[str, Any]) -> None:
    with Session(engine) as session:
        person = Person(ANNA, credential["id"])
        now = database_now(session)
        fact = Blocked(person=person, block=Block.ALL, code="EC_X", message_id=new_id(), told_at=now)
        consents.block(session, {person: fact})
        session.commit()


# One number


def test_unknown_number_has_no_items(api: httpx.Client) -> None:
    assert api.get(f"/v1/consents/{ANNA}").json() == {"to": ANNA, "items": []}
    assert api.get(f"/v1/consents/{ANNA}/history").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("form", [ANNA, f"+{ANNA}", f"%2B{ANNA}", "+1%20(415)%20555-0101", "001-415-555-0101"])
def test_number_is_taken_in_any_form_and_answered_as_digits(api: httpx.Client, main: Any, form: str) -> None:
    assert say(api, "opted_in", to=form)["to"] == ANNA
    assert api.get(f"/v1/consents/{form}").json()["to"] == ANNA
    assert stands(api) == {"main": "opted_in"}
    assert len(api.get(f"/v1/consents/{form}/history").json()["items"]) == 1


@pytest.mark.parametrize("number", ["abc", "123", "0123456789", "1" * 70, "%00", "import"])
def test_what_is_no_number_is_422_naming_to(api: httpx.Client, main: Any, number: str) -> None:
    body = {"credential": "main", "state": "opted_in"}
    for answer in (
        api.get(f"/v1/consents/{number}"),
        api.get(f"/v1/consents/{number}/history"),
        api.put(f"/v1/consents/{number}", json=body),
    ):
        assert [error["field"] for error in check_problem(answer, 422)["errors"]] == ["to"]


def test_national_number_is_told_to_have_its_country_code_and_nothing_of_surfaces(api: httpx.Client) -> None:
    (error,) = check_problem(api.get("/v1/consents/09876543210"), 422)["errors"]
    assert error["message"].endswith("write it with its country code, such as +14155550123")


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_caller_s_word_is_answered_as_it_is_read_and_remembered_with_its_note(
    api: httpx.Client, main: Any, by: str
) -> None:
    said = say(api, "opted_out", credential=main[by], note="unsubscribe page")
    assert said == api.get(f"/v1/consents/{ANNA}").json()
    (item,) = said["items"]
    assert item == {
        "credential": "main",
        "credential_id": main["id"],
        "state": "opted_out",
        "source": "api",
        "is_blocked": False,
        "changed_at": item["changed_at"],
        "pending_until": None,
    }
    (change,) = said_of(api)
    assert change == {
        "credential": "main",
        "state": "opted_out",
        "source": "api",
        "is_blocked": False,
        "reason": "unsubscribe page",
        "inbound_id": None,
        "message_id": None,
        "said_at": item["changed_at"],
        "changed_at": item["changed_at"],
    }


@pytest.mark.parametrize("after", ["opted_in", "opted_out", "pending", "none"])
@pytest.mark.parametrize("before", ["opted_in", "opted_out", "pending", "none", "STOP", "START", "blocked"])
def test_a_caller_s_word_counts_whatever_was_said_before(
    api: httpx.Client, engine: Engine, main: Any, before: str, after: str
) -> None:
    if before == "blocked":
        block(engine, main)
    elif before.isupper():
        push(api, main, before)
    else:
        say(api, before)
    (item,) = say(api, after)["items"]
    assert item["state"] == after
    assert item["is_blocked"] == (before == "blocked" and after == "opted_out")
    was = {"STOP": "opted_out", "blocked": "opted_out", "START": "opted_in"}.get(before, before)
    assert len(said_of(api)) == (1 if was == after != "pending" else 2)


@pytest.mark.parametrize("own", ["STOP", "blocked"])
def test_opt_out_stays_the_person_s_or_infobip_s_when_a_caller_says_so_too(
    api: httpx.Client, engine: Engine, main: Any, own: str
) -> None:
    push(api, main, "STOP") if own == "STOP" else block(engine, main)
    (before,) = api.get(f"/v1/consents/{ANNA}").json()["items"]
    assert say(api, "opted_out", note="by phone")["items"] == [before]
    newest, first = api.get(f"/v1/consents/{ANNA}/history").json()["items"]
    assert (newest["source"], newest["reason"]) == ("api", "by phone")
    assert first["source"] == before["source"]
    assert newest["changed_at"] > first["changed_at"]


def test_pending_is_shown_until_it_lapses_and_then_what_it_came_from(
    api: httpx.Client, engine: Engine, main: Any
) -> None:
    say(api, "opted_in")
    (item,) = say(api, "pending")["items"]
    until = datetime.fromisoformat(item["pending_until"])
    assert until - datetime.fromisoformat(item["changed_at"]) == timedelta(days=7)
    with engine.begin() as connection:
        connection.execute(text("UPDATE consent SET pending_until = now()"))
    (item,) = api.get(f"/v1/consents/{ANNA}").json()["items"]
    assert (item["state"], item["pending_until"]) == ("opted_in", None)


def test_each_credential_is_an_item_also_once_it_is_deleted(
    api: httpx.Client, main: Any, make_credential: Make
) -> None:
    make_credential(name="another")
    say(api, "opted_in")
    say(api, "opted_out", credential="another")
    assert api.delete("/v1/credentials/another").status_code == 204
    assert stands(api) == {"another": "opted_out", "main": "opted_in"}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"credential": "nobody"}, "credential", "no credential"),
        ({"credential": "01a20415-6a96-7532-87e0-8f945c115ef7"}, "credential", "no credential"),
        ({"credential": "a\0"}, "credential", "NUL"),
        ({"credential": None}, "credential", "text"),
        ({"state": "yes"}, "state", "opted_in"),
        ({"state": None}, "state", ""),
        ({"note": "x" * 501}, "note", "500"),
        ({"note": "a\0"}, "note", "NUL"),
        ({"source": "keyword"}, "source", "not a field"),
        ({"at": "yesterday"}, "at", "ISO 8601"),
        ({"at": "2026-01-31T09:00:00"}, "at", "offset"),
        ({"at": "2999-01-01T00:00:00Z"}, "at", "future"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "at", "future"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at", "before 1970"),
    ],
)
def test_word_that_cannot_be_used_names_its_field_and_changes_nothing(
    api: httpx.Client, main: Any, change: dict[str, Any], field: str, words: str
) -> None:
    answer = api.put(f"/v1/consents/{ANNA}", json={"credential": "main", "state": "opted_in", **change})
    (error,) = check_problem(answer, 422)["errors"]
    assert error["field"] == field
    assert words in error["message"]
    assert stands(api) == {}


def test_history_is_read_newest_first_page_by_page(api: httpx.Client, main: Any) -> None:
    for note in "12345":
        say(api, "opted_in" if int(note) % 2 else "opted_out", note=note)
    say(api, "opted_in", to=BERT)
    push(api, main, "STOP")
    found = list(items(api, f"/v1/consents/{ANNA}/history", limit=2))
    assert [change["reason"] for change in found] == ["STOP", *"54321"]
    (inbound,) = api.get("/v1/inbound").json()["items"]
    assert found[0]["inbound_id"] == inbound["id"]
    check_problem(api.get(f"/v1/consents/{ANNA}/history", params={"cursor": "nonsense"}), 422)


@pytest.mark.parametrize("state", ["opted_in", "opted_out", "none"])
def test_what_is_said_again_changes_nothing_and_is_remembered_only_with_its_note(
    api: httpx.Client, main: Any, state: str
) -> None:
    first = say(api, state)
    for _ in range(2):
        assert say(api, state) == first
    assert len(said_of(api)) == 1
    say(api, state, note="again")
    assert [change["reason"] for change in said_of(api)] == ["again", None]


def test_unsubscribe_link_is_the_person_s_own_opt_out_which_an_import_does_not_undo(
    api: httpx.Client, main: Any
) -> None:
    load(api, lines({**GOOD, "state": "opted_out"}))  # a caller's, until the person says so
    say(api, "opted_out")
    assert len(said_of(api)) == 2
    assert load(api, lines(GOOD, {**GOOD, "at": "2020-01-01T00:00:00Z"}))["kept"] == 2
    between = datetime.now(UTC).isoformat()
    say(api, "opted_out")  # and says it again
    assert load(api, lines({**GOOD, "at": between}))["kept"] == 1
    assert len(said_of(api)) == 2
    for state in ("opted_in", "opted_out", "none"):
        assert say(api, state)["items"][0]["state"] == state
    assert load(api, lines(GOOD))["changed"] == 1


@pytest.mark.parametrize("own", ["STOP", "blocked", "link"])
@pytest.mark.parametrize("state", ["opted_in", "pending", "none"])
def test_opt_out_that_is_younger_than_at_is_409_and_stands(
    api: httpx.Client, engine: Engine, main: Any, own: str, state: str
) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    match own:
        case "STOP":
            push(api, main, "STOP")
        case "blocked":
            block(engine, main)
        case "link":
            say(api, "opted_out")
    stood = api.get(f"/v1/consents/{ANNA}").json()
    with engine.connect() as connection:
        since = connection.execute(text("SELECT opted_out_at FROM consent")).scalar_one()
    for at in (before, since):
        answer = api.put(
            f"/v1/consents/{ANNA}", json={"credential": "main", "state": state, "at": at.isoformat(), "note": "form"}
        )
        assert "has opted out since 20" in check_problem(answer, 409)["detail"]
    assert api.get(f"/v1/consents/{ANNA}").json() == stood
    assert len(said_of(api)) == 1
    later = (since + timedelta(milliseconds=1)).isoformat()
    assert say(api, state, at=later)["items"][0]["state"] == state
    assert datetime.fromisoformat(said_of(api)[0]["said_at"]) == datetime.fromisoformat(later)


def test_opt_out_of_a_caller_s_list_does_not_stand_against_at(api: httpx.Client, main: Any) -> None:
    load(api, lines({**GOOD, "state": "opted_out"}))
    assert say(api, "opted_in", at="2020-01-01T00:00:00Z")["items"][0]["state"] == "opted_in"


def test_opt_out_counts_from_when_it_was_said(api: httpx.Client, main: Any) -> None:
    say(api, "opted_out", at="2020-06-01T00:00:00Z")
    assert load(api, lines({**GOOD, "at": "2020-05-01T00:00:00Z"}))["kept"] == 1
    assert load(api, lines({**GOOD, "at": "2020-07-01T00:00:00Z"}))["changed"] == 1


def test_others_are_answered_while_many_wait_for_their_turn_to_say_something(
    api: httpx.Client, engine: Engine, main: Any
) -> None:
    body = json.dumps({"credential": "main", "state": "opted_in"}).encode()
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(engine.connect())
        with Session(engine) as holder:
            consents.take_turns(holder, [main["id"]])
            callers = []
            for n in range(60):  # more than there are threads
                head = (
                    f"PUT /v1/consents/1415555{n:04} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOOTSTRAP}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                caller = stack.enter_context(socket.create_connection((api.base_url.host, api.base_url.port)))
                caller.sendall(head.encode() + body)
                callers.append(caller)
            wait_for(lambda: watcher.execute(waiting).scalar_one())
            for path in ("/healthz", "/healthz", f"/v1/consents/{ANNA}", "/v1/batches", "/v1/consents/export"):
                assert api.get(path).status_code == 200
            assert select_ready(callers, [], [], 0)[0] == []  # and they still wait
        for caller in callers:
            assert caller.recv(100).startswith(b"HTTP/1.1 200")


# Import


def test_import_answers_what_came_of_the_rows(api: httpx.Client, main: Any) -> None:
    push(api, main, "STOP")
    rows = [GOOD, {"to": BERT, "state": "opted_out", "note": "n"}, {"to": "17", "state": "none"}, {"to": BERT}]
    assert load(api, lines(*rows)) == {
        "rows": 4,
        "changed": 1,
        "unchanged": 0,
        "kept": 1,
        "rejected_count": 2,
        "rejected": [
            {
                "line": 3,
                "to": "17",
                "field": "to",
                "reason": "is too short for a phone number with its country code (at least 7 digits): give the whole "
                "number, such as +14155550123",
            },
            {
                "line": 4,
                "to": BERT,
                "field": "state",
                "reason": "must be one of opted_in, opted_out, pending, none",
            },
        ],
        "kept_rows": [
            {
                "line": 1,
                "to": ANNA,
                "reason": "has opted out or is blocked since: give at, when consent was given, if later",
            }
        ],
    }
    assert stands(api, BERT) == {"main": "opted_out"}
    later = {**GOOD, "at": datetime.now(UTC).isoformat()}
    assert load(api, lines(later))["changed"] == 1


def test_import_of_csv_with_credentials_in_its_rows(api: httpx.Client, main: Any, make_credential: Make) -> None:
    other = make_credential(name="other")
    file = f'\ufeffto;state;credential;note\r\n+{ANNA};opted_in;main;\r\n+{ANNA};opted_out;{other["id"]};"a;b"\r\n'
    answer = api.post("/v1/consents/import", content=file.encode(), headers={"Content-Type": "text/csv; charset=UTF-8"})
    assert (answer.json()["changed"], answer.json()["rejected_count"]) == (2, 0)
    assert stands(api) == {"main": "opted_in", "other": "opted_out"}


def test_import_of_nothing_is_no_rows(api: httpx.Client, main: Any) -> None:
    assert load(api, b"")["rows"] == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "text/csv; charset=iso-8859-1"}, 415),
        ({"Content-Type": 'text/csv; charset="utf-8"'}, 200),
    ],
)
def test_file_of_another_type_is_415(api: httpx.Client, main: Any, headers: dict[str, str], status: int) -> None:
    answer = api.post("/v1/consents/import?credential=main", content=b"to,state\n", headers=headers)
    assert answer.status_code == status
    if status == 415:
        check_problem(answer, 415)


@pytest.mark.parametrize("query", [{"credential": "nobody"}, {"credential": "a\0"}, {"colour": "red"}])
@pytest.mark.parametrize("call", ["import", "export"])
def test_query_that_cannot_be_used_is_422(api: httpx.Client, query: dict[str, str], call: str) -> None:
    answer = (
        api.post("/v1/consents/import", content=b"", headers=NDJSON, params=query)
        if call == "import"
        else api.get("/v1/consents/export", params=query)
    )
    (error,) = check_problem(answer, 422)["errors"]
    assert error["field"] == next(iter(query))


def test_csv_without_a_header_is_422(api: httpx.Client, main: Any) -> None:
    answer = api.post("/v1/consents/import?credential=main", content=f"{ANNA},opted_in\n".encode(), headers=CSV)
    assert "is not known" in check_problem(answer, 422)["detail"]


def test_file_over_the_limit_is_413_and_what_came_before_stays(
    api: httpx.Client, main: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_BYTES", 8 * routes.MEBIBYTE)
    line = lines(GOOD)
    announced = line * (8 * routes.MEBIBYTE // len(line) + 1)
    check_problem(api.post("/v1/consents/import?credential=main", content=announced, headers=NDJSON), 413)
    assert stands(api) == {}
    pieces = (line * 10_000 for _ in range(40))
    check_problem(api.post("/v1/consents/import?credential=main", content=pieces, headers=NDJSON), 413)
    assert stands(api) == {"main": "opted_in"}


def test_rows_are_applied_while_the_file_still_comes(api: httpx.Client, main: Any) -> None:
    def file() -> Iterator[bytes]:
        yield lines(*({"to": f"1415555{n:04}", "state": "opted_in"} for n in range(consent_import.GROUP)))
        yield b" " * routes._PIECE_BYTES
        with httpx.Client(base_url=api.base_url, headers=api.headers) as other:
            wait_for(lambda: stands(other, "14155550007"))
        yield b"\n" + lines({"to": BERT, "state": "opted_out"})

    assert load(api, file())["changed"] == consent_import.GROUP + 1


def test_client_that_goes_away_leaves_the_groups_that_were_applied(
    api: httpx.Client, engine: Engine, main: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    group = lines(*({"to": f"1415555{n:04}", "state": "opted_in"} for n in range(consent_import.GROUP)))
    rest = lines({"to": BERT[:-1] + "9", "state": "opted_in"}) + b'{"to": "+1415'
    head = (
        f"POST /v1/consents/import?credential=main HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOOTSTRAP}\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 100000000\r\n\r\n"
    )
    assert api.base_url.port is not None
    with socket.create_connection((api.base_url.host, api.base_url.port)) as connection:
        connection.sendall(head.encode() + group + b" " * routes._PIECE_BYTES + b"\n" + rest)
        wait_for(lambda: stands(api, "14155550007"))

    def logged() -> bool:
        return '"status": 499' in logs() or "status=499" in logs()

    seen: list[str] = []

    def logs() -> str:
        seen.append("".join(capsys.readouterr()))
        return "".join(seen)

    wait_for(logged)
    with Session(engine) as session:
        assert len(session.exec(select(Consent)).all()) == consent_import.GROUP
    again = load(api, group + rest + b'5550123", "state": "none"}')
    assert (again["unchanged"], again["changed"], again["rejected_count"]) == (consent_import.GROUP + 1, 1, 0)


def test_database_lost_in_the_middle_is_503_and_the_same_file_again_completes(
    api: httpx.Client, engine: Engine, main: Any
) -> None:
    killer = threading.Thread(target=block_then_terminate, args=(engine, "LOCK TABLE consent IN ACCESS EXCLUSIVE MODE"))
    killer.start()
    with engine.connect() as watcher:
        taken = text(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'consent'::regclass"
        )
        wait_for(lambda: watcher.execute(taken).scalar_one())
        watcher.rollback()
    answer = api.post("/v1/consents/import?credential=main", content=lines(GOOD), headers=NDJSON)
    killer.join()
    check_problem(answer, 503)
    assert load(api, lines(GOOD))["changed"] == 1


some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
almost = st.fixed_dictionaries(
    {"to": some_json | st.just(BERT), "state": some_json | st.just("opted_in")},
    optional=dict.fromkeys(("credential", "at", "note", "source"), some_json)
    | {"at": st.datetimes().map(lambda at: at.isoformat() + "+14:00") | some_json},
)
any_line = st.one_of(
    st.binary(max_size=60),
    almost.map(lambda row: json.dumps(row).encode()),
    st.text(max_size=60).map(str.encode),
    st.lists(st.text('+14155550123opted_in"\0', max_size=14), min_size=2, max_size=3).map(
        lambda row: ",".join(row).encode()
    ),
).map(lambda line: line.replace(b"\n", b" "))


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(any_line, max_size=6), after=st.lists(any_line, max_size=6), is_csv=st.booleans())
def test_import_of_any_lines_is_answered_and_a_good_line_among_them_counts(
    api: httpx.Client, engine: Engine, before: list[bytes], after: list[bytes], is_csv: bool
) -> None:
    api.post(
        "/v1/credentials",
        json={"name": "main", "base_url": "https://abc123.api.infobip.com", "api_key": "0123456789abcdef"},
    )
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE consent, consent_change"))
    if is_csv:
        # A quote that is opened rightly may hold the good line.
        rest = [[line.replace(b'"', b"'") for line in some] for some in (before, after)]
        file = b"\n".join([b"to,state,note", *rest[0], f"+{ANNA},opted_out,".encode(), *rest[1]])
    else:
        file = b"\n".join([*before, json.dumps({"to": ANNA, "state": "opted_out"}).encode(), *after])
    report = load(api, file, CSV if is_csv else NDJSON)
    assert report["rows"] == sum(report[name] for name in ("changed", "unchanged", "kept", "rejected_count"))
    assert report["rows"] <= len(before) + len(after) + 1
    assert stands(api).get("main") == "opted_out"


# Export


@pytest.mark.parametrize(("form", "headers"), [("ndjson", NDJSON), ("csv", CSV)])
def test_exported_file_can_be_imported(api: httpx.Client, main: Any, form: str, headers: dict[str, str]) -> None:
    push(api, main, "STOP")
    say(api, "opted_in", to=BERT, note='a "b",\nc')
    answer = api.get("/v1/consents/export", params={"credential": "main", "format": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(headers["Content-Type"])
    report = load(api, answer.content, headers)
    assert (report["rows"], report["changed"], report["rejected_count"]) == (report["unchanged"], 0, 0)
    assert report["rows"] == (2 if form == "ndjson" else 4)


def test_export_has_what_the_calls_answer(api: httpx.Client, main: Any) -> None:
    say(api, "opted_in", note="first")
    say(api, "opted_out")
    (line,) = api.get("/v1/consents/export").text.splitlines()
    person = json.loads(line)
    (item,) = api.get(f"/v1/consents/{ANNA}").json()["items"]
    said = api.get(f"/v1/consents/{ANNA}/history").json()["items"]
    for name in ("credential", "state", "source", "is_blocked"):
        assert person[name] == item[name]
    assert person["to"] == ANNA
    assert [entry["reason"] for entry in person["history"]] == ["first", None]
    assert [set(entry) for entry in person["history"]] == [set(change) - {"credential"} for change in said]


def test_what_people_said_to_a_deleted_credential_is_taken_over_by_the_one_made_in_its_place(
    api: httpx.Client, main: Any, make_surface: Make
) -> None:
    say(api, "opted_out")
    assert api.delete("/v1/credentials/main").status_code == 204
    old = main["id"]
    make_surface(name="offers", message_type="marketing")  # with another "main"
    check_problem(api.get("/v1/consents/export", params={"credential": str(new_id())}), 422)
    answer = api.get("/v1/consents/export", params={"credential": old})
    assert json.loads(answer.content)["credential"] == old
    unnamed = api.post("/v1/consents/import", content=answer.content, headers=NDJSON).json()
    assert "deleted credential" in unnamed["rejected"][0]["reason"]
    check_problem(api.post(f"/v1/consents/import?credential={old}", content=answer.content, headers=NDJSON), 422)
    assert load(api, answer.content)["changed"] == 1
    assert load(api, lines(GOOD))["kept"] == 1  # it is still the person's own
    sent = api.post("/v1/messages", json={"surface": "offers", "to": ANNA, "text": "hi"}).json()
    assert sent["state"] == "suppressed"


def test_unknown_format_is_422(api: httpx.Client) -> None:
    assert "format" in check_problem(api.get("/v1/consents/export?format=xml"), 422)["detail"]


# Scopes


def test_sender_may_say_and_import_but_not_read(api: httpx.Client, engine: Engine, main: Any) -> None:
    with Session(engine) as session:
        token = tokens.create_token(session, "journey", [Scope.SEND])
    with httpx.Client(base_url=api.base_url, headers={"Authorization": f"Bearer {token}"}) as journey:
        assert say(journey, "none")["items"]
        assert load(journey, lines(GOOD))["changed"] == 1
        for path in (ANNA, f"{ANNA}/history", "export"):
            check_problem(journey.get(f"/v1/consents/{path}"), 403)


@pytest.fixture
def document(stranger: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = stranger.get("/openapi.json").json()
    return found


def test_files_are_documented_with_their_types(document: dict[str, Any]) -> None:
    types = {"application/x-ndjson", "text/csv"}
    assert set(document["paths"]["/v1/consents/import"]["post"]["requestBody"]["content"]) == types
    assert set(document["paths"]["/v1/consents/export"]["get"]["responses"]["200"]["content"]) == types
    assert "ConsentIn" in str(document["paths"]["/v1/consents/{to}"]["put"]["requestBody"])
