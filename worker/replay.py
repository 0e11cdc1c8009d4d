"""Replay: what of a batch ended undelivered goes out again, as a new batch, each message once ever.

The messages are walked in the order of their IDs, chunk by chunk, and none of them is locked: the key of `replayed`
decides who comes first, and one that is delivered after all meanwhile is found by the gate before its replay leaves,
and by the report that says so (worker/reports.py). All chunks are one transaction: docs/decisions/0018.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session
from uuid_utils import uuid7

from worker.columns import column, rows_of
from worker.costs import Estimate, Total
from worker.durations import format_duration
from worker.ids import new_id
from worker.models import Batch
from worker.orders import Values
from worker.pace import fitting_count
from worker.places import Place, Schedule, find_places, manner_columns, read_manner, schedule_of
from worker.refusals import Conflict, NotFound, Refusal
from worker.rendering import placeholders
from worker.replay_choice import ALREADY_REPLAYED, IS_FALLBACK, Choice, Going, ReplayOrder, most_chosen
from worker.segments import Segments, count
from worker.sqlstates import LOCK_NOT_AVAILABLE, sqlstate
from worker.states import State
from worker.tally import Changes
from worker.turns import Turns, time_for_turns
from worker.words import Channel, Origin

_CONTENT: Final = ("text", "mms", "transliteration", "language")  # of a batch

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('replay ' || :batch, 0))")
_LINKED = text("SELECT id FROM batch WHERE replay_of = :batch ORDER BY id DESC LIMIT 1")
# Of these, who has been replayed by somebody else since is left out.
_TAKE = text(f"""
    INSERT INTO replayed (source_message_id, message_id, root_id)
    SELECT v.* FROM {rows_of(source="uuid", message="uuid", root="uuid")} AS v ORDER BY v.source
    ON CONFLICT (source_message_id) DO NOTHING
    RETURNING source_message_id
""")
# What a message has of its own, as its source has it.
_COPIED: Final = ("recipient", "mms", "warning", "callback_data")
# Counted anew where the source is of before they were counted.
_COUNTS: Final = {"encoding": "text", "segment_count": "int2", "characters_left": "int2", "forcing": "text"}
_REPLAY = text(f"""
    INSERT INTO message (
        id, batch_id, surface_id, lane_id, origin, state, held, attempt_count, retry_count,
        next_attempt_at, leave_before, expires_at, validity_seconds, created_at,
        text, {", ".join((*_COPIED, *_COUNTS))}, principal_entity_id, content_template_id)
    SELECT v.message, :replay, :surface, :lane, '{Origin.REPLAY}', '{State.QUEUED}', false, 0, 0,
        v.at, v.leave_before, :expires_at, :validity, :now,
        CASE WHEN NOT {IS_FALLBACK} THEN m.text END,
        {", ".join(f"m.{name}" for name in _COPIED)},
        {", ".join(f"CASE WHEN NOT {IS_FALLBACK} THEN coalesce(m.{name}, v.{name}) END" for name in _COUNTS)},
        CASE WHEN CAST(:entity AS text) IS NULL THEN m.principal_entity_id END,
        CASE WHEN CAST(:template AS text) IS NULL THEN m.content_template_id END
    FROM {rows_of(source="uuid", message="uuid", at="timestamptz", leave_before="timestamptz", **_COUNTS)} AS v
    JOIN message m ON m.id = v.source
""")
_LINKS = text("""
    SELECT (SELECT source_message_id FROM replayed WHERE message_id = :id) AS replay_of_message,
           (SELECT message_id FROM replayed WHERE source_message_id = :id) AS replayed_by
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """`id` is that of the batch that was made or, where nothing was left, of the newest one made before, if any. Once
    committed, nudge the lane. `left_out`: how many, by reason."""

    id: UUID | None
    lane_id: UUID
    channel: Channel
    message_type: str
    accepted: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`groups`: how many would go, by state and reason. `segments`: as they were counted when the source was accepted,
    or now where nobody had; an MMS is one. `cost`: of all of them (costs.py); None where no price is known."""

    groups: Mapping[tuple[State, str | None], int]
    left_out: Mapping[str, int]
    segments: int
    cost: Total | None

    @property
    def would_replay(self) -> int:
        return sum(self.groups.values())


class Links(NamedTuple):
    """Of a message: the one it replays, and the one that replays it."""

    replay_of_message: UUID | None
    replayed_by: UUID | None


def links(session: Session, message_id: UUID) -> Links:
    return Links(*session.execute(_LINKS, {"id": message_id}).one())


def preview(session: Session, order: ReplayOrder) -> Preview:
    """What `replay` would do now. Writes nothing. Errors: as `replay`, but nobody is waited for."""
    source = _find(session, order)
    way = _way(session, source, order)
    # A transaction that has locked a row is one that feeds wait for, and this one may take a while.
    session.rollback()
    choice = Choice(session, order, way.place, way.batch)
    segments, cost = 0, Estimate(session, way.place.lane_id)
    for going in way.in_time(choice.chunks()):
        segments += sum(row.parts for row in going)
        cost.add([(row.recipient, row.parts) for row in going])
    return Preview(
        groups=choice.groups,
        left_out=choice.left_out,
        segments=segments,
        cost=cost.total(),
    )


def replay(session: Session, order: ReplayOrder) -> Replay:
    """Store a new batch with what may go out again, if anything may. Does not commit.

    Errors: NotFound; Conflict where the surface is gone, or another replay of the batch takes its time; Refusal of what
    is asked for.
    """
    _wait_for_others(session, order.batch_id)
    source = _find(session, order)
    way = _way(session, source, order)
    choice = Choice(session, order, way.place, way.batch)
    accepted = 0
    for going in way.in_time(choice.chunks()):
        written = _write(session, way, going, accepted)
        accepted += written
        if written < len(going):
            choice.left_out[ALREADY_REPLAYED] += len(going) - written
    if accepted:
        way.batch.total = accepted
        way.batch.messages_through = new_id()
        session.add(way.batch)
        session.flush()
        changes = Changes()
        changes.entered((way.place.lane_id, way.batch.id), State.QUEUED, None, accepted)
        changes.write(session)
    return Replay(
        id=way.batch.id if accepted else session.execute(_LINKED, {"batch": order.batch_id}).scalar_one_or_none(),
        lane_id=way.place.lane_id,
        channel=way.place.channel,
        message_type=way.place.message_type,
        accepted=accepted,
        left_out=choice.left_out,
    )


def _wait_for_others(session: Session, batch_id: UUID) -> None:
    """Errors: Conflict, where another replay of this batch takes longer than we wait for a lock."""
    try:
        session.execute(_ONE_AT_A_TIME, {"batch": str(batch_id)})
    except OperationalError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        raise Conflict(
            "Another replay of this batch is being made: repeat this one later, and it takes what that one leaves",
            retry_after_seconds=5,
        ) from error


def _find(session: Session, order: ReplayOrder) -> Batch:
    """Errors: NotFound; Refusal of what is chosen."""
    if State.UNCONFIRMED in order.states and not order.includes_unconfirmed:
        raise Refusal.of_field(
            "states",
            "names unconfirmed messages, which their recipients may have: give include_unconfirmed true to send "
            "them again all the same",
        )
    if order.since is not None and order.until is not None and order.since >= order.until:
        raise Refusal.of_field("until", "is not later than from, so that no message ended in between")
    source = session.get(Batch, order.batch_id)
    if source is None:
        raise NotFound("There is no batch with this id")
    return source


@dataclass(frozen=True, slots=True)
class _Way:
    """Where the replay goes, and the batch that it is to be: nothing of it is written yet."""

    place: Place
    schedule: Schedule
    batch: Batch
    given: Values  # instead of the messages' own
    turns: Turns

    @property
    def most(self) -> int | None:
        """So many messages have their turns in time; None: any number has."""
        pace = self.batch.messages_per_second
        if pace is None:
            return None
        within = time_for_turns(
            read_manner(self.batch).sending_window, self.schedule.begins_at, self.schedule.expires_at
        )
        return fitting_count(within, pace)

    def in_time(self, chunks: Iterable[list[Going]]) -> Iterator[list[Going]]:
        """Errors: Refusal, where at the batch's pace they would not leave in time."""
        most, count_so_far = self.most, 0
        for going in chunks:
            count_so_far += len(going)
            if most is not None and count_so_far > most:
                raise self._too_many(most)
            yield going

    def _too_many(self, most: int) -> Refusal:
        validity = format_duration(self.schedule.expires_at - self.schedule.begins_at)
        return Refusal.of_field(
            "validity_period",
            f"at the batch's {self.batch.messages_per_second:,} messages a second {most:,} have their turns "
            f"within {validity}, and more are to go: give a longer one, or choose fewer",
        )


def _way(session: Session, source: Batch, order: ReplayOrder) -> _Way:
    """Through the source's surface as it is now, which stays locked. Errors: Conflict where it is gone; Refusal.

    Content is the source's, and so is how its text is written: what was counted then holds. Of what says who sends it
    and when, the surface gives what the source did not have; a window that the source had off stays so.
    """
    surface = str(source.surface_id)
    place = find_places(session, [surface]).get(surface)
    if place is None:
        raise Conflict(
            "The surface of this batch was deleted, or its credential was: nothing of it can be replayed; send its "
            "messages in a new batch, through another surface"
        )
    schedule = schedule_of(place, None, order.validity, most_chosen(session, order))
    was = Values(
        principal_entity_id=source.principal_entity_id,
        content_template_id=source.content_template_id,
    )
    shared = order.values.over(was).over(place.values)
    if order.values.content_template_id is not None and shared.principal_entity_id is None:
        raise Refusal.of_field("content_template_id", "needs a principal_entity_id beside it: the batch has none")
    manner = read_manner(source).over(place.manner)  # of which the window counts
    batch = Batch(
        id=new_id(),
        surface_id=place.surface_id,
        lane_id=place.lane_id,
        sender=place.sender,
        **{name: getattr(source, name) for name in _CONTENT},
        **_counts_of_shared(source),
        sending_window=manner_columns(manner)["sending_window"],
        window_off_reason=source.window_off_reason,
        callback_data=source.callback_data,
        principal_entity_id=shared.principal_entity_id,
        content_template_id=shared.content_template_id,
        validity_seconds=schedule.validity_seconds,
        journey=source.journey,
        journey_id=source.journey_id,
        messages_per_second=source.messages_per_second,
        replay_of=source.id,
        total=0,  # until they are chosen
        expires_at=schedule.expires_at,
        created_at=place.now,
    )
    turns = place.turns(manner, schedule, batch.messages_per_second)
    return _Way(place, schedule, batch, order.values, turns)


def _counts_of_shared(source: Batch) -> dict[str, Any]:
    """Of the text that the batch says for all: as it was counted, or now."""
    if source.segment_count is not None or source.text is None or placeholders(source.text):
        return {name: getattr(source, name) for name in _COUNTS}
    manner = read_manner(source)
    return _counts(count(source.text, manner.language, manner.transliteration))


def _counts(takes: Segments | None) -> dict[str, Any]:
    """As columns of a batch, or of a message."""
    if takes is None:
        return dict.fromkeys(_COUNTS)
    return {
        "encoding": takes.encoding,
        "segment_count": takes.parts,
        "characters_left": takes.left,
        "forcing": takes.forcing,
    }


def _write(session: Session, way: _Way, going: Sequence[Going], before: int) -> int:
    """How many were written: not who has been replayed by somebody else since. `before`: how many of the batch were
    written already."""
    made = {row.id: uuid7() for row in going}
    links = {"source": column(made), "message": column(map(str, made.values()))}
    taken = set(session.execute(_TAKE, {**links, "root": column(row.root_id for row in going)}).scalars())
    rows = [row for row in going if row.id in taken]
    turns = [way.turns.of(row.recipient, before + place) for place, row in enumerate(rows)]
    batch = way.batch
    counts = [_counts(row.takes) for row in rows]
    session.execute(
        _REPLAY,
        {
            **{name: column(of_row[name] for of_row in counts) for name in _COUNTS},
            "source": column(row.id for row in rows),
            "message": column(str(made[row.id]) for row in rows),
            "at": column(turn.at for turn in turns),
            "leave_before": column(turn.leave_before for turn in turns),
            "replay": batch.id,
            "surface": batch.surface_id,
            "lane": batch.lane_id,
            "expires_at": batch.expires_at,
            "validity": batch.validity_seconds,
            "now": batch.created_at,
            "entity": way.given.principal_entity_id,
            "template": way.given.content_template_id,
        },
    )
    return len(rows)
