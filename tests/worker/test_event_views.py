"""Events as they are told: what the log says, with what the rows of its subjects say, in a few queries a page."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlmodel import Session

from tests.factories import HANDSET, OUR_NUMBER, MadeLane, make_batch
from tests.worker.steps import answer, apply, batch_of, change, fail_with, message, report, retries_due, took, wrote
from worker.errors import CredentialRefused
from worker.event_views import describe
from worker.events import Told, tell
from worker.feeds import START, Place, place_of, read_events
from worker.infobip.reports import Report
from worker.models import EventEndpoint
from worker.reasons import DELIVERED_LATE, OPTED_OUT
from worker.sentences import SENTENCES
from worker.words import EventType

is_away = partial(report, status=9, group=2, error=27)


def described(session: Session) -> list[dict[str, Any]]:
    """The whole log. It goes through JSON, as it does to whoever is told."""
    rows = read_events(session, START, (), 2_000, 2_000).rows
    told: list[dict[str, Any]] = orjson.loads(orjson.dumps(describe(session, rows)))
    session.rollback()
    return told


def data(session: Session) -> list[dict[str, Any]]:
    return [event["data"] for event in described(session)]


def priced(item: Report, price: str | None) -> Report:
    """The same with another price, or none."""
    return replace(item, price=None if price is None else Decimal(price))


def z(at: datetime | None) -> str:
    assert at is not None
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def sent(session: Session, lane: MadeLane) -> UUID:
    """A message that Infobip has taken, of a batch with a journey."""
    (message_id,) = make_batch(session, lane, [HANDSET])
    change(session, """UPDATE batch SET journey = '{"id": "welcome", "steps": [1, 2]}'""")
    answer(session, took(session, lane))
    return message_id


def test_a_message_is_told_with_all_that_its_rows_say(session: Session, lane: MadeLane, sent: UUID) -> None:
    apply(session, lane, is_away(sent))
    retries_due(session)
    answer(session, took(session, lane))
    apply(session, lane, report(sent, attempt=2))
    row = message(session, sent)
    about = {
        "message_id": str(sent),
        "batch_id": str(batch_of(session, sent).id),
        "journey": {"id": "welcome", "steps": [1, 2]},
        "surface": "account",
        "origin": "api",
        "to": HANDSET,
        "callback_data": "order-5512",
        "created_at": z(row.created_at),
        "expires_at": z(row.expires_at),
        "price": {"amount": "0.0021", "currency": "EUR"},
        "segment_count": None,
        "mcc_mnc": "40410",
    }
    failure, end = described(session)
    assert failure["data"] == {
        **about,
        "reason": "EC_ABSENT_SUBSCRIBER",
        "sentence": failure["data"]["sentence"],
        "attempt": 1,
        "next_attempt_at": failure["data"]["next_attempt_at"],
    }
    assert "The phone was off" in failure["data"]["sentence"]
    assert failure["data"]["next_attempt_at"].endswith("Z")
    assert end["data"] == {**about, "state": "delivered", "reason": None, "sentence": None, "attempts": 2}
    assert [event["type"] for event in (failure, end)] == ["attempt.failed", "message.delivered"]


def test_an_event_has_an_id_a_time_and_the_cursor_of_its_place(session: Session, sent: UUID) -> None:
    tell(session, [Told(EventType.MESSAGE_FAILED, sent), Told(EventType.MESSAGE_DELIVERED, sent)])
    session.commit()
    rows = read_events(session, START, (), 10, 10).rows
    for row, event in zip(rows, described(session), strict=True):
        assert set(event) == {"id", "type", "at", "cursor", "data"}
        assert (event["id"], event["type"], event["at"]) == (str(row.id), row.type, z(row.at))
        assert place_of(session, event["cursor"]) == Place(row.transaction_id, row.id)


def test_own_callback_data_goes_before_the_batch_s_even_where_it_is_empty(
    session: Session, lane: MadeLane, sent: UUID
) -> None:
    change(session, "UPDATE message SET callback_data = ''")
    apply(session, lane, report(sent))
    assert [told["callback_data"] for told in data(session)] == [""]


def test_an_end_is_told_as_it_was_though_the_message_has_gone_on(session: Session, lane: MadeLane, sent: UUID) -> None:
    apply(session, lane, report(sent, status=9, group=2, error=1))
    apply(session, lane, report(sent))
    _, failed, delivered = data(session)
    assert (failed["state"], failed["reason"]) == ("failed", "EC_UNKNOWN_SUBSCRIBER")
    assert (delivered["state"], delivered["reason"]) == ("delivered", "delivered_late")
    assert delivered["sentence"] == SENTENCES[DELIVERED_LATE]


class TestPrice:
    """Of the attempt that failed, or that delivered; by its first priced report."""

    @pytest.fixture
    def sent_again(self, session: Session, lane: MadeLane, sent: UUID) -> UUID:
        apply(session, lane, priced(is_away(sent), "0.01"))
        retries_due(session)
        answer(session, took(session, lane))
        return sent

    def prices(self, session: Session) -> list[str | None]:
        return [told["price"] and told["price"]["amount"] for told in data(session)]

    def test_each_attempt_has_its_own(self, session: Session, lane: MadeLane, sent_again: UUID) -> None:
        apply(session, lane, priced(report(sent_again, attempt=2), "0.02"))
        assert self.prices(session) == ["0.01", "0.02"]

    def test_it_is_that_of_the_attempt_which_delivered(
        self, session: Session, lane: MadeLane, sent_again: UUID
    ) -> None:
        apply(session, lane, priced(is_away(sent_again, attempt=2), "0.02"))
        apply(session, lane, priced(report(sent_again, attempt=1), "0.03"))
        assert self.prices(session) == ["0.01", "0.02", "0.01"]  # the first that was named for attempt 1

    def test_of_another_end_it_is_that_of_the_last_attempt(
        self, session: Session, lane: MadeLane, sent_again: UUID
    ) -> None:
        apply(session, lane, priced(report(sent_again, attempt=2, status=9, group=2, error=1), "0.02"))
        assert self.prices(session) == ["0.01", "0.02", "0.02"]

    def test_a_report_without_a_price_gives_way_to_one_with_it(
        self, session: Session, lane: MadeLane, sent: UUID
    ) -> None:
        apply(session, lane, priced(report(sent), None))
        assert self.prices(session) == [None]
        apply(session, lane, priced(report(sent, done="12:00:02.000"), "0.0000001"))
        apply(session, lane, priced(report(sent, done="12:00:03.000"), "0.5"))
        assert self.prices(session) == ["0.0000001"]

    def test_what_was_not_reported_has_none(self, session: Session, sent: UUID) -> None:
        tell(session, [Told(EventType.MESSAGE_UNCONFIRMED, sent, 1)])
        session.commit()
        assert self.prices(session) == [None]


def test_an_inbound_message_is_told_as_it_was_settled(session: Session, lane: MadeLane) -> None:
    row = wrote(session, lane, "Stop ")
    assert data(session) == [
        {
            "inbound_id": str(row.id),
            "credential": "account",
            "channel": "sms",
            "from": HANDSET,
            "to": OUR_NUMBER,
            "text": "Stop ",
            "action": "opt_out",
            "keyword": "STOP",
            "consent": "opted_out",
            "reply_id": str(row.reply_id),
            "received_at": z(row.received_at),
        }
    ]


def test_a_custom_word_is_told(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE credential SET custom_keywords = '{BALANCE}'")
    wrote(session, lane, "balance")
    (event,) = described(session)
    assert (event["type"], event["data"]["action"]) == ("inbound.custom", "custom:BALANCE")


def test_a_hold_is_told_as_it_was_when_it_began(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, [HANDSET])
    fail_with(session, took(session, lane), CredentialRefused("HTTP 401"))
    (held,) = data(session)
    change(session, "UPDATE lane SET kind = NULL, reason = NULL, held_until = NULL")
    assert data(session) == [held]
    assert held == {
        "lane_id": str(lane.id),
        "credential": "account",
        "channel": "sms",
        "message_type": "transactional",
        "kind": "account",
        "reason": "HTTP 401",
        "held_until": held["held_until"],
    }
    assert held["held_until"].endswith("Z")


def test_a_disabled_endpoint_is_told_by_name(session: Session) -> None:
    endpoint = EventEndpoint(name="journeys", url="https://journeys.example", secret=b"")
    session.add(endpoint)
    session.flush()
    tell(session, [Told(EventType.ENDPOINT_DISABLED, endpoint.id, reason="It is gone for good")])
    session.commit()
    assert data(session) == [{"endpoint_id": str(endpoint.id), "name": "journeys", "reason": "It is gone for good"}]


@pytest.mark.parametrize("type_", EventType)
def test_an_event_is_told_though_the_rows_of_its_subject_are_gone(session: Session, type_: EventType) -> None:
    subject = UUID(int=7)
    tell(session, [Told(type_, subject, 1, reason=OPTED_OUT)])
    session.commit()
    (event,) = described(session)
    assert event["type"] == type_
    assert str(subject) in event["data"].values()
    known = {"reason", "sentence", "attempt", "attempts", "state", "action"}
    assert all(value is None for name, value in event["data"].items() if name not in known and value != str(subject))
    if type_.kind in ("message", "attempt"):
        assert event["data"]["sentence"] == SENTENCES[OPTED_OUT]


@pytest.mark.parametrize("size", [1, 300])
def test_as_many_queries_describe_a_long_page_as_a_short_one(
    session: Session, engine: Engine, lane: MadeLane, size: int
) -> None:
    ids = make_batch(session, lane, [f"9199{n:08}" for n in range(size)])
    answer(session, took(session, lane))
    apply(session, lane, *(report(message_id) for message_id in ids))
    rows = read_events(session, START, (), 1_000, 1_000).rows
    asked: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sa.event.listen(engine, "before_cursor_execute", see)
    try:
        told = describe(session, rows)
    finally:
        sa.event.remove(engine, "before_cursor_execute", see)
    assert len(told) == size
    assert len(asked) == 6  # messages, batches, surfaces, reports, attempts, and the cluster for the cursors
