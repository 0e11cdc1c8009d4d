"""Answers to inbound messages: the message that one becomes, when none goes, and that no loop lasts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import Session, select

from tests.factories import ENTITY, HANDSET, OUR_NUMBER, TEMPLATE, MadeLane, make_batch, make_inbound, make_lane
from tests.worker.steps import (
    assert_tally_is_exact,
    change,
    consent_row,
    consented,
    message,
    pushed,
    time_passes,
    took,
    wrote,
)
from worker import inbound, replies
from worker.db import database_now
from worker.infobip.payloads import send_request
from worker.models import InboundMessage, Message
from worker.settings import settings
from worker.words import Action, ConsentState

MINUTE = timedelta(minutes=1)


def replied(session: Session) -> list[Message]:
    """Our replies, oldest first."""
    return list(session.exec(select(Message).where(Message.origin == "reply").order_by(Message.id)))  # type: ignore[arg-type]


def configure(session: Session, lane: MadeLane, **fields: Any) -> None:
    values = ", ".join(f"{field} = :{field}" for field in fields)
    change(session, f"UPDATE credential SET {values} WHERE id = :id", id=lane.credential_id, **fields)


@pytest.mark.parametrize(("hours", "validity"), [(48, timedelta(hours=4)), (2, timedelta(hours=2))])
def test_a_reply_is_a_message_like_any_other(session: Session, lane: MadeLane, hours: int, validity: timedelta) -> None:
    configure(
        session,
        lane,
        validity_period_hours=hours,
        principal_entity_id=ENTITY,
        content_template_id=TEMPLATE,
        callback_data="account",
        opt_out_message="Bye\t\\ \n— अलविदा",
    )
    row = wrote(session, lane, "Stop!")
    assert row.reply_id is not None
    reply = message(session, row.reply_id)
    assert (reply.origin, reply.lane_id, reply.batch_id, reply.surface_id) == ("reply", lane.id, None, None)
    assert (reply.sender, reply.recipient, reply.text) == (OUR_NUMBER, HANDSET, "Bye\t\\ \n— अलविदा")
    assert (reply.principal_entity_id, reply.content_template_id) == (ENTITY, TEMPLATE)
    assert (reply.callback_data, reply.state, reply.attempt_count) == ("account", "queued", 0)
    assert reply.expires_at - reply.created_at == validity == timedelta(seconds=reply.validity_seconds)
    assert reply.next_attempt_at == reply.created_at
    assert_tally_is_exact(session, lane)


def test_a_reply_leaves_from_the_number_that_was_written_to_with_its_dlt_ids(session: Session, lane: MadeLane) -> None:
    configure(session, lane, principal_entity_id=ENTITY, content_template_id=TEMPLATE)
    wrote(session, lane, "HELP", recipient="56767")
    submission = took(session, lane)
    now = datetime.now(UTC)
    request = json.loads(send_request(submission.route.channel, submission.id, submission.messages, 0.0, "x", now).body)
    (sent,) = request["messages"]
    assert (sent["sender"], sent["destinations"][0]["to"]) == ("56767", HANDSET)
    assert sent["options"]["regional"]["indiaDlt"] == {"principalEntityId": ENTITY, "contentTemplateId": TEMPLATE}


NO_CONSENT = None


@pytest.mark.parametrize(
    ("fields", "why_not", "consent"),
    [
        ({"sender": "56767"}, replies.NOT_A_NUMBER, NO_CONSENT),
        ({"sender": "KITEBK"}, replies.NOT_A_NUMBER, NO_CONSENT),
        ({"sender": "KITEBK", "recipient": "KITEBK"}, replies.NOT_A_NUMBER, NO_CONSENT),
        ({"sender": OUR_NUMBER}, replies.OWN_NUMBER, "opted_out"),
        ({"recipient": None}, replies.NO_SENDER, "opted_out"),
        ({"recipient": None, "sender": "KITEBK"}, replies.NO_SENDER, NO_CONSENT),
    ],
)
def test_no_reply_goes_where_nobody_reads_it_or_a_machine_does(
    session: Session, lane: MadeLane, fields: dict[str, Any], why_not: str, consent: str | None
) -> None:
    row = wrote(session, lane, "STOP", **fields)
    assert (row.action, row.no_reply, row.reply, row.reply_id) == ("opt_out", why_not, None, None)
    assert row.consent == consent
    assert replied(session) == []
    rows = session.execute(text("SELECT state FROM consent")).scalars().all()
    assert rows == ([] if consent is None else [consent])


def test_no_reply_goes_to_the_credentials_own_number(session: Session, lane: MadeLane) -> None:
    configure(session, lane, inbound_number=f"+{OUR_NUMBER}")
    row = wrote(session, lane, "STOP", sender=OUR_NUMBER, recipient=None)
    assert (row.no_reply, row.consent) == (replies.NO_SENDER, "opted_out")
    row = wrote(session, lane, "STOP", sender=OUR_NUMBER, recipient=f"+{OUR_NUMBER}")
    assert (row.no_reply, row.consent) == (replies.OWN_NUMBER, "opted_out")


def test_a_deleted_credential_answers_nobody_and_still_keeps_their_word(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE credential SET deleted_at = now()")
    row = wrote(session, lane, "STOP")
    assert (row.no_reply, row.consent, replied(session)) == (replies.CREDENTIAL_DELETED, "opted_out", [])
    assert consent_row(session, lane, HANDSET).state == "opted_out"


def test_a_blocked_number_gets_no_reply_until_it_opts_in(session: Session, lane: MadeLane) -> None:
    consented(session, lane, HANDSET, ConsentState.OPTED_OUT, is_blocked=True)
    rows = [wrote(session, lane, word) for word in ("HELP", "STOP", "START")]
    assert [row.no_reply for row in rows] == [replies.NUMBER_BLOCKED, replies.NUMBER_BLOCKED, None]
    assert [one.text for one in replied(session)] == ["You are subscribed. Reply STOP to unsubscribe, HELP for help."]


ECHOED = "Sorry, we did not understand that."


@pytest.mark.parametrize("written", [ECHOED, ECHOED.upper(), f"Out of office. You wrote: {ECHOED}", ECHOED[:25]])
def test_an_echo_of_a_reply_is_not_answered(session: Session, lane: MadeLane, written: str) -> None:
    configure(session, lane, default_reply_message=ECHOED)
    row = wrote(session, lane, written)
    assert (row.action, row.no_reply, replied(session)) == ("none", replies.ECHO, [])


@pytest.mark.parametrize(
    "written",
    ["Your parcel is on its way", "AUTO-REPLY: your parcel is on its way (I am in a meeting)", "parcel is on its way"],
)
def test_an_echo_of_what_this_person_was_sent_is_not_answered(session: Session, lane: MadeLane, written: str) -> None:
    configure(session, lane, default_reply_message="Sorry?")
    make_batch(session, lane, [HANDSET, "919900000002"])
    rows = [wrote(session, lane, written, sender=sender) for sender in (HANDSET, "919900000002", "919900000003")]
    assert [row.no_reply for row in rows] == [replies.ECHO, replies.ECHO, None]
    assert wrote(session, lane, "Where is it?").no_reply is None


def test_an_echo_of_the_answer_to_another_near_miss_is_not_answered(session: Session, lane: MadeLane) -> None:
    configure(session, lane, fuzzy_opt_out_message="Please write {{keyword}} to leave")
    wrote(session, lane, "unsubscrib")
    time_passes(session, 2 * MINUTE)
    assert wrote(session, lane, "Please write UNSUBSCRIBE to leave").no_reply == replies.ECHO


def test_a_keyword_is_answered_though_it_was_sent_to_them(session: Session, lane: MadeLane) -> None:
    make_batch(session, lane, [HANDSET])
    change(session, "UPDATE message SET text = 'STOP'")
    assert wrote(session, lane, "STOP").reply == "opt_out"


def test_one_reply_a_minute_to_a_person_for_an_action(session: Session, lane: MadeLane) -> None:
    assert wrote(session, lane, "STOP").no_reply is None
    time_passes(session, MINUTE - timedelta(seconds=5))
    assert wrote(session, lane, "stop").no_reply == replies.TOO_SOON
    assert wrote(session, lane, "HELP").no_reply is None
    assert wrote(session, lane, "STOP", sender="919900000002").no_reply is None
    other = make_lane(session, name="other")
    assert wrote(session, other, "STOP").no_reply is None
    time_passes(session, timedelta(seconds=5))
    assert wrote(session, lane, "STOP").no_reply is None
    assert_tally_is_exact(session, lane)


def test_one_reply_a_minute_within_one_push(session: Session, lane: MadeLane) -> None:
    rows = pushed(session, lane, *(make_inbound(word) for word in ("STOP", "END", "HELP", "START", "STOP")))
    assert [row.no_reply for row in rows] == [None, replies.TOO_SOON, None, None, replies.TOO_SOON]
    assert len(replied(session)) == 3


def test_ten_replies_a_day_to_a_person_for_an_action(session: Session, lane: MadeLane) -> None:
    for _ in range(10):
        assert wrote(session, lane, "HELP").no_reply is None
        time_passes(session, timedelta(hours=1))
    assert wrote(session, lane, "HELP").no_reply == replies.TOO_MANY
    assert wrote(session, lane, "STOP").no_reply is None
    time_passes(session, timedelta(hours=14))
    assert wrote(session, lane, "HELP").no_reply is None
    assert wrote(session, lane, "HELP").no_reply == replies.TOO_SOON
    time_passes(session, MINUTE)
    assert wrote(session, lane, "HELP").no_reply == replies.TOO_MANY


def test_the_minute_runs_from_the_reply_however_long_its_message_waited(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    inbound.store(session, [(lane.credential_id, [make_inbound("HELP")])])
    session.commit()
    time_passes(session, timedelta(hours=30))
    assert inbound.settle_stored(engine, settings()) == 1
    assert wrote(session, lane, "HELP").no_reply == replies.TOO_SOON


def test_two_auto_responders_exchange_ten_replies_a_day(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    numbers = {lane: "447700900001", other: "447700900002"}
    for one in (lane, other):
        configure(session, one, default_reply_message=f"Nobody reads {numbers[one]}. Write to our desk.")
    texts = dict.fromkeys(numbers, "Is anybody there?")
    gone = dict.fromkeys(numbers, 0)
    for _ in range(100):
        for me, them in ((lane, other), (other, lane)):
            row = wrote(session, me, texts[them], sender=numbers[them], recipient=numbers[me])
            assert row.action == "none"
            if row.reply_id is not None:
                texts[me] = str(message(session, row.reply_id).text)
                gone[me] += 1
        time_passes(session, timedelta(days=1) / 100)
    assert gone == {lane: 10, other: 10}


@pytest.mark.parametrize(
    ("field", "written", "answered"),
    [
        ("default_reply_message", "Where is my parcel?", "Ask at the desk"),
        ("fuzzy_opt_out_message", "please stop", "Ask at the desk STOP"),
        ("fuzzy_opt_out_message", "unsubscrib", "Ask at the desk UNSUBSCRIBE"),
    ],
)
def test_what_is_no_keyword_is_answered_only_where_a_text_is_set(
    session: Session, lane: MadeLane, field: str, written: str, answered: str
) -> None:
    row = wrote(session, lane, written)
    assert (row.no_reply, row.consent) == (replies.NO_MESSAGE, None)
    configure(session, lane, **{field: ""})
    assert wrote(session, lane, written).no_reply == replies.NO_MESSAGE
    configure(session, lane, **{field: "Ask at the desk"})
    row = wrote(session, lane, written)
    assert (row.no_reply, row.reply, row.consent) == (None, row.action, None)
    assert [one.text for one in replied(session)] == [answered]


def test_what_people_were_sent_is_asked_once_and_only_where_it_matters(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    configure(session, lane, default_reply_message="Sorry?")
    numbers = [f"9199000{n:05}" for n in range(300)]
    make_batch(session, lane, numbers)
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        inbound.take(session, [(lane.credential_id, [make_inbound("STOP", sender=one) for one in numbers])], settings())
        assert not any("LATERAL" in statement for statement in asked)
        of_few = len(asked)
        asked.clear()
        texts = ["Your parcel is on its way", "Where is it?"]
        items = [make_inbound(text, sender=one) for one in numbers for text in texts]
        inbound.take(session, [(lane.credential_id, items)], settings())
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert sum("LATERAL" in statement for statement in asked) == 1
    assert len(asked) <= of_few + 1
    session.commit()
    why_not = session.execute(
        text("SELECT no_reply, count(*) FROM inbound_message WHERE action = 'none' GROUP BY 1 ORDER BY 1")
    ).all()
    assert [tuple(row) for row in why_not] == [(replies.ECHO, 300), (None, 300)]
    assert_tally_is_exact(session, lane)


@pytest.mark.parametrize(
    ("text", "hours", "why_not"),
    [
        ("hello there", 3, None),
        ("hello there", 5, replies.TOO_LATE),
        ("please stop", 5, replies.TOO_LATE),
        ("STOP", 47, None),  # whoever asked for something hears that it was heard
        ("HELP", 47, None),
    ],
)
def test_what_asked_for_nothing_is_not_answered_hours_later(
    session: Session, lane: MadeLane, text: str, hours: int, why_not: str | None
) -> None:
    change(session, "UPDATE credential SET default_reply_message = 'We are out', fuzzy_opt_out_message = 'Reply STOP'")
    written_at = database_now(session) - timedelta(hours=hours)
    (row,) = pushed(session, lane, make_inbound(text, received_at=written_at))
    assert row.no_reply == why_not


def test_each_reply_is_of_one_inbound_message(session: Session, lane: MadeLane) -> None:
    rows = pushed(session, lane, *(make_inbound("HELP", sender=f"91990000000{n}") for n in range(5)))
    assert {row.reply_id for row in rows} == {one.id for one in replied(session)}
    assert {row.reply for row in session.exec(select(InboundMessage))} == {Action.HELP}
