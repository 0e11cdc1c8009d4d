"""Feeds: what is committed is read once, by every reader, and of one message in the order in which it happened."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.filling import KNOWLEDGE, most_rows_of
from tests.worker.steps import change
from worker.events import Told, tell
from worker.feeds import (
    START,
    BadCursor,
    EventPage,
    Place,
    StaleCursor,
    place_of,
    read_cursor,
    read_events,
    report_place_of,
    write_cursor,
    write_place,
)
from worker.ids import new_id
from worker.words import EventType

SCAN = 1_000
LOCK = text("SELECT id FROM message WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
# A row of its own tells how much has happened to a message: rolled back with the rest.
COUNT = text("UPDATE message SET retry_count = retry_count + 1 WHERE id = :id RETURNING retry_count")
TAKE_ID = text("SELECT pg_current_xact_id()")


def happens(session: Session, message_id: UUID, kind: EventType = EventType.ATTEMPT_FAILED) -> None:
    """The next thing happens to a message, and is told with its number. Does not commit."""
    session.execute(LOCK, {"ids": [message_id]})
    tell(session, [Told(kind, message_id, session.execute(COUNT, {"id": message_id}).scalar_one())])


def pages(
    session: Session, limit: int = 100, types: tuple[str, ...] = (), scan: int = SCAN, after: Place = START
) -> Iterator[EventPage]:
    """Until the end."""
    while True:
        page = read_events(session, after, types, limit, scan)
        session.rollback()
        yield page
        if page.is_at_end:
            return
        assert page.through > after
        after = page.through


def read(session: Session, **how: object) -> list[tuple[UUID, int]]:
    """What has happened, as (message ID, number)."""
    return [(row.subject_id, row.attempt) for page in pages(session, **how) for row in page.rows]  # type: ignore[arg-type]


@pytest.fixture
def message_id(session: Session, lane: MadeLane) -> UUID:
    return make_batch(session, lane, ["919900000001"])[0]


# Order, and nothing missed


def test_what_is_above_a_running_transaction_waits_for_it(session: Session, engine: Engine, message_id: UUID) -> None:
    with Session(engine) as slow:
        slow.execute(TAKE_ID)
        happens(session, message_id)
        session.commit()
        assert read(session) == []
        slow.rollback()
    assert read(session) == [(message_id, 1)]


def test_of_one_message_the_later_event_stands_later_although_its_transaction_began_first(
    session: Session, engine: Engine, message_id: UUID
) -> None:
    with Session(engine) as early:
        early.execute(TAKE_ID)
        happens(session, message_id)
        session.commit()
        happens(early, message_id)
        early.commit()
    assert read(session) == [(message_id, 1), (message_id, 2)]


def test_events_of_one_statement_stand_in_the_order_in_which_they_are_told(session: Session) -> None:
    told = [(new_id(), number) for number in range(500)]
    tell(session, [Told(EventType.ATTEMPT_FAILED, subject, number) for subject, number in told])
    session.commit()
    assert read(session, limit=7) == told


def test_what_is_rolled_back_is_never_read(session: Session, message_id: UUID) -> None:
    happens(session, message_id)
    session.rollback()
    happens(session, message_id)
    session.commit()
    assert read(session) == [(message_id, 1)]


def test_two_readers_among_many_writers_read_each_event_once_and_those_of_a_message_in_order(
    session: Session, engine: Engine, lane: MadeLane
) -> None:
    ids = make_batch(session, lane, [f"9199000000{number:02}" for number in range(12)])
    is_over = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)

        def pause() -> None:
            is_over.wait(chance.choice([0, 0, 0.001, 0.005, 0.02]))

        for _ in range(40):
            with Session(engine) as writer:
                if chance.random() < 0.5:
                    writer.execute(TAKE_ID)
                    pause()
                for message_id in sorted(chance.sample(ids, chance.randint(1, 3))):
                    happens(writer, message_id)
                    pause()
                if chance.random() < 0.2:
                    writer.rollback()
                else:
                    writer.commit()

    def follow(limit: int) -> list[tuple[UUID, int]]:
        seen: list[tuple[UUID, int]] = []
        after = START
        with Session(engine) as reader:
            while True:
                is_last_round = is_over.is_set()
                for page in pages(reader, limit=limit, after=after):
                    seen += [(row.subject_id, row.attempt) for row in page.rows]
                    after = page.through
                if is_last_round:
                    return seen

    with ThreadPoolExecutor() as threads:
        readers = [threads.submit(follow, limit) for limit in (3, 100)]
        for writer in [threads.submit(write, seed) for seed in range(8)]:
            writer.result()
        is_over.set()
        first, second = (reader.result() for reader in readers)

    happened = dict(session.execute(text("SELECT id, retry_count FROM message")).all())
    assert sum(happened.values()) > 200
    overtaken = text("SELECT count(*) FROM event WHERE transaction_id > CAST(xmin::text AS bigint)")
    assert session.execute(overtaken).scalar_one() > 0, "no transaction was overtaken: this run proves little"
    for seen in (first, second):
        by_message: dict[UUID, list[int]] = {message_id: [] for message_id in ids}
        for message_id, number in seen:
            by_message[message_id].append(number)
        assert by_message == {message_id: list(range(1, happened[message_id] + 1)) for message_id in ids}
    assert first == second


# Pages


KINDS = (EventType.MESSAGE_DELIVERED, EventType.MESSAGE_FAILED, EventType.ATTEMPT_FAILED, EventType.LANE_HELD)


class Log(NamedTuple):
    told: list[tuple[EventType, int]]  # (type, number)
    numbers: dict[Place, int]  # of the event before each place


@pytest.fixture(scope="module")
def log(engine: Engine) -> Log:
    """30 events, written in 6 transactions."""
    chance = random.Random(7)
    told = [(chance.choice(KINDS), number) for number in range(30)]
    with Session(engine) as session:
        change(session, "TRUNCATE event")
        for start in range(0, 30, 5):
            tell(session, [Told(kind, new_id(), number) for kind, number in told[start : start + 5]])
            session.commit()
        numbers = {page.through: page.rows[0].attempt for page in pages(session, limit=1)}
    return Log(told, {START: -1, **numbers})


@settings(max_examples=40)
@given(
    limit=st.integers(1, 35),
    scan=st.integers(2, 35),
    types=st.sets(st.sampled_from([*KINDS, "message", "attempt", "inbound", EventType.LANE_OPENED])),
)
def test_pages_of_any_size_and_filter_join_without_gap_and_look_at_no_more_than_they_may(
    engine: Engine, log: Log, limit: int, scan: int, types: set[str]
) -> None:
    seen: list[int] = []
    after = START
    with Session(engine) as session:
        for page in pages(session, limit=limit, types=tuple(types), scan=scan):
            seen += [row.attempt for row in page.rows]
            assert len(page.rows) <= limit
            assert not types or log.numbers[page.through] - log.numbers[after] <= scan
            after = page.through
    assert seen == [number for kind, number in log.told if not types or {kind, kind.kind} & types]
    assert log.numbers[after] == 29, "the next read would look at the same again"


@KNOWLEDGE
@pytest.mark.parametrize("types", [(), ("lane",), ("message", "lane")])
def test_a_page_in_a_long_log_reads_what_it_may_and_no_more(
    session: Session, engine: Engine, knows: str, types: tuple[str, ...]
) -> None:
    fill_log(session, analyzes=knows == "the past")
    fill_log(session, analyzes=False)
    fill_log(session, analyzes=knows == "all")
    middle = session.execute(text("SELECT transaction_id, id FROM event ORDER BY id OFFSET 15000 LIMIT 1")).one()
    with spied_on(engine) as statements:
        read_events(session, Place(*middle), types, 100, SCAN)
    ((statement, values),) = statements
    explained = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)
    assert most_rows_of(explained.scalar_one()) <= SCAN


def fill_log(session: Session, *, analyzes: bool) -> None:
    """10,000 events more, of two types."""
    change(
        session,
        """INSERT INTO event (type, subject_id)
        SELECT (ARRAY['message.failed', 'inbound.none'])[1 + n % 2], gen_random_uuid()
        FROM generate_series(1, 10000) n""",
    )
    if analyzes:
        change(session, "ANALYZE event")


@contextmanager
def spied_on(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that it runs, as the driver gets them, with their values."""
    seen: list[tuple[str, Any]] = []

    def see(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", see)


def test_a_page_without_any_event_of_its_types_says_how_far_it_has_read(session: Session) -> None:
    tell(session, [Told(EventType.ATTEMPT_FAILED, new_id(), number) for number in range(10)])
    session.commit()
    read_by = [(len(page.rows), page.is_at_end) for page in pages(session, types=("lane",), scan=4)]
    assert read_by == [(0, False), (0, False), (0, True)]


def test_at_the_end_the_place_stays(session: Session, message_id: UUID) -> None:
    happens(session, message_id)
    session.commit()
    (page,) = pages(session)
    assert read_events(session, page.through, (), 10, SCAN) == EventPage([], page.through, True)
    assert read_events(session, None, (), 10, SCAN) == page


# Cursors


def test_a_place_comes_back_from_its_cursor(session: Session, message_id: UUID) -> None:
    happens(session, message_id)
    session.commit()
    (page,) = pages(session)
    for place in (START, page.through):
        assert place_of(session, write_place(session, place)) == place


def forged(session: Session, of: Callable[[int, int], list[object]]) -> str:
    era, transaction, _ = read_cursor(write_place(session, START))
    return write_cursor(of(era, transaction))


@pytest.mark.parametrize(
    ("of", "error"),
    [
        (lambda era, _: [era + 1, 0, 0], StaleCursor),
        (lambda era, _: [era, 2**62, 0], StaleCursor),  # the cluster was put back to an earlier time
        (lambda era, _: [era, 2**63, 0], BadCursor),
        (lambda era, _: [era, 0, -1], BadCursor),
        (lambda era, _: [era, 0, 2**63], BadCursor),
        (lambda era, _: [era, 0, str(new_id())], BadCursor),  # of the other feed
        (lambda era, _: [era, 0], BadCursor),
    ],
)
def test_a_cursor_that_is_none_of_this_feed_is_refused(
    session: Session, of: Callable[[int, int], list[object]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        place_of(session, forged(session, of))


def test_a_cursor_of_events_is_none_of_reports(session: Session) -> None:
    with pytest.raises(BadCursor):
        report_place_of(session, write_place(session, START))
