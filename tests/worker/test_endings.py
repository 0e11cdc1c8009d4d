"""What ends by the clock alone: waiting messages past their time, and sent ones of which nothing was heard."""

from datetime import timedelta

from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import NOBODY_LISTENS, MadeLane, make_batch, make_lane
from tests.worker.steps import assert_tally_is_exact, change, consented, looks_due, message, sent, state
from worker import endings
from worker.infobip.client import Infobip
from worker.lookups import Lookups
from worker.models import DeliveryReport, Message
from worker.settings import Settings
from worker.words import ConsentState, MessageType


def test_waiting_messages_expire_for_the_reason_of_their_last_failure(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    fresh, failed = make_batch(session, lane, ["919900000001", "919900000002"], left=timedelta(seconds=0.5))
    change(session, "UPDATE message SET reason = 'EC_ABSENT_SUBSCRIBER' WHERE id = :id", id=failed)
    assert endings.expire(engine) == 2
    session.expire_all()
    reasons = {row.id: (row.state, row.reason) for row in session.exec(select(Message))}
    assert reasons == {fresh: ("expired", "validity_over"), failed: ("expired", "EC_ABSENT_SUBSCRIBER")}


def test_waiting_messages_to_whom_consent_forbids_them_end_as_that(session: Session, engine: Engine) -> None:
    lane = make_lane(session, message_type=MessageType.MARKETING)
    to = ["919900000001", "919900000002"]
    barred, over = make_batch(session, lane, to, left=timedelta(seconds=0.5))
    change(session, "UPDATE message SET reason = 'EC_ABSENT_SUBSCRIBER'")
    consented(session, lane, to[0], ConsentState.OPTED_OUT)
    assert endings.expire(engine) == 2
    found = [(row.state, row.reason) for row in (message(session, barred), message(session, over))]
    assert found == [("suppressed", "opted_out"), ("expired", "EC_ABSENT_SUBSCRIBER")]
    assert_tally_is_exact(session, lane)


def test_silence_is_asked_about_at_each_time_and_then_unconfirmed(
    session: Session,
    engine: Engine,
    sandbox_lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900009010"], validity=timedelta(hours=2))
    sent(session, sandbox_lane, infobip)
    looks = 0
    while session.execute(text("SELECT count(*) FROM attempt WHERE look_at IS NOT NULL")).scalar_one():
        looks_due(session)
        looks += lookups.look()
    assert looks == 3  # 10 minutes, 1 hour, and at expires_at
    assert endings.give_up(engine, fresh_settings) == 0
    change(session, "UPDATE message SET expires_at = now() - interval '61 minutes'")
    assert endings.give_up(engine, fresh_settings) == 1
    assert state(session, message_id) == "unconfirmed"
    assert session.exec(select(DeliveryReport)).all() == []


def test_nobody_gives_up_on_a_report_before_the_logs_were_asked(
    session: Session,
    engine: Engine,
    sandbox_lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900009004"])
    sent(session, sandbox_lane, infobip)
    change(session, "UPDATE message SET expires_at = now() - interval '2 hours'")
    change(session, "UPDATE credential SET base_url = :url", url=NOBODY_LISTENS)
    looks_due(session)
    lookups.look()  # out of reach
    assert endings.give_up(engine, fresh_settings) == 0
    change(session, "UPDATE credential SET base_url = :url", url=sandbox)
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "delivered"
