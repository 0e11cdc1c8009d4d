"""What handsets wrote, as it is found and read; and what their messages and ours say of each other."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import Session, select

from api.routes import inbound
from tests.api.conftest import Make, check_problem
from tests.worker.filling import FEW, KNOWLEDGE, MANY, most_rows_of
from worker import reasons
from worker.claims import claim
from worker.inbound import settle_stored
from worker.inbound_timeline import NO_REPLY
from worker.lanes import read_route
from worker.models import Credential, InboundMessage, Message
from worker.sentences import SENTENCES
from worker.settings import settings
from worker.words import Action

HANDSET, OURS = "919876543210", "919200000009"


def write(api: httpx.Client, credential: dict[str, Any], body: str | None, **fields: Any) -> dict[str, Any]:
    """A handset writes this; the message, as it is read then. An empty `body` leaves the text to the fields."""
    message_id = str(uuid4())
    item = {"messageId": message_id, "from": HANDSET, "to": OURS, "receivedAt": "2026-11-23T05:30:00.000+0000"}
    path = httpx.URL(credential["webhook_urls"]["inbound"]).path
    answer = api.post(path, json={"results": [item | ({} if body is None else {"text": body}) | fields]})
    assert answer.status_code == 200
    newest: dict[str, Any] = api.get("/v1/inbound", params={"limit": 1}).json()["items"][0]
    return newest


def found(api: httpx.Client, **search: Any) -> list[str]:
    answer = api.get("/v1/inbound", params=search)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def kinds(read: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in read["timeline"]]


def test_message_is_read_with_every_field_of_the_contract(api: httpx.Client, make_credential: Make) -> None:
    credential = make_credential()
    price = {"pricePerMessage": 0.0045, "currency": "EUR"}
    item = write(api, credential, "stop!", **{"from": "+91 98765-43210"}, smsCount=1, price=price, callbackData="inbox")
    assert UUID(item.pop("id"))
    assert UUID(item.pop("reply_id"))
    assert item.pop("stored_at")
    assert item == {
        "credential": "main",
        "channel": "sms",
        "from": HANDSET,
        "to": OURS,
        "text": "stop!",
        "media": None,
        "action": "opt_out",
        "keyword": "STOP",
        "consent": "opted_out",
        "no_reply": None,
        "segment_count": 1,
        "price": 0.0045,
        "currency": "EUR",
        "callback_data": "inbox",
        "received_at": "2026-11-23T05:30:00Z",
    }


def test_mms_is_read_with_its_text_and_its_media(api: httpx.Client, make_credential: Make) -> None:
    picture = {"contentType": "image/jpeg", "url": "https://media.example.org/123456"}
    parts = [picture, {"contentType": "text/plain", "value": "STOP"}]
    item = write(api, make_credential(), None, message=parts)
    assert (item["channel"], item["text"], item["action"]) == ("mms", "STOP", "opt_out")
    assert item["media"] == [{"content_type": "image/jpeg", "url": "https://media.example.org/123456"}]


@pytest.mark.parametrize("given", [HANDSET, f"+{HANDSET}", "+91 98765-43210", "0091 98765 43210"])
def test_numbers_are_found_in_any_form(api: httpx.Client, make_credential: Make, given: str) -> None:
    credential = make_credential()
    wanted = write(api, credential, "hello")["id"]
    other = write(api, credential, "hello", **{"from": "919876543211", "to": HANDSET})["id"]
    assert found(api, **{"from": given}) == [wanted]
    assert found(api, to=given) == [other]


@pytest.mark.parametrize("given", ["VK-KITEBK", "25256"])
def test_names_and_short_codes_are_found_as_they_came(api: httpx.Client, make_credential: Make, given: str) -> None:
    credential = make_credential()
    wanted = write(api, credential, "hello", **{"from": given})["id"]
    write(api, credential, "hello")
    assert found(api, **{"from": given}) == [wanted]


def test_action_is_found_exactly_and_custom_words_together(api: httpx.Client, make_credential: Make) -> None:
    credential = make_credential(custom_keywords=["WIN", "A:B"])
    ids = {word: write(api, credential, word)["id"] for word in ("WIN", "STOP", "a:b", "what?")}
    assert found(api, action="opt_out") == [ids["STOP"]]
    assert found(api, action="none") == [ids["what?"]]
    assert found(api, action="custom:WIN") == [ids["WIN"]]
    assert found(api, action="custom:A:B") == [ids["a:b"]]
    assert found(api, action="custom:a:b") == []
    assert found(api, action="custom") == [ids["a:b"], ids["WIN"]]
    assert found(api, action="custom", **{"from": "919876543211"}) == []


@pytest.mark.parametrize("action", ["stop", "OPT_OUT", "custom:", "opt_out:STOP", "", " none"])
def test_unknown_action_is_422_and_lists_those_there_are(api: httpx.Client, action: str) -> None:
    (error,) = check_problem(api.get("/v1/inbound", params={"action": action}), 422)["errors"]
    assert error["field"] == "action"
    for known in Action:
        assert known in error["message"]


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ({"from": "  "}, "from"),
        ({"to": ""}, "to"),
        ({"from": "9" * 65}, "from"),
        ({"from": "a\0"}, "from"),
        ({"credential": "nobody"}, "credential"),
        ({"credential": str(uuid4())}, "credential"),
        ({"sender": HANDSET}, "sender"),
        ({"limit": 0}, "limit"),
    ],
)
def test_search_that_cannot_be_done_names_its_field(api: httpx.Client, search: dict[str, Any], field: str) -> None:
    assert [error["field"] for error in check_problem(api.get("/v1/inbound", params=search), 422)["errors"]] == [field]


def test_pages_join_without_gap_newest_first(api: httpx.Client, make_credential: Make) -> None:
    credential = make_credential(custom_keywords=["WIN", "JOIN"])
    ids = [write(api, credential, word)["id"] for word in ("WIN", "JOIN", "hello", "WIN", "JOIN", "WIN", "WIN")]
    for search, wanted in [({}, ids), ({"action": "custom"}, ids[:2] + ids[3:])]:
        seen: list[str] = []
        place: dict[str, str] = {}
        while place is not None:
            page = api.get("/v1/inbound", params={"limit": 2, **search, **place}).json()
            seen += [item["id"] for item in page["items"]]
            place = page["next_cursor"] and {"cursor": page["next_cursor"]}
        assert seen == wanted[::-1]


def test_messages_to_deleted_credentials_are_listed_by_name_and_id(api: httpx.Client, make_credential: Make) -> None:
    credential = make_credential()
    before = write(api, credential, "hello")["id"]
    assert api.delete("/v1/credentials/main").status_code == 204
    after = write(api, credential, "STOP")
    assert (after["credential"], after["consent"]) == ("main", "opted_out")
    assert after["no_reply"] == NO_REPLY["credential_deleted"]
    again = write(api, make_credential(), "hello")["id"]
    write(api, make_credential(name="other"), "hello")
    assert found(api, credential=credential["id"]) == [after["id"], before]
    assert found(api, credential="main") == [again, after["id"], before]


def test_message_and_its_reply_tell_of_each_other(api: httpx.Client, make_credential: Make) -> None:
    item = write(api, make_credential(), "STOP")
    read = api.get(f"/v1/inbound/{item['id']}").json()
    assert {name: value for name, value in read.items() if name != "timeline"} == item
    received, stored, read_as, consent, replied = read["timeline"]
    assert received == {"at": "2026-11-23T05:30:00Z", "kind": "received"}
    assert stored == {"at": item["stored_at"], "kind": "stored"}
    assert read_as == {"at": read_as["at"], "kind": "read", "action": "opt_out", "keyword": "STOP"}
    assert consent == {"at": consent["at"], "kind": "consent", "state": "opted_out"}
    assert replied == {
        "at": replied["at"],
        "kind": "replied",
        "message_id": item["reply_id"],
        "state": "queued",
        "sentence": replied["sentence"],
    }
    assert replied["sentence"].startswith("Its turn has come: its first attempt leaves")
    reply = api.get(f"/v1/messages/{item['reply_id']}").json()
    assert (reply["origin"], reply["batch_id"], reply["to"]) == ("reply", None, HANDSET)
    assert reply["inbound_id"] == item["id"]
    first, accepted = reply["timeline"]
    assert first == {
        "at": "2026-11-23T05:30:00Z",
        "kind": "inbound",
        "inbound_id": item["id"],
        "action": "opt_out",
        "keyword": "STOP",
    }
    assert accepted["kind"] == "accepted"


def test_times_of_both_timelines_never_go_back(api: httpx.Client, make_credential: Make) -> None:
    item = write(api, make_credential(), "STOP", receivedAt="2126-11-23T05:30:00.000+0000")
    for path in (f"/v1/inbound/{item['id']}", f"/v1/messages/{item['reply_id']}"):
        told = [event["at"] for event in api.get(path).json()["timeline"]]
        assert told == sorted(told)


def test_reply_is_found_among_messages_and_its_lane_is_nudged(
    api: httpx.Client, make_credential: Make, session: Session, nudges: Any
) -> None:
    item = write(api, make_credential(), "HELP")
    lane_id = session.get_one(Message, UUID(item["reply_id"])).lane_id
    assert nudges.sent == [(lane_id, "transactional")]
    for search in ({"to": f"+{HANDSET}"}, {"state": "queued"}):
        (listed,) = api.get("/v1/messages", params=search).json()["items"]
        assert (listed["id"], listed["origin"], listed["batch_id"]) == (item["reply_id"], "reply", None)


def test_message_that_answers_nothing_has_no_inbound_id(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    sent = api.post("/v1/messages", json={"surface": "otp", "to": HANDSET, "text": "hi"}).json()["id"]
    assert api.get(f"/v1/messages/{sent}").json()["inbound_id"] is None


@pytest.mark.parametrize(
    ("body", "fields", "code"),
    [
        ("hello", {}, "no_message"),
        ("STPO", {}, "no_message"),
        ("STOP", {"from": "25256"}, "not_a_number"),
        ("STOP", {"to": None}, "no_sender"),
        ("STOP", {"to": HANDSET}, "own_number"),
        ("WIN", {}, "custom"),
    ],
)
def test_message_without_reply_says_why_not(
    api: httpx.Client, make_credential: Make, body: str, fields: dict[str, Any], code: str
) -> None:
    item = write(api, make_credential(custom_keywords=["WIN"]), body, **fields)
    assert (item["reply_id"], item["no_reply"]) == (None, NO_REPLY[code])
    last = api.get(f"/v1/inbound/{item['id']}").json()["timeline"][-1]
    assert (last["kind"], last["reason"], last["sentence"]) == ("not_replied", code, NO_REPLY[code])


def test_message_that_waits_to_be_settled_is_read_as_far_as_it_came(
    api: httpx.Client, engine: Engine, session: Session, make_credential: Make
) -> None:
    credential_id = UUID(make_credential()["id"])
    row = InboundMessage(
        credential_id=credential_id, provider_id="1", channel="sms", sender=HANDSET, recipient=OURS, text="STOP"
    )
    row.received_at = session.execute(text("SELECT now()")).scalar_one()
    session.add(row)
    session.commit()
    waits = api.get(f"/v1/inbound/{row.id}").json()
    assert (waits["action"], waits["consent"], waits["reply_id"], waits["no_reply"]) == (None,) * 4
    assert kinds(waits) == ["received", "stored"]
    assert settle_stored(engine, settings()) == 1
    assert kinds(api.get(f"/v1/inbound/{row.id}").json()) == ["received", "stored", "read", "consent", "replied"]


@pytest.mark.parametrize("path", ["/v1/inbound/00000000-0000-7000-8000-000000000000", "/v1/inbound/STOP"])
def test_inbound_message_that_is_not_there_is_404(api: httpx.Client, path: str) -> None:
    check_problem(api.get(path), 404)


OPTED_OUT = f"Not sent: {SENTENCES[reasons.OPTED_OUT]}"


def send_marketing(api: httpx.Client) -> str:
    return str(api.post("/v1/messages", json={"surface": "offers", "to": HANDSET, "text": "Half price"}).json()["id"])


def test_marketing_to_whoever_said_stop_is_suppressed_at_birth_and_says_so(
    api: httpx.Client, make_credential: Make, make_surface: Make
) -> None:
    credential = make_credential()
    make_surface(name="offers", message_type="marketing")
    write(api, credential, "STOP")
    message = api.get(f"/v1/messages/{send_marketing(api)}").json()
    assert (message["state"], message["reason"]) == ("suppressed", OPTED_OUT)
    assert kinds(message) == ["accepted", "finished"]
    assert message["timeline"][-1]["reason"] == "opted_out"
    assert message["next_attempt_at"] is None


def test_marketing_that_waits_while_stop_comes_is_suppressed_in_the_claim_and_says_so(
    api: httpx.Client, session: Session, make_credential: Make, make_surface: Make
) -> None:
    credential = make_credential()
    make_surface(name="offers", message_type="marketing")
    sent = send_marketing(api)
    write(api, credential, "STOP")
    route = read_route(session, session.get_one(Message, UUID(sent)).lane_id)
    assert route is not None
    assert claim(session, route, 500, 60, time.monotonic()) == (None, 1, ())
    session.commit()
    message = api.get(f"/v1/messages/{sent}").json()
    assert (message["state"], message["reason"]) == ("suppressed", OPTED_OUT)
    assert kinds(message) == ["accepted", "finished"]
    assert message["timeline"][-1]["sentence"] == OPTED_OUT.removeprefix("Not sent: ")


# Many messages that nobody looks for came after the few that somebody does.
_FILL = text("""
    INSERT INTO inbound_message (id, credential_id, provider_id, channel, sender, recipient, text, action, received_at)
    SELECT CAST('00000000-0000-7000-8000-' || lpad(to_hex(CAST(:first AS int) + n), 12, '0') AS uuid), :credential,
           :first + n, 'sms', :sender || n % :senders, '919200000009', 'hi',
           (CAST(:actions AS text[]))[1 + n % cardinality(CAST(:actions AS text[]))], now()
    FROM generate_series(1, :many) AS n
""")
PAGE = 51  # a page of the default size, and the row that says whether there is another
FEW_ACTIONS = ["opt_out", "custom:WIN", "custom:JOIN", "custom:A:B"]
SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "from": {"from": "9198765432100"},
    "action": {"action": "opt_out"},
    "word": {"action": "custom:WIN"},
    "any word": {"action": "custom"},
    "from and action": {"from": "9198765432100", "action": "opt_out"},
    "from and any word": {"from": "9198765432100", "action": "custom"},
    "from nobody": {"from": "919000000000"},
}


def fill(session: Session, credential_id: UUID, actions: list[str], knows: str) -> None:
    """FEW, and MANY others with these actions after them. What the planner knows: nothing, all, or only what there was
    before the few."""
    session.execute(text("ALTER TABLE inbound_message SET (autovacuum_enabled = false)"))  # it would tell the planner
    session.execute(text("DELETE FROM pg_statistic WHERE starelid = 'inbound_message'::regclass"))  # of an earlier test
    many = {"first": 100_000, "sender": "9199", "senders": 1000, "actions": actions, "many": MANY}
    few = {"first": 0, "sender": "919876543210", "senders": 1, "actions": FEW_ACTIONS, "many": FEW}
    for values in (many, few):
        session.execute(_FILL, {"credential": credential_id, **values})
        session.commit()
        if knows == ("the past" if values is many else "all"):
            session.connection().exec_driver_sql("ANALYZE inbound_message")
            session.commit()


def most_read(engine: Engine, search: dict[str, Any]) -> int:
    """The most rows that any step of any statement of this search reads."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        inbound.list_inbound(None, engine, inbound.InboundSearch.model_validate(search))  # type: ignore[arg-type]
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert statements
    with engine.connect() as connection:
        return max(
            most_rows_of(connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one())
            for statement, values in statements
        )


@KNOWLEDGE
@pytest.mark.parametrize("search", SEARCHES)
def test_search_reads_what_it_shows(
    engine: Engine, session: Session, make_credential: Make, search: str, knows: str
) -> None:
    make_credential()
    fill(session, session.exec(select(Credential.id)).one(), ["none", "help", "near_miss"], knows)
    assert most_read(engine, SEARCHES[search]) <= PAGE


@pytest.mark.parametrize("knows", ["all", "the past"])
def test_search_for_any_word_reads_little_where_most_messages_are_such_words(
    engine: Engine, session: Session, make_credential: Make, knows: str
) -> None:
    make_credential()
    fill(session, session.exec(select(Credential.id)).one(), ["custom:BIG", "custom:MORE", "help"], knows)
    assert most_read(engine, SEARCHES["any word"]) <= 2 * PAGE
