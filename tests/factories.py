"""Rows with valid defaults; a test sets only what it is about."""

import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlmodel import Session, SQLModel

from worker.db import database_now
from worker.ids import new_id
from worker.infobip.inbound import Inbound
from worker.lanes import Route, read_route
from worker.models import Batch, Credential, Lane, Message, Surface
from worker.secrets import encrypt
from worker.states import State
from worker.tally import Changes
from worker.turns import Turns
from worker.windows import OFF, read_given
from worker.words import Channel, MessageType

SENDER = "KITEBK"
ENTITY, TEMPLATE = "1201150000000000001", "1207160000000000001"
NOBODY_LISTENS = "http://127.0.0.1:9"
HANDSET, OUR_NUMBER = "919900000001", "447700900001"

_inbound_numbers = itertools.count(1)


def empty(connection: Connection) -> None:
    """Every table, but for the row that says where the database is at home."""
    tables = [f'"{table.name}"' for table in SQLModel.metadata.sorted_tables if table.name != "cluster"]
    connection.execute(text(f"TRUNCATE {', '.join(tables)}"))


@dataclass(frozen=True)
class MadeLane:
    """A lane with the one surface that leads there."""

    id: UUID
    credential_id: UUID
    surface_id: UUID


def make_lane(
    session: Session,
    *,
    name: str = "account",
    base_url: str = NOBODY_LISTENS,
    message_type: MessageType = MessageType.TRANSACTIONAL,
) -> MadeLane:
    """A credential with a surface and its lane, for SMS and without a sending window. Commits."""
    credential = Credential(
        name=name,
        base_url=base_url,
        api_key=encrypt("key-1234"),
        api_key_hint="1234",
        webhook_token=encrypt("hook-token"),
    )
    session.add(credential)
    session.flush()
    leads = {"credential_id": credential.id, "channel": Channel.SMS, "message_type": message_type}
    surface, lane = Surface(name=name, sender=SENDER, **leads), Lane(**leads)
    if message_type is MessageType.MARKETING:  # most tests run at any hour
        surface.sending_window, surface.window_off_reason = OFF, "The hour of the day is not what this is about."
    session.add_all([surface, lane])
    session.commit()
    return MadeLane(lane.id, credential.id, surface.id)


def make_batch(
    session: Session,
    lane: MadeLane,
    recipients: list[str],
    *,
    validity: timedelta = timedelta(hours=1),
    left: timedelta | None = None,
    due_in: timedelta = timedelta(0),
    pace: int | None = None,
    window: Any = OFF,
) -> list[UUID]:
    """A batch with one queued message a recipient; its message IDs, in order. `left` of its validity, or all of it;
    so many of them due a second, or all at once, as `window` lets them, which is as a request gives it. Commits."""
    now = database_now(session)
    expires_at = now + (validity if left is None else left)
    turns = Turns(
        read_given(json.dumps(window)),
        is_marketing=session.get_one(Lane, lane.id).message_type == MessageType.MARKETING,
        start=now + due_in,
        expires_at=expires_at,
        now=now,
        per_second=pace,
    )
    batch = Batch(
        surface_id=lane.surface_id,
        lane_id=lane.id,
        sender=SENDER,
        text="Your parcel is on its way",
        callback_data="order-5512",
        principal_entity_id=ENTITY,
        content_template_id=TEMPLATE,
        sending_window=window,
        validity_seconds=int(validity.total_seconds()),
        messages_per_second=pace,
        total=len(recipients),
        expires_at=expires_at,
        created_at=now,
    )
    messages = [
        Message(
            batch_id=batch.id,
            surface_id=lane.surface_id,
            lane_id=lane.id,
            recipient=recipient,
            next_attempt_at=turn.at,
            leave_before=turn.leave_before,
            expires_at=expires_at,
            validity_seconds=batch.validity_seconds,
        )
        for place, recipient in enumerate(recipients)
        for turn in [turns.of(recipient, place)]
    ]
    batch.messages_through = new_id()
    session.add_all([batch, *messages])
    session.flush()
    changes = Changes()
    changes.entered((lane.id, batch.id), State.QUEUED, None, len(messages))
    changes.write(session)
    session.commit()
    return [message.id for message in messages]


def make_window(now: datetime, opens: timedelta, closes: timedelta) -> dict[str, str]:
    """Hours of every day, as a request gives them, that open and close so long from `now`, to the minute."""
    now = now.astimezone(UTC)
    return {"from": f"{now + opens:%H:%M}", "to": f"{now + closes:%H:%M}", "time_zone": "UTC"}


def make_inbound(text: str | None, **fields: Any) -> Inbound:
    """What a handset wrote to a number of ours just now, with an ID of its own. `fields`: of `Inbound`."""
    given = {
        "provider_id": f"inbound-{next(_inbound_numbers)}",
        "channel": Channel.SMS,
        "sender": HANDSET,
        "recipient": OUR_NUMBER,
        "media": None,
        "received_at": None,
        "segment_count": 1,
        "price": None,
        "currency": None,
        "callback_data": None,
        **fields,
    }
    return Inbound(text=text, **given)


def route_of(session: Session, lane: MadeLane) -> Route:
    route = read_route(session, lane.id)
    assert route is not None
    session.commit()
    return route
