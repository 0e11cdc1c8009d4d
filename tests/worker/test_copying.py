"""Lines of COPY: each value arrives in its column, as it was."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests.worker.sends import TO, configure, enqueue_batch
from worker.copying import SharedColumns, copy_messages, own_part
from worker.ids import new_id
from worker.models import Message
from worker.orders import NOTHING_GIVEN, BatchOrder, Row, Values
from worker.segments import Segments
from worker.states import State
from worker.words import Origin

SHARED = {
    "batch_id": UUID(int=1),
    "surface_id": UUID(int=2),
    "lane_id": UUID(int=3),
    "sender": "a sender",
    "origin": Origin.REPLY,
    "state": State.SUPPRESSED,
    "next_attempt_at": datetime(2026, 11, 24, 1, 0, 0, 4, UTC),
    "leave_before": datetime(2026, 11, 24, 1, 30, tzinfo=UTC),
    "expires_at": datetime(2026, 11, 24, 2, tzinfo=UTC),
    "validity_seconds": 5,
    "created_at": datetime(2026, 11, 24, 3, tzinfo=UTC),
    "held": True,
    "attempt_count": 6,
    "retry_count": 7,
    "transliteration": "GREEK",
}
# As JSON, each stored as what it says.
SHARED_JSON = {"language": '{"code": "TR"}', "sending_window": '"off"'}
VALUES = {"callback_data": "callback", "principal_entity_id": "entity", "content_template_id": "template"}
NOT_COPIED = {"reason": None, "finished_at": None}


def stored(session: Session, line: str) -> dict[str, object]:
    """What stands in the table once this line was copied, by column."""
    copy_messages(session, [line])
    return dict(session.execute(text("SELECT * FROM message")).mappings().one())


def test_each_value_arrives_in_its_own_column(session: Session) -> None:
    own = {"recipient": "8", "text": "a text", "mms": {"title": 'a\ttitle \\ "in quotes"'}, "warning": "a warning"}
    segments = Segments("UCS-2", 10, 11, 12, "\t")
    line = SharedColumns(**SHARED, **SHARED_JSON).part() + own_part(
        message_id=UUID(int=9), values=Values(**VALUES), segments=segments, **own
    )
    takes = {"encoding": "UCS-2", "segment_count": 10, "characters_left": 12, "forcing": "\t"}
    read = {name: json.loads(value) for name, value in SHARED_JSON.items()}
    assert stored(session, line) == {**SHARED, **read, "id": UUID(int=9), **own, **takes, **VALUES, **NOT_COPIED}


def test_what_is_not_given_is_null_or_as_for_a_new_message(session: Session) -> None:
    absent = dict.fromkeys(("batch_id", "surface_id", "sender", "next_attempt_at", "leave_before"))
    fresh = {"held": False, "attempt_count": 0, "retry_count": 0, "transliteration": None}
    fresh |= dict.fromkeys(("language", "sending_window"))
    shared = {name: value for name, value in {**SHARED, **absent}.items() if name not in fresh}
    line = SharedColumns(**shared).part() + own_part(
        message_id=UUID(int=9), recipient="8", text=None, values=NOTHING_GIVEN
    )
    nothing = ("text", "mms", "warning", "encoding", "segment_count", "characters_left", "forcing", *VALUES)
    own = {"id": UUID(int=9), "recipient": "8", **dict.fromkeys(nothing)}
    assert stored(session, line) == {**shared, **fresh, **own, **NOT_COPIED}


def test_lines_of_one_copy_may_differ_in_all_their_columns(session: Session) -> None:
    ids = [new_id() for _ in range(3)]
    origins = [Origin.API, Origin.REPLAY, Origin.VERIFY]
    copy_messages(
        session,
        (
            SharedColumns(**{**SHARED, "origin": origin}).part()
            + own_part(message_id=message_id, recipient="8", text=origin, values=NOTHING_GIVEN)
            for message_id, origin in zip(ids, origins, strict=True)
        ),
    )
    found = session.exec(select(Message).order_by(Message.id)).all()
    assert [(message.id, message.origin, message.text) for message in found] == [
        (message_id, origin, origin) for message_id, origin in zip(ids, origins, strict=True)
    ]


@pytest.mark.parametrize("content", ["tab\tnew\nline\rback\\slash", "\\N", "\\.", "ünïcødé 🎉", '"quoted",', "'"])
def test_any_text_comes_back_from_copy_as_it_was(session: Session, content: str) -> None:
    configure(session)
    row = Row(index=0, to=TO, text=content, values=Values(callback_data=content))
    enqueue_batch(session, BatchOrder(surface="otp", rows=[row]))
    session.commit()
    message = session.exec(select(Message)).one()
    assert (message.text, message.callback_data) == (content, content)
