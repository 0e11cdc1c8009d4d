"""MMS to people whom they may not reach, through a surface of their own, and the SMS that go in their place."""

from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from tests.factories import ENTITY, TEMPLATE, MadeLane, make_lane
from tests.worker.sends import enqueue_batch, rows
from tests.worker.steps import answer, assert_tally_is_exact, message, state, took
from worker.mms import Mms, Part
from worker.models import Lane, Message, Surface
from worker.orders import BatchOrder, Row, Values
from worker.words import Channel, MessageType

INDIAN, BRITON, OTHER = "919900000001", "447700900001", "447700900002"
WORDS = "See your photo at kite.in/p ✓"
PICTURE = Mms(title="Photo", parts=(Part("url", "https://kite.in/p.jpg", "p"),), fallback_text=WORDS)
NO_MMS = {"status": 9, "group": 2, "error": 15019}  # the phone takes none


class Lanes:
    """The lanes for SMS and for MMS of one credential and message type, and a surface that leads to the latter."""

    def __init__(self, session: Session, message_type: MessageType = MessageType.TRANSACTIONAL, **surface: Any) -> None:
        self.sms = make_lane(session, message_type=message_type)
        leads = {"credential_id": self.sms.credential_id, "channel": Channel.MMS, "message_type": message_type}
        window = {"sending_window": "off", "window_off_reason": "A test runs at any hour"}
        made = Surface(name="pictures", sender="PICS", **leads, **{"fallback_sender": "KITEBK", **window, **surface})
        mms = Lane(**leads)
        session.add_all([made, mms])
        # Of another message type: nothing is to go there.
        other = next(kind for kind in MessageType if kind is not message_type)
        session.add(Lane(credential_id=self.sms.credential_id, channel=Channel.SMS, message_type=other))
        session.commit()
        self.mms = MadeLane(mms.id, self.sms.credential_id, made.id)


def enqueued(session: Session, *recipients: str, mms: Mms = PICTURE, **order: Any) -> list[UUID]:
    """A batch of MMS; its message IDs, in order."""
    given = rows(*(Row(index=n, to=f"+{recipient}") for n, recipient in enumerate(recipients)))
    values = Values(callback_data="order-5512", principal_entity_id=ENTITY, content_template_id=TEMPLATE)
    accepted = enqueue_batch(
        session, BatchOrder(**{"surface": "pictures", "rows": given, "mms": mms, "values": values, **order})
    )
    session.commit()
    ids = select(Message.id).where(Message.batch_id == accepted.id).order_by(col(Message.id))
    return list(session.exec(ids))


def handed_over(session: Session, lanes: Lanes, recipient: str = BRITON, **order: Any) -> UUID:
    """An MMS that Infobip has taken."""
    (message_id,) = enqueued(session, recipient, **order)
    answer(session, took(session, lanes.mms))
    assert state(session, message_id) == "sent"
    return message_id


def fallbacks_of(session: Session) -> list[Message]:
    session.expire_all()
    return list(session.exec(select(Message).where(Message.origin == "fallback").order_by(col(Message.id))))


def the_fallback(session: Session) -> Message:
    (found,) = fallbacks_of(session)
    return found


def stands(session: Session, message_id: UUID) -> tuple[str, str | None]:
    row = message(session, message_id)
    return row.state, row.reason


def assert_tallies_are_exact(session: Session, lanes: Lanes) -> None:
    for lane in (lanes.sms, lanes.mms):
        assert_tally_is_exact(session, lane)
