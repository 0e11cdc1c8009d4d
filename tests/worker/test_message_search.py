"""A search finds what reading all messages would find, by each of its ways, wherever its pages begin."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from tests.factories import MadeLane
from worker import message_search
from worker.ids import first_id_at
from worker.message_search import CLOCKS_DIFFER, Search, find
from worker.models import Batch, Message
from worker.reasons import DELIVERED_LATE
from worker.states import REASONED, State
from worker.tally import Changes
from worker.words import Origin

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = "l" * 63
# Beginnings of one another, alike but for what no index row holds, plain % and _, the last characters that there are,
# and what sorts apart by its bytes and in most languages.
CALLBACKS = [
    None,
    "a",
    "ab",
    "aB",
    "a%",
    "a_b",
    "b",
    "é",
    "\ud7ff",
    "\ue000",
    "\U0010ffff",
    LONG,
    f"{LONG}xx",
    f"{LONG}xy",
]
PREFIXES = ["a", "a%", "a_", "b", "é", "\ud7ff", "\U0010ffff", LONG, f"{LONG}x", "c"]
JOURNEYS = [None, "spring", "autumn"]
REASONS = [None, "EC_ABSENT_SUBSCRIBER", "EC_UNKNOWN_SUBSCRIBER", DELIVERED_LATE]
RECIPIENTS = ["919900000001", "919900000002"]
SURFACES = [UUID(int=n) for n in (1, 2, 3)]
MESSAGES, BATCHES = 600, 60
TAKES = [timedelta(0), timedelta(milliseconds=3), timedelta(minutes=5), timedelta(hours=6), timedelta(days=3)]


def made(lane: MadeLane) -> tuple[list[Batch], list[Message]]:
    """Batches of a day; their messages at once or days after them, among those of others. A few have none."""
    draw = random.Random(7)
    batches = [_batch(draw, lane, number) for number in range(BATCHES)]
    messages = [_message(draw, lane, number, batches[3:]) for number in range(MESSAGES)]
    for batch in batches:
        batch.messages_through = max([batch.id, *(m.id for m in messages if m.batch_id == batch.id)])
    return batches, messages


def _batch(draw: random.Random, lane: MadeLane, number: int) -> Batch:
    at = NOON + timedelta(minutes=draw.randrange(24 * 60))
    return Batch(
        id=UUID(int=first_id_at(at).int + number),
        surface_id=draw.choice(SURFACES[:2]),
        lane_id=lane.id,
        sender="KITEBK",
        validity_seconds=60,
        total=10,
        expires_at=at,
        created_at=at - CLOCKS_DIFFER * draw.choice([-1, 0, 1]),
        journey_id=draw.choice(JOURNEYS),
        callback_data=draw.choice(CALLBACKS),
    )


def _message(draw: random.Random, lane: MadeLane, number: int, batches: Sequence[Batch]) -> Message:
    batch = draw.choice([None, *draw.sample(batches, 3)])
    if batch is None:
        at = created_at = NOON + timedelta(minutes=draw.randrange(24 * 60))
    else:
        takes = TAKES[batch.id.int % len(TAKES)]
        at, created_at = _time_of(batch.id) + takes * draw.random(), batch.created_at
    state, reason = draw.choice(list(State)), draw.choice(REASONS)
    if state in REASONED and reason == DELIVERED_LATE:
        reason = None
    return Message(
        id=UUID(int=first_id_at(at).int + 1_000 + number),
        batch_id=batch.id if batch else None,
        surface_id=batch.surface_id if batch else draw.choice([None, *SURFACES[:2]]),
        lane_id=lane.id,
        origin=draw.choice([Origin.API, Origin.API, Origin.REPLAY, Origin.REPLY]),
        recipient=draw.choice(RECIPIENTS),
        state=state,
        reason=reason,
        expires_at=at,
        validity_seconds=60,
        created_at=created_at,
        callback_data=draw.choice(CALLBACKS),
    )


def _time_of(row_id: UUID) -> datetime:
    return datetime.fromtimestamp((row_id.int >> 80) / 1000, UTC)


def matches(search: Search, message: Message, batch: Batch | None) -> bool:
    """What is meant, without an index."""
    inherited = batch.callback_data if batch is not None else None
    callback_data = inherited if message.callback_data is None else message.callback_data
    says_why = message.state in REASONED or message.reason == DELIVERED_LATE
    prefix = search.callback_prefix
    is_like = {
        "batch_id": message.batch_id == search.batch_id,
        "state": message.state == search.state,
        "recipient": message.recipient == search.recipient,
        "callback_data": callback_data == search.callback_data,
        "callback_prefix": prefix is not None and callback_data is not None and callback_data.startswith(prefix),
        "reason": message.reason == search.reason and says_why,
        "journey_id": batch is not None and batch.journey_id == search.journey_id,
        "surface_ids": message.surface_id in (search.surface_ids or ()),
        "origin": message.origin == search.origin,
        "since": search.since is not None and message.created_at >= search.since,
        "until": search.until is not None and message.created_at < search.until,
    }
    return all(is_like[name] for name, value in asdict(search).items() if value is not None)


def some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of them; mostly the filter is not given."""
    return st.one_of(st.none(), st.none(), st.sampled_from(values))


MOMENTS = [NOON + timedelta(hours=hours) for hours in (-30, 0, 5, 12, 24, 60)] + [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


def test_a_search_finds_what_reading_all_would_find(
    session: Session, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, messages = made(lane)
    assert {m.id > b.id for m in messages for b in batches if m.batch_id == b.id} == {True}
    session.add_all([*batches, *messages])
    changes = Changes()
    for message in messages:
        changes.entered([lane.id, message.batch_id], message.state, message.reason)
    changes.write(session)
    session.commit()
    session.expunge_all()  # what follows reads them as they were made
    by_id = {batch.id: batch for batch in batches}
    newest_first = sorted(messages, key=lambda message: message.id, reverse=True)

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        search=st.builds(
            Search,
            batch_id=some([batch.id for batch in batches[:20]]),
            state=some(list(State)),
            recipient=some([*RECIPIENTS, "91"]),
            callback_data=some([*CALLBACKS[1:], "nothing"]),
            callback_prefix=some(PREFIXES),
            reason=some([*REASONS[1:], "nothing"]),
            journey_id=some([*JOURNEYS[1:], "nothing"]),
            surface_ids=some([*([surface] for surface in SURFACES), SURFACES]),
            origin=some(list(Origin)),
            since=some(MOMENTS),
            until=some(MOMENTS),
        ),
        limit=st.integers(1, 40),
        first_reach=st.sampled_from([2, 3, 10, 50, 1_000]),
    )
    @example(Search(), 7, 2)
    @example(Search(callback_prefix="a"), 3, 2)
    @example(Search(journey_id="spring"), 3, 2)
    @example(Search(until=NOON + timedelta(hours=12)), 3, 2)
    def check(search: Search, limit: int, first_reach: int) -> None:
        monkeypatch.setattr(message_search, "_FIRST_REACH", first_reach)
        expected = [m.id for m in newest_first if matches(search, m, by_id.get(m.batch_id))]  # type: ignore[arg-type]
        before: UUID | None = None
        found: list[UUID] = []
        while True:
            page = find(session, search, before, limit)
            session.rollback()
            found += page
            if len(page) < limit:
                break
            before = page[-1]
        assert found == expected
        if expected:
            assert list(_by_each_way(session, search, limit, first_reach)) == [expected[:limit]] * _ways_of(search)

    check()


def _by_each_way(session: Session, search: Search, limit: int, first_reach: int) -> Iterator[list[UUID]]:
    """The first page, as each way finds it by itself."""
    question = message_search._asked(session, search, limit)
    span = message_search._span(question, search, None)
    assert span is not None
    by_id, narrow, wide = message_search._ways(question, search, *span)
    for way in (by_id, *narrow, *wide):
        reach = first_reach
        while (answer := way.go(reach)) is None:
            reach *= 2
        yield answer
    session.rollback()


def _ways_of(search: Search) -> int:
    """By ID; and by each filter that has an index, or leads to messages through batches."""
    given = {name for name, value in asdict(search).items() if value is not None}
    has_none = {"since", "until"}
    has_none |= {"state"} if search.state == State.DELIVERED else set()
    has_none |= {"origin"} if search.origin == Origin.API else set()
    return 1 + len(given - has_none)
