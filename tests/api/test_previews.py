"""Previews over HTTP: what a send would become, and that nothing is written for it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel

from tests.api.conftest import Make, check_problem, created
from tests.factories import ENTITY, TEMPLATE, make_window
from worker.models import Consent, DeliveryReport
from worker.orders import Row
from worker.preview import MOST_ROWS
from worker.rows import Checked, RowReader
from worker.tokens import create_token

INDIAN, OTHER, BRITON = "+919876543210", "+919876543211", "+447700900001"
TEXT = "Order {#var#} is on its way. -KITEBK"
SENT = "Order A-1 is on its way. -KITEBK"


def preview(api: httpx.Client, *rows: Any, status: int = 200, **fields: Any) -> dict[str, Any]:
    rows = rows or ({"to": INDIAN},)
    answer = api.post("/v1/preview", json={"surface": "otp", "messages": list(rows), **fields})
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def item(api: httpx.Client, *rows: Any, **fields: Any) -> dict[str, Any]:
    (found,) = preview(api, *rows, **fields)["items"]
    return found  # type: ignore[no-any-return]


def opted_out(session: Session, surface: dict[str, Any], recipient: str) -> None:
    session.add(
        Consent(
            recipient=recipient.removeprefix("+"),
            credential_id=UUID(surface["credential_id"]),
            state="opted_out",
            source="keyword",
        )
    )
    session.commit()


def test_each_text_is_shown_as_it_would_go_out(api: httpx.Client, make_surface: Make) -> None:
    made = make_surface(principal_entity_id=ENTITY)
    before = datetime.now(UTC)
    found = item(api, {"to": "+91 98765-43210", "variables": {"name": "Asha"}}, text="Hi {{name}} ’")
    leaves_at = datetime.fromisoformat(found.pop("leaves_at"))
    assert before - timedelta(seconds=5) <= leaves_at <= datetime.now(UTC) + timedelta(seconds=5)
    assert found == {
        "index": 0,
        "to": "919876543210",
        "goes_as": "sms",
        "sender": made["sender"],
        "text": "Hi Asha ’",
        "sent_as": None,
        "mms": None,
        "segments": {
            "encoding": "UCS-2",
            "parts": 1,
            "characters": 9,
            "left": 61,
            "tables": None,
            "forcing": {"character": "’", "name": "U+2019 RIGHT SINGLE QUOTATION MARK", "at": 8},
        },
        "content_template_id": None,
        "principal_entity_id": ENTITY,
        "warning": None,
        "not_sent": None,
        "leaves_before": None,
    }


def test_the_manner_of_the_batch_counts_before_that_of_the_surface(api: httpx.Client, make_surface: Make) -> None:
    make_surface(transliteration="GREEK", language="TR")
    found = item(api, text="привет ğ", transliteration="CYRILLIC", language="PT")
    assert found["sent_as"].startswith("privet")
    assert found["segments"]["encoding"] == "UCS-2"
    assert found["segments"]["forcing"]["character"] == "ğ"
    turkish = item(api, text="ğ")
    assert (turkish["segments"]["encoding"], turkish["segments"]["tables"]) == ("GSM-7", "TR locking")


def test_rows_that_cannot_be_sent_are_listed_beside_the_others(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    long = "ж" * 1_700
    found = preview(api, {"to": "x", "text": "a"}, {"to": INDIAN, "text": "b"}, {"to": 1}, {"to": INDIAN, "text": long})
    assert [one["index"] for one in found["items"]] == [1]
    assert [(row["index"], row["field"]) for row in found["rejected"]] == [(0, "to"), (2, "to"), (3, "text")]
    assert "U+0436 CYRILLIC SMALL LETTER ZHE at character 1" in found["rejected"][2]["reason"]


def test_parts_of_all_are_added_up(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    found = preview(api, {"to": INDIAN}, {"to": OTHER, "text": "x" * 161}, text="hi")
    assert [one["segments"]["parts"] for one in found["items"]] == [1, 2]
    assert found["parts"] == 3


def test_whom_consent_forbids_has_no_turn_and_costs_nothing(
    api: httpx.Client, session: Session, make_surface: Make
) -> None:
    made = make_surface(message_type="marketing")
    opted_out(session, made, INDIAN)
    found = preview(api, {"to": INDIAN}, {"to": OTHER}, text="hi")
    assert [(one["not_sent"], one["leaves_at"] is None) for one in found["items"]] == [
        ("opted_out", True),
        (None, False),
    ]
    assert [(cost["messages"], cost["parts"]) for cost in found["cost"]] == [(1, 1)]


def test_whom_consent_forbids_takes_no_turn_of_the_pace(
    api: httpx.Client, session: Session, make_surface: Make
) -> None:
    """As the batch itself would give them."""
    made = make_surface(message_type="marketing")
    opted_out(session, made, INDIAN)
    rows = [{"to": INDIAN}, {"to": OTHER}, {"to": BRITON}]
    found = preview(api, *rows, text="hi", messages_per_second=1)["items"]
    turns = [datetime.fromisoformat(one["leaves_at"]) for one in found if one["leaves_at"]]
    assert turns[1] - turns[0] == timedelta(seconds=1)
    start = datetime.now(UTC) + timedelta(hours=1)
    later = preview(api, *rows, text="hi", messages_per_second=1, send_at=start.isoformat())["items"]
    assert datetime.fromisoformat(later[1]["leaves_at"]) == start


def test_dropped_duplicates_are_counted_and_not_shown(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    rows = [{"to": INDIAN}, {"to": "+91 98765 43210"}, {"to": OTHER}]
    found = preview(api, *rows, text="hi", deduplicate=True)
    assert ([one["index"] for one in found["items"]], found["duplicates"], found["parts"]) == ([0, 2], 1, 2)
    found = preview(api, *rows, text="hi")
    assert ([one["index"] for one in found["items"]], found["duplicates"]) == ([0, 1, 2], 0)


def test_the_turn_lies_in_the_sending_window(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    now = datetime.now(UTC)
    window = make_window(now, timedelta(hours=2), timedelta(hours=5))
    found = item(api, text="hi", sending_window=window)
    opens = datetime.fromisoformat(found["leaves_at"])
    assert f"{opens:%H:%M}" == window["from"]
    assert now < opens <= now + timedelta(hours=2)
    assert datetime.fromisoformat(found["leaves_before"]) - opens == timedelta(hours=3)


def test_what_has_no_turn_before_its_validity_ends_would_not_be_sent(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    window = make_window(datetime.now(UTC), timedelta(hours=2), timedelta(hours=5))
    found = item(api, text="hi", sending_window=window, validity_period="PT30M")
    assert (found["not_sent"], found["leaves_at"], found["leaves_before"]) == ("window_closed", None, None)


def register(api: httpx.Client) -> None:
    body = {"content_template_id": TEMPLATE, "principal_entity_id": ENTITY, "name": "order", "text": TEXT}
    created(api.post("/v1/dlt-templates", json={**body, "category": "service_implicit", "headers": ["KITEBK"]}))


def test_the_template_that_a_text_fits_is_shown(api: httpx.Client, make_surface: Make) -> None:
    make_surface(dlt="warn", sender="KITEBK", principal_entity_id=ENTITY)
    register(api)
    found = preview(api, {"to": INDIAN, "text": SENT}, {"to": INDIAN, "text": "Else"}, {"to": BRITON, "text": "Else"})
    assert [one["content_template_id"] for one in found["items"]] == [TEMPLATE, None, None]
    assert [bool(one["warning"]) for one in found["items"]] == [False, True, False]
    made = item(api, template="order", template_variables=["A-1"])
    assert (made["text"], made["content_template_id"], made["principal_entity_id"]) == (SENT, TEMPLATE, ENTITY)


def test_an_mms_is_shown_as_it_would_go_out(api: httpx.Client, make_surface: Make) -> None:
    made = make_surface(channel="mms", fallback_sender="KITEBK")
    mms = {"title": "For {{n}}", "parts": [{"text": "Look"}], "fallback_text": "Hi"}
    found = item(api, {"to": BRITON, "variables": {"n": "Asha"}}, mms=mms)
    assert found["mms"] == {**mms, "title": "For Asha", "fallback_sender": "KITEBK"}
    assert (found["text"], found["segments"]) == (None, None)
    assert (found["goes_as"], found["sender"]) == ("mms", made["sender"])


def test_of_an_mms_to_india_the_sms_in_its_place_is_shown(api: httpx.Client, make_surface: Make) -> None:
    made = make_surface(channel="mms", fallback_sender="KITEBK", transliteration="GREEK")
    mms = {"parts": [{"text": "Look"}], "fallback_text": "{{n}}, Ωραία " + "x" * 160}
    rows = [{"to": to, "variables": {"n": "Asha"}} for to in (INDIAN, BRITON)]
    found = preview(api, *rows, mms=mms)
    sms, whole = found["items"]
    assert (sms["goes_as"], sms["sender"], sms["mms"]) == ("sms", "KITEBK", None)
    assert (sms["text"], sms["sent_as"]) == ("Asha, Ωραία " + "x" * 160, "Asha, ΩPAIA " + "x" * 160)
    assert (sms["segments"]["encoding"], sms["segments"]["parts"], found["parts"]) == ("GSM-7", 2, 2)
    assert (whole["goes_as"], whole["sender"]) == ("mms", made["sender"])


def test_an_mms_without_a_text_in_its_place_goes_to_india_as_it_is(api: httpx.Client, make_surface: Make) -> None:
    make_surface(channel="mms")
    found = item(api, mms={"parts": [{"text": "Look"}]})
    assert (found["goes_as"], found["segments"]) == ("mms", None)
    assert "fallback_text" in found["warning"]


def test_the_sms_in_an_mms_s_place_is_held_against_the_templates(api: httpx.Client, make_surface: Make) -> None:
    make_surface(channel="mms", dlt="warn", fallback_sender="KITEBK", principal_entity_id=ENTITY)
    register(api)
    mms = {"parts": [{"text": "Look"}], "fallback_text": "{{text}}"}
    rows = [{"to": INDIAN, "variables": {"text": text}} for text in (SENT, "Else")]
    fits, fits_not = preview(api, *rows, mms=mms)["items"]
    assert (fits["content_template_id"], fits["warning"]) == (TEMPLATE, None)
    assert fits_not["warning"].startswith("mms.fallback_text: ")


def test_a_link_that_leads_nowhere_is_refused(api: httpx.Client, make_surface: Make) -> None:
    make_surface(channel="mms")
    mms = {"parts": [{"text": "Look"}, {"url": "https://127.0.0.1/p.jpg"}]}
    answer = api.post("/v1/preview", json={"surface": "otp", "messages": [{"to": BRITON}], "mms": mms})
    assert [error["field"] for error in check_problem(answer, 422)["errors"]] == ["mms.parts.1.url"]


def test_costs_are_told_by_network(api: httpx.Client, session: Session, make_surface: Make) -> None:
    make_surface()
    sent = created_message(api)
    session.add(
        DeliveryReport(
            message_id=sent,
            attempt=1,
            price=Decimal("0.00213"),
            currency="EUR",
            mcc_mnc="40410",
            segment_count=1,
            source="push",
            result="applied",
        )
    )
    session.commit()
    found = preview(api, {"to": INDIAN, "text": "x" * 161}, {"to": OTHER, "text": "hi"})
    assert found["cost"] == [
        {"channel": "sms", "mcc_mnc": "40410", "messages": 1, "parts": 2, "amount": 0.0043, "currency": "EUR"},
        {"channel": "sms", "mcc_mnc": None, "messages": 1, "parts": 1, "amount": 0.0021, "currency": "EUR"},
    ]


def test_each_channel_has_the_prices_of_its_own_lane(api: httpx.Client, session: Session, make_surface: Make) -> None:
    made = make_surface(channel="mms")
    make_surface(name="texts", credential=made["credential"])
    texted = created_message(api, surface="texts", to="+919876543212", text="hi")
    pictured = created_message(api, to="+447700900009", mms={"parts": [{"text": "Look"}]})
    for sent, price in ((texted, "0.002"), (pictured, "0.5")):
        report = {"message_id": sent, "attempt": 1, "price": Decimal(price), "currency": "EUR", "source": "push"}
        session.add(DeliveryReport(**report, segment_count=1, result="applied"))
    session.commit()
    mms = {"parts": [{"text": "Look"}], "fallback_text": "x" * 161}
    found = preview(api, {"to": INDIAN}, {"to": BRITON}, mms=mms)["cost"]
    assert [(cost["channel"], cost["parts"], cost["amount"]) for cost in found] == [("mms", 1, 0.5), ("sms", 2, 0.004)]


def created_message(api: httpx.Client, **fields: Any) -> UUID:
    answer = api.post("/v1/messages", json={"surface": "otp", "to": INDIAN, **(fields or {"text": "hi"})})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


def test_without_prices_no_amount_is_told(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    assert preview(api, text="hi")["cost"] == [
        {"channel": "sms", "mcc_mnc": None, "messages": 1, "parts": 1, "amount": None, "currency": None}
    ]


def test_more_rows_than_a_preview_shows_are_refused(api: httpx.Client, make_surface: Make) -> None:
    make_surface()
    rows = [{"to": INDIAN}] * MOST_ROWS
    assert len(preview(api, *rows, text="hi")["items"]) == MOST_ROWS
    found = preview(api, *rows, {"to": INDIAN}, text="hi", status=422)
    assert found["errors"] == [
        {"field": "messages", "message": "at most 1,000 rows fit in a preview: give a few of them"}
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"surface": "nothing", "text": "hi"}, "surface"),
        ({"text": " "}, "text"),
        ({"text": "hi", "template": "order"}, "template"),
        ({"text": "hi", "sending_window": "off"}, "window_off_reason"),
        ({"text": "hi", "mms": {"parts": [{"text": "a"}]}}, "mms"),
        ({"text": "hi", "validity_period": "PT1S"}, "validity_period"),
        ({"text": "hi", "colour": "red"}, "colour"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_the_batch_itself_is_refused(
    api: httpx.Client, make_surface: Make, fields: dict[str, Any], field: str
) -> None:
    make_surface()
    assert [error["field"] for error in preview(api, status=422, **fields)["errors"]] == [field]


def test_nothing_is_written(api: httpx.Client, session: Session, make_surface: Make) -> None:
    make_surface(dlt="warn", principal_entity_id=ENTITY)
    register(api)

    def rows() -> dict[str, int]:
        tables = SQLModel.metadata.sorted_tables
        counts = {one.name: session.execute(text(f'SELECT count(*) FROM "{one.name}"')).scalar_one() for one in tables}
        session.rollback()
        return counts

    before = rows()
    preview(api, {"to": INDIAN, "text": SENT}, {"to": "x", "text": "a"}, on_invalid="skip")
    assert rows() == before


@pytest.mark.parametrize(("scope", "status"), [("send", 200), ("read", 403), ("admin", 200)])
def test_whoever_may_send_may_ask(
    session: Session, api: httpx.Client, stranger: httpx.Client, make_surface: Make, scope: str, status: int
) -> None:
    make_surface()
    token = create_token(session, "journeys", [scope])
    body = {"surface": "otp", "messages": [{"to": INDIAN}], "text": "hi"}
    assert stranger.post("/v1/preview", json=body).status_code == 401
    answer = stranger.post("/v1/preview", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text


def test_nobody_waits_for_rows_that_are_previewed(
    api: httpx.Client, engine: Engine, make_surface: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    read = RowReader.read
    locked: list[int] = []

    def lock_and_read(self: RowReader, row: Row) -> Checked:
        with engine.begin() as connection:
            locked.append(len(connection.execute(text("SELECT 1 FROM surface, credential FOR UPDATE NOWAIT")).all()))
        return read(self, row)

    monkeypatch.setattr(RowReader, "read", lock_and_read)
    item(api, text="hi")
    assert locked == [1]
