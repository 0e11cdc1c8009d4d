"""Statements that take a few of many rows read no more than a few, whatever the planner believes of the tables."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text
from sqlmodel import Session, col

from api.batch_views import batches_like
from tests.factories import MadeLane
from tests.worker.filling import (
    FEW,
    KNOWLEDGE,
    MANY,
    OPEN,
    OVER,
    SEARCHED_FROM,
    SMALL_BATCHES,
    fill,
    fill_consent,
    fill_inbox,
    fill_replays,
    fill_searched,
    messages_read,
    most_rows,
    most_rows_of,
)
from worker import (
    cancelling,
    claims,
    closing,
    consents,
    endings,
    inbound,
    lane_overview,
    lanes,
    locking,
    message_search,
    moving,
    replay,
    replay_choice,
    setting_aside,
)
from worker.batch_sweeps import ALL, BEFORE_ALL
from worker.columns import column
from worker.ids import new_id
from worker.message_search import Search, find
from worker.models import Batch
from worker.search_walks import UNDER_WAY
from worker.states import State
from worker.words import Origin

pytestmark = pytest.mark.usefixtures("no_autovacuum")

BATCHES = 24  # fit one page, which is read whole, by a claim for each message
MOST_OF_A_CLAIM = FEW * BATCHES
BOTH = pytest.mark.parametrize("knows", ["nothing", "all"])
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def claiming(lane: MadeLane) -> dict[str, Any]:
    return {
        "lane": lane.id,
        "credential": lane.credential_id,
        "channel": "sms",
        "message_type": "marketing",  # so that all of consent is asked
        "limit": FEW,
        "reach": FEW,
        "submission": new_id(),
        "version": 1,
        "lease": 60,
        "is_probe": False,
    }


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_claim_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    fill(session, lane, state, OPEN, knows)
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@KNOWLEDGE
def test_claim_that_ends_what_consent_forbids_reads_what_it_takes(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "queued", OPEN, knows)
    session.execute(text("UPDATE consent SET state = 'opted_out'"))
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@KNOWLEDGE
def test_claim_of_a_surface_that_requires_opt_in_reads_what_it_takes(
    session: Session, lane: MadeLane, knows: str
) -> None:
    fill(session, lane, "queued", OPEN, knows)
    session.execute(text("UPDATE surface SET require_opt_in = true"))
    session.execute(text("UPDATE message SET surface_id = :surface"), {"surface": lane.surface_id})
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@KNOWLEDGE
@pytest.mark.parametrize("missed", ["true", "n % 2 = 0"], ids=["all", "every other one"])
def test_claim_reads_as_many_that_missed_their_windows_as_it_names(
    session: Session, lane: MadeLane, missed: str, knows: str
) -> None:
    fill(session, lane, "queued", OPEN, knows)
    session.execute(
        text(
            "UPDATE message SET leave_before = now() - interval '1 second' "
            "FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM message WHERE state = 'queued') AS numbered "
            f"WHERE numbered.id = message.id AND {missed}"
        )
    )
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MOST_OF_A_CLAIM


@BOTH
def test_claim_and_expiry_of_the_only_batch_there_is_read_what_they_take(
    session: Session, lane: MadeLane, knows: str
) -> None:
    """Of few batches the planner believes that each may stand still, and none of their messages pass."""
    fill(session, lane, "queued", OPEN, "nothing")
    session.execute(text("UPDATE message SET batch_id = (SELECT id FROM batch LIMIT 1)"))
    session.execute(text("DELETE FROM batch WHERE id NOT IN (SELECT batch_id FROM message LIMIT 1)"))
    session.commit()
    if knows == "all":
        session.connection().exec_driver_sql("ANALYZE")
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= FEW
    session.execute(text("UPDATE message SET expires_at = now() - interval '1 hour'"))
    assert most_rows(session, endings._OVER, {"least": timedelta(seconds=1), "group": FEW}) <= FEW


@pytest.mark.parametrize("steered", ["paused_at", "cancelled_at", "move_to"])
def test_claim_passes_over_a_batch_that_stands_still_without_asking_for_each(
    session: Session, lane: MadeLane, steered: str
) -> None:
    fill(session, lane, "queued", OPEN, "all")
    session.execute(text(f"UPDATE batch SET {steered} = now()"))
    # The messages once, and not the batches for each of them.
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= MANY


@KNOWLEDGE
@pytest.mark.parametrize("state", ["queued", "retrying"])
def test_expiry_reads_what_it_takes(session: Session, lane: MadeLane, state: str, knows: str) -> None:
    fill(session, lane, state, OVER, knows)
    assert most_rows(session, endings._OVER, {"least": timedelta(seconds=1), "group": FEW}) <= max(FEW, BATCHES)


@KNOWLEDGE
def test_giving_up_reads_what_it_takes(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "sent", OVER, knows)
    values = {"grace": timedelta(hours=1), "reach": timedelta(hours=48), "group": FEW}
    assert most_rows(session, endings._SILENT, values) <= FEW


@KNOWLEDGE
def test_tick_reads_the_head_of_a_lane(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "queued", OPEN, knows)
    assert most_rows(session, lanes._DUE, {"message_type": "transactional"}) <= FEW


@KNOWLEDGE
@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (setting_aside._HOLD, {}),
        (cancelling._END, {}),
        (moving._GIVE, {"moved": 0, "pace": 5, "start": NOON, "expires_at": NOON, "validity": 60}),
        (moving._TAKE, {}),
    ],
    ids=["hold", "end", "move", "move within a window"],
)
def test_a_chunk_of_a_steered_batch_reads_what_it_takes(
    session: Session, lane: MadeLane, statement: TextClause, values: dict[str, Any], knows: str
) -> None:
    fill(session, lane, "queued", OPEN, knows)
    batch = session.execute(text("SELECT batch_id FROM message WHERE state = 'queued' LIMIT 1")).scalar_one()
    chunk = {"batch": batch, "boundary": BEFORE_ALL, "chunk": FEW}
    assert most_rows(session, statement, {**chunk, **values}) <= FEW


@KNOWLEDGE
def test_giving_a_chunk_its_turns_reads_that_chunk(session: Session, lane: MadeLane, knows: str) -> None:
    fill(session, lane, "queued", OPEN, knows)
    batch = session.execute(text("SELECT batch_id FROM message WHERE state = 'queued' LIMIT 1")).scalar_one()
    ids = list(session.execute(SOME_IDS, {"batch": batch, "few": FEW}).scalars())
    turns = {"id": column(ids), "at": column([NOON] * FEW), "leave_before": column([None] * FEW)}
    assert most_rows(session, moving._GIVE_EACH, {**turns, "expires_at": NOON, "validity": 60}) <= FEW


CHUNK = MANY // 2  # so many that to ask of each by itself costs no less than to ask once of all there are
SOME_IDS = text("SELECT id FROM message WHERE batch_id = :batch LIMIT :few")


@KNOWLEDGE
def test_choosing_a_chunk_of_a_replay_to_replay_it_reads_the_chunk(
    session: Session, lane: MadeLane, knows: str
) -> None:
    batch = fill_replays(session, lane, "failed", knows)
    start = {"batch": batch, "after": BEFORE_ALL, "chunk": CHUNK}
    assert most_rows(session, replay_choice._END_OF_CHUNK, start) <= CHUNK
    chosen = {
        **{
            "batch": batch,
            "after": BEFORE_ALL,
            "through": session.execute(replay_choice._END_OF_CHUNK, start).scalar_one(),
        },
        **{"states": [State.FAILED], "error_names": None, "since": None, "until": None, "includes_unconfirmed": False},
        **{"credential": lane.credential_id, "is_marketing": True, "needs_opt_in": True, "parts": 1},
    }
    assert most_rows(session, replay_choice._CHOOSE, chosen) <= CHUNK


@KNOWLEDGE
def test_writing_a_replay_of_a_replay_reads_those_that_go(session: Session, lane: MadeLane, knows: str) -> None:
    batch = fill_replays(session, lane, "failed", knows)
    ids = list(session.execute(SOME_IDS, {"batch": batch, "few": FEW}).scalars())
    links = {"source": column(ids), "message": column(new_id() for _ in ids)}
    written = {
        **{"replay": new_id(), "surface": lane.surface_id, "lane": lane.id, "now": NOON, "entity": None},
        **{"at": column([NOON] * FEW), "leave_before": column([None] * FEW), "expires_at": NOON, "validity": 60},
        **{"template": None, **{name: column([None] * FEW) for name in replay._COUNTS}},
    }
    assert most_rows(session, replay._TAKE, {**links, "root": column(ids)}) <= FEW
    assert most_rows(session, replay._REPLAY, {**links, **written}) <= FEW


@KNOWLEDGE
def test_replays_that_are_claimed_or_locked_are_asked_one_by_one_whether_their_source_has_arrived(
    session: Session, lane: MadeLane, knows: str
) -> None:
    batch = fill_replays(session, lane, "queued", knows)
    most = MOST_OF_A_CLAIM + FEW  # the replay is one batch more
    assert most_rows(session, claims._CLAIM, claiming(lane)) <= most
    ids = list(session.execute(SOME_IDS, {"batch": batch, "few": FEW}).scalars())
    assert most_rows(session, locking._READ, {"ids": ids}) <= most


NUMBERS = [f"91{n}" for n in range(100, 100 + FEW)]


@BOTH
@pytest.mark.parametrize("state", ["opted_in", "opted_out"])
def test_whom_consent_bars_is_read_of_those_who_are_asked_about(
    session: Session, lane: MadeLane, state: str, knows: str
) -> None:
    fill_consent(session, lane, knows)
    session.execute(text("UPDATE consent SET state = :state"), {"state": state})
    values = {"credential": lane.credential_id, "recipient": column(NUMBERS), "is_marketing": True}
    assert most_rows(session, consents._BARRED, {**values, "needs_opt_in": True}) <= FEW


@BOTH
def test_how_people_stand_is_read_of_those_who_are_asked_about(session: Session, lane: MadeLane, knows: str) -> None:
    fill_consent(session, lane, knows)
    people = {"recipient": column(NUMBERS), "credential_id": column([lane.credential_id] * FEW)}
    assert most_rows(session, consents._READ, people) <= FEW


@BOTH
def test_sweep_of_the_inbox_reads_the_first_that_is_not_settled(session: Session, lane: MadeLane, knows: str) -> None:
    fill_inbox(session, lane, knows)
    assert most_rows(session, inbound._OLDEST, {}) == 1
    assert most_rows(session, inbound._UNSETTLED, {"credential": lane.credential_id, "group": FEW}) <= FEW


# A search, and how many messages it may read: what the first turns of its ways take, or all that wait.
FIRST_TURNS, FURTHER_TURNS = 3_000, 9_500
ALL_THAT_WAIT = FIRST_TURNS + MANY
FIRST, SECOND, THIRD, LAST = (SEARCHED_FROM + hours * timedelta(hours=3) for hours in range(4))
NOBODY = UUID("01a00000-0000-7000-8000-000000000000")  # no such batch, no such surface
LATER = LAST + timedelta(days=30)
SEARCHES = {
    "all": (Search(), FIRST_TURNS),
    **{f"state {state}": (Search(state=state), FIRST_TURNS) for state in State},
    "state queued": (Search(state=State.QUEUED), ALL_THAT_WAIT),  # all of them are old
    "state delivered": (Search(state=State.DELIVERED), ALL_THAT_WAIT),  # and no other message is as old
    **{
        f"error {error}": (Search(reason=error), FIRST_TURNS)
        for error in ("EC_ABSENT_SUBSCRIBER", "EC_UNKNOWN_SUBSCRIBER", "validity_over", "nothing", "delivered_late")
    },
    "to": (Search(recipient="91900007"), FIRST_TURNS),
    "to nobody": (Search(recipient="91"), FIRST_TURNS),
    "callback data": (Search(callback_data="order-77"), FIRST_TURNS),
    "callback data of a batch": (Search(callback_data="batch-77"), FIRST_TURNS),
    "callback data of a large batch": (Search(callback_data="shared"), FIRST_TURNS),
    "callback data of nothing": (Search(callback_data="nothing"), FIRST_TURNS),
    "callback data, failed": (Search(callback_data="shared", state=State.FAILED), FIRST_TURNS),
    "prefix": (Search(callback_prefix="order-77"), FIRST_TURNS),
    "prefix of many": (Search(callback_prefix="order-"), FIRST_TURNS),
    "prefix of many, none of which waits": (Search(callback_prefix="o", state=State.QUEUED), ALL_THAT_WAIT),
    "prefix of many batches": (Search(callback_prefix="batch"), FURTHER_TURNS),
    "prefix of a large batch": (Search(callback_prefix="share"), FURTHER_TURNS),
    "prefix of nothing": (Search(callback_prefix="x"), FIRST_TURNS),
    "journey of many batches": (Search(journey_id="small"), FIRST_TURNS),
    "journey of a large batch": (Search(journey_id="large"), FIRST_TURNS),
    "journey of nothing": (Search(journey_id="nothing"), FIRST_TURNS),
    "journey, failed": (Search(journey_id="small", state=State.FAILED), FIRST_TURNS),
    "journey, expired": (Search(journey_id="large", state=State.EXPIRED), FIRST_TURNS),
    "journey, sent": (Search(journey_id="large", state=State.SENT), FIRST_TURNS),
    "journey of which none failed": (Search(journey_id="large", state=State.FAILED), FIRST_TURNS),
    "journey, an error of others": (Search(journey_id="small", reason="EC_ABSENT_SUBSCRIBER"), FIRST_TURNS),
    "another surface": (Search(surface_ids=[new_id()]), FIRST_TURNS),
    "another surface, failed": (Search(surface_ids=[new_id()], state=State.FAILED), FIRST_TURNS),
    "origin": (Search(origin=Origin.REPLAY), FIRST_TURNS),
    "time": (Search(since=THIRD, until=THIRD + timedelta(minutes=10)), FURTHER_TURNS),
    "time of nothing": (Search(since=LATER), FIRST_TURNS),
    "time, failed": (Search(state=State.FAILED, since=THIRD, until=THIRD + timedelta(minutes=1)), FIRST_TURNS),
    "time, queued": (Search(state=State.QUEUED, since=LATER), FIRST_TURNS),
    "time, expired": (Search(state=State.EXPIRED, since=THIRD), FIRST_TURNS),
    "time, an error": (Search(reason="EC_UNKNOWN_SUBSCRIBER", until=LAST), FIRST_TURNS),
}


@KNOWLEDGE
def test_a_search_reads_about_a_page(session: Session, lane: MadeLane, knows: str) -> None:
    fill_searched(session, lane, knows)
    batches = {row.journey_id: row.id for row in session.execute(text("SELECT journey_id, id FROM batch"))}
    large = {
        f"of a large batch, {state}": (Search(batch_id=batches["large"], state=state), FIRST_TURNS)
        for state in (None, *State)
    }
    of_a_small = {"of a small batch": (Search(batch_id=batches["small"]), FIRST_TURNS)}
    of_none = {"of no batch": (Search(batch_id=new_id()), FIRST_TURNS)}
    too_much = {}
    for name, (search, most) in {**SEARCHES, **large, **of_a_small, **of_none}.items():
        for page, before in {"first": None, **_pages(session, search)}.items():
            read_before = messages_read(session)
            find(session, search, before, FEW)
            read = messages_read(session) - read_before
            session.rollback()
            if read > most:
                too_much[name, page] = read
    assert too_much == {}


def _pages(session: Session, search: Search) -> dict[str, UUID]:
    """Where the last page of a search begins."""
    question = message_search._asked(session, search, FEW)
    last = session.execute(
        text(f"SELECT m.id FROM message m WHERE {question.matches} ORDER BY m.id LIMIT 1 OFFSET 3"), question.values
    ).scalar()
    session.rollback()
    return {"last": last} if last else {}


@KNOWLEDGE
def test_what_is_due_in_a_lane_is_counted_no_further_than_it_is_told(
    session: Session, lane: MadeLane, knows: str
) -> None:
    fill(session, lane, "queued", OPEN, knows)
    assert most_rows(session, lane_overview._LANES, {"most": FEW}) <= FEW


@BOTH
@pytest.mark.parametrize(
    "asked",
    [
        {"journey_id": "small"},
        {"journey_id": "nothing"},
        {"callback_data": "batch-77"},
        {"callback_data": "nothing"},
        {"replay_of": NOBODY},
        {"surface_ids": [NOBODY]},
        {"since": LATER},
    ],
    ids=str,
)
def test_a_list_of_batches_reads_about_a_page(
    session: Session, lane: MadeLane, asked: dict[str, Any], knows: str
) -> None:
    fill_searched(session, lane, knows)
    assert _most_rows_of_list(session, asked) <= FEW


@BOTH
def test_a_list_of_batches_that_are_not_over_reads_those(session: Session, lane: MadeLane, knows: str) -> None:
    fill_searched(session, lane, knows)
    session.execute(text("UPDATE batch SET cancelled_at = now() WHERE callback_data = 'batch-77'"))
    assert closing.close(session) == SMALL_BATCHES
    session.commit()
    if knows == "all":
        session.connection().exec_driver_sql("ANALYZE")
    asked = [
        {"states": states, **others}
        for states in (["running"], ["scheduled", "paused"], ["cancelled"], ["cancelled", "running"])
        for others in ({}, {"journey_id": "small"}, {"surface_ids": [lane.surface_id]}, {"callback_data": "shared"})
    ]
    read = {str(search): _most_rows_of_list(session, search) for search in asked}
    assert {search: rows for search, rows in read.items() if rows > FEW} == {}
    assert most_rows(session, closing._CLOSE, {"most": FEW}) <= FEW


def _most_rows_of_list(session: Session, asked: dict[str, Any]) -> int:
    query = batches_like(**asked).order_by(col(Batch.id).desc()).limit(FEW)
    compiled = query.compile(session.connection(), compile_kwargs={"render_postcompile": True})
    explained = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", compiled.params)
    return most_rows_of(explained.scalar_one())


@BOTH
def test_batches_under_way_at_an_id_are_found_without_the_others(session: Session, lane: MadeLane, knows: str) -> None:
    fill_searched(session, lane, knows)
    session.execute(message_search._NO_CHOICE)
    ids = session.execute(text("SELECT id FROM batch ORDER BY id")).scalars().all()
    for floor in (BEFORE_ALL, ids[0], ids[2], ids[len(ids) // 2], ids[-1], ALL):
        explained = session.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {UNDER_WAY}"), {"floor": floor}).scalar_one()
        assert most_rows_of(explained) <= (floor in ids)
