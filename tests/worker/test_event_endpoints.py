"""Places in the feed: its end, and where a time lies in it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.worker.filling import most_rows
from worker import event_endpoints, events
from worker.event_endpoints import place_at
from worker.events import Told
from worker.feeds import Place, end_of_feed, read_events
from worker.ids import new_id
from worker.words import EventType

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def happened(session: Session, at: datetime | None = None) -> int:
    """An event's ID; told at that time, in a transaction of its own. Commits."""
    events.tell(session, [Told(EventType.LANE_OPENED, new_id())])
    number: int = session.execute(text("SELECT max(id) FROM event")).scalar_one()
    if at is not None:
        session.execute(text("UPDATE event SET at = :at WHERE id = :id"), {"at": at, "id": number})
    session.commit()
    return number


def behind(session: Session, place: Place) -> list[int]:
    return [row.id for row in read_events(session, place, [], 1_000, 1_000).rows]


def test_behind_the_end_stands_what_is_told_from_now_on(session: Session) -> None:
    happened(session)
    end = end_of_feed(session)
    session.commit()
    assert behind(session, end) == []
    number = happened(session)
    assert behind(session, end) == [number]


def test_behind_the_end_stands_what_a_running_transaction_tells(session: Session, engine: Engine) -> None:
    with Session(engine) as slow:
        events.tell(slow, [Told(EventType.LANE_OPENED, new_id())])
        happened(session)
        end = end_of_feed(session)
        session.commit()
        slow.commit()
    assert len(behind(session, end)) == 2


@pytest.mark.parametrize("asked", [-1.0, 0.0, 0.5, 1.0, 7.25, 18.0, 19.0])
def test_behind_a_time_s_place_stands_what_was_told_then_or_later(session: Session, asked: float) -> None:
    told = [happened(session, BEGAN + n * HOUR) for n in range(20)]
    place = place_at(session, BEGAN + asked * HOUR)
    assert behind(session, place) == [number for n, number in enumerate(told) if n >= asked]


def test_times_that_are_a_little_out_of_order_leave_nothing_out(session: Session) -> None:
    offsets = [0, 10, 30, 20, 31, 5, 40, 70, 60]  # seconds
    told = [happened(session, BEGAN + timedelta(seconds=offset)) for offset in offsets]
    for offset in offsets:
        found = behind(session, place_at(session, BEGAN + timedelta(seconds=offset)))
        assert {number for number, at in zip(told, offsets, strict=True) if at >= offset} <= set(found)
        assert found == told[-len(found) :]


def test_a_time_to_come_has_its_place_at_the_end(session: Session) -> None:
    happened(session)
    assert place_at(session, datetime.now(UTC) + HOUR) == end_of_feed(session)


def test_an_empty_feed_has_its_place_at_the_end(session: Session) -> None:
    assert place_at(session, BEGAN) == end_of_feed(session)


def test_what_a_running_transaction_tells_is_not_passed_over_by_a_time(session: Session, engine: Engine) -> None:
    with Session(engine) as slow:
        events.tell(slow, [Told(EventType.LANE_OPENED, new_id())])
        now = datetime.now(UTC)
        happened(session, now + HOUR)
        place = place_at(session, now - HOUR)
        session.commit()
        slow.commit()
    assert len(behind(session, place)) == 2


def test_a_time_is_found_by_few_steps_over_the_key(session: Session) -> None:
    session.execute(
        text("""
        INSERT INTO event (transaction_id, type, subject_id, at)
        SELECT n, 'lane.opened', gen_random_uuid(), :began + n * interval '1 second' FROM generate_series(1, 20000) n
        """),
        {"began": BEGAN},
    )
    session.execute(text("ANALYZE event"))
    assert most_rows(session, event_endpoints._FIRST_FROM, {"transaction": 10_000}) <= 1
    at = BEGAN + timedelta(seconds=15_000)
    assert most_rows(session, event_endpoints._FIRST_SINCE, {"transaction": 14_940, "at": at}) <= 61
    session.rollback()
