"""Rows with valid defaults; a test sets only what it is about."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from worker.db import database_now
from worker.lanes import Route, read_route
from worker.models import Batch, Credential, Lane, Message
from worker.secrets import encrypt
from worker.states import State
from worker.tally import Changes
from worker.words import Channel, MessageType

ENTITY, TEMPLATE = "1201150000000000001", "1207160000000000001"


@dataclass(frozen=True)
class MadeLane:
    id: UUID
    credential_id: UUID


def make_lane(
    session: Session,
    *,
    base_url: str = "http://127.0.0.1:9",
    message_type: MessageType = MessageType.TRANSACTIONAL,
    **credential: Any,
) -> MadeLane:
    """A credential with one SMS lane. Commits."""
    values = {"name": "account", "api_key": encrypt("key-1234"), "api_key_hint": "1234", **credential}
    made = Credential(base_url=base_url, webhook_token=encrypt("hook-token"), **values)
    session.add(made)
    session.flush()
    lane = Lane(credential_id=made.id, channel=Channel.SMS, message_type=message_type)
    session.add(lane)
    session.commit()
    return MadeLane(lane.id, made.id)


def make_batch(
    session: Session,
    lane: MadeLane,
    recipients: list[str],
    *,
    validity: timedelta = timedelta(hours=1),
    left: timedelta | None = None,
    due_in: timedelta = timedelta(0),
    text: str = "Your parcel is on its way",
    **batch: Any,
) -> list[UUID]:
    """A batch with one queued message a recipient; its message IDs, in order. Commits."""
    now = database_now(session)
    expires_at = now + (validity if left is None else left)
    made = Batch(
        surface_id=lane.credential_id,
        lane_id=lane.id,
        sender="KITEBK",
        text=text,
        callback_data="order-5512",
        principal_entity_id=ENTITY,
        content_template_id=TEMPLATE,
        validity_seconds=int(validity.total_seconds()),
        total=len(recipients),
        expires_at=expires_at,
        **batch,
    )
    session.add(made)
    messages = [
        Message(
            batch_id=made.id,
            surface_id=lane.credential_id,
            lane_id=lane.id,
            recipient=recipient,
            next_attempt_at=now + due_in,
            expires_at=expires_at,
            validity_seconds=made.validity_seconds,
        )
        for recipient in recipients
    ]
    session.add_all(messages)
    session.flush()
    changes = Changes()
    changes.entered((lane.id, made.id), State.QUEUED, None, len(messages))
    changes.write(session)
    session.commit()
    return [message.id for message in messages]


def route_of(session: Session, lane: MadeLane) -> Route:
    route = read_route(session, lane.id)
    assert route is not None
    session.commit()
    return route
