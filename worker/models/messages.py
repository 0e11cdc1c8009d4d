"""Messages: batches, what each message is, its attempts, and their counts."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from worker.ids import new_id
from worker.models.columns import callback_index, count, free_json, ids, small, string, utc
from worker.reasons import DELIVERED_LATE
from worker.states import LIVE, REASONED, UNDELIVERED, WAITING, State
from worker.words import UNSETTLED, Origin, listed

# Where a message's reason says why it stands as it does, and is not the memory of an earlier attempt.
SAYS_WHY = f"(state IN ({listed(REASONED)}) OR reason = '{DELIVERED_LATE}')"


_IS_DONE = "(is_over AND cancelled_at IS NULL)"
# Ranges of IDs, so that an index finds the batches that were under way at one.
_MAKE_RANGES = sa.DDL("CREATE TYPE id_range AS RANGE (subtype = uuid)")  # type: ignore[no-untyped-call]
sa.event.listen(SQLModel.metadata, "before_create", _MAKE_RANGES)


class Batch(SQLModel, table=True):
    """The messages accepted in one request, and what they share, resolved once at enqueue.

    `paused_at` stops them all at once, through the gate; a sweep then takes those that wait out of the due index, and
    `held_through` says how far it came (worker/setting_aside.py). So does `cancelled_at`, whose sweep ends them
    (worker/cancelling.py), and `move_to`, whose sweep gives those that never left another turn (worker/moving.py).
    """

    __table_args__ = (
        callback_index("batch_callback"),
        sa.Index("batch_journey", "journey_id", "id", postgresql_where=sa.text("journey_id IS NOT NULL")),
        sa.Index("batch_surface", "surface_id", "id"),
        sa.Index("batch_replay_of", "replay_of", "id", postgresql_where=sa.text("replay_of IS NOT NULL")),
        sa.Index(
            "batch_under_way",
            sa.text("id_range(id, messages_through)"),
            postgresql_using="gist",
        ),
        # Few of all there ever were: what goes on; and with it what was cancelled. Asked for in the order of these keys
        # (api/batch_views.py), they are found by no other index.
        sa.Index("batch_live", "is_over", "id", postgresql_where=sa.text("is_over <= false")),
        sa.Index("batch_not_done", sa.text(_IS_DONE), "id", postgresql_where=sa.text(f"{_IS_DONE} <= false")),
        # Those that stand still or that a sweep has to go through: few, whatever else there is.
        sa.Index(
            "batch_steered",
            "id",
            postgresql_where=sa.text(
                "paused_at IS NOT NULL OR held_through IS NOT NULL OR move_to IS NOT NULL"
                " OR (cancelled_at IS NOT NULL AND NOT is_cleared)"
            ),
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    surface_id: UUID = Field(nullable=False)
    lane_id: UUID = Field(nullable=False)
    sender: str = string(nullable=False)
    text: str | None = string()
    mms: Any = free_json()  # worker/mms.py
    callback_data: str | None = string()
    principal_entity_id: str | None = string()
    content_template_id: str | None = string()
    transliteration: str | None = string()
    language: Any = free_json()
    sending_window: Any = free_json()  # as given, an object or the word "off"; India's hours come on top
    window_off_reason: str | None = string()  # where the batch itself says "off"
    # What the text takes, where all its messages have it alike.
    encoding: str | None = string()
    segment_count: int | None = small()
    characters_left: int | None = small()
    forcing: str | None = string()  # the first character that GSM-7 has not
    validity_seconds: int = Field(nullable=False)
    journey: Any = free_json()
    journey_id: str | None = string()  # of `journey`, for searches
    messages_per_second: int | None = None  # none: no pace of its own
    replay_of: UUID | None = None  # the batch whose messages it sends again
    total: int = Field(nullable=False)
    # An ID made after those of its messages, as its own is made before them, by one process: all lie between the two,
    # however long it takes. An SMS in an MMS's place comes later, and moves it on (worker/fallbacks.py).
    messages_through: UUID = Field(default=None, nullable=False)
    rejected_count: int = count()  # rows of its request that were left out
    send_at: datetime | None = utc(nullable=True)
    expires_at: datetime = utc()
    paused_at: datetime | None = utc(nullable=True)
    pause_reason: str | None = string()  # a sentence; null where a person paused it
    held_through: UUID | None = None  # the last message that the sweep has passed: none after it is held
    refusal: str | None = string()  # what its last messages in a row were refused for, alike
    refusals: int = count()  # how many they are
    cancelled_at: datetime | None = utc(nullable=True)
    # all of it has ended, and a sweep has seen so (worker/closing.py)
    is_over: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": sa.false()})
    # cancelled, and nothing of it waits any more
    is_cleared: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": sa.false()})
    move_to: datetime | None = utc(nullable=True)  # the start by which those that never left are to get their turns
    moved: int = count()  # how many have got theirs: at a pace, the next one's follows from it
    swept_through: UUID | None = None  # the last message that the sweep of either, cancelled or moved, has passed
    created_at: datetime = utc(now=True)


class Message(SQLModel, table=True):
    """One MT item to one recipient.

    Content, callback data, sender and DLT IDs stand here only where they differ from the batch's; a single send has no
    batch and holds them all.
    """

    __table_args__ = (
        sa.Index(
            "message_due",
            "lane_id",
            "next_attempt_at",
            "id",
            postgresql_where=sa.text(f"state IN ({listed(WAITING)}) AND NOT held"),
        ),
        sa.Index("message_ending", "state", "expires_at", postgresql_where=sa.text(f"state IN ({listed(LIVE)})")),
        sa.Index("message_batch", "batch_id", "id", postgresql_where=sa.text("batch_id IS NOT NULL")),
        sa.Index("message_recipient", "recipient", "id"),
        # What an operator looks for. Nothing that is delivered costs anything here.
        sa.Index("message_undelivered", "state", "id", postgresql_where=sa.text(f"state IN ({listed(UNDELIVERED)})")),
        sa.Index(
            "message_reason",
            "reason",
            "id",
            postgresql_where=sa.text(f"reason IS NOT NULL AND {SAYS_WHY}"),
        ),
        callback_index("message_callback"),
        # What no batch leads to, and what few are: replies, replays.
        sa.Index(
            "message_single",
            "surface_id",
            "id",
            postgresql_where=sa.text("batch_id IS NULL AND surface_id IS NOT NULL"),
        ),
        sa.Index("message_origin", "origin", "id", postgresql_where=sa.text(f"origin <> '{Origin.API}'")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    batch_id: UUID | None = None
    surface_id: UUID | None = None
    lane_id: UUID = Field(nullable=False)
    origin: str = string(Origin.API, nullable=False)
    recipient: str = string(nullable=False)  # E.164 without "+"
    state: str = string(State.QUEUED, nullable=False)
    held: bool = Field(default=False, nullable=False)  # out of the due index while its batch is paused
    reason: str | None = string()  # a code: why the last attempt failed, or why the message ended
    attempt_count: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)  # the current attempt's number
    retry_count: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)  # slots of the schedule used
    next_attempt_at: datetime | None = utc(nullable=True)
    expires_at: datetime = utc()
    validity_seconds: int = Field(nullable=False)
    created_at: datetime = utc(now=True)
    finished_at: datetime | None = utc(nullable=True)
    sender: str | None = string()
    text: str | None = string()
    mms: Any = free_json()
    callback_data: str | None = string()
    principal_entity_id: str | None = string()
    content_template_id: str | None = string()
    transliteration: str | None = string()
    language: Any = free_json()
    sending_window: Any = free_json()
    # While it waits: its turn lies in an opening of its sending window, which ends at this instant. As early as its
    # turn: the window is asked when that comes. Null: no window.
    leave_before: datetime | None = utc(nullable=True)
    encoding: str | None = string()
    segment_count: int | None = small()
    characters_left: int | None = small()
    forcing: str | None = string()
    warning: str | None = string()  # what was found doubtful when it was accepted, in a sentence


class Submission(SQLModel, table=True):
    """One HTTP request to Infobip with many messages; its ID goes out as `bulkId`. Outcome null: open."""

    __table_args__ = (
        sa.Index("submission_open", "lease_until", postgresql_where=sa.text("outcome IS NULL")),
        sa.Index("submission_absent", "lane_id", "absent_until", postgresql_where=sa.text("absent_until IS NOT NULL")),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    parent_id: UUID | None = None  # the submission this one resubmits or splits
    # Every ID under which Infobip may know the attempts in here: the ancestors' and its own.
    bulk_ids: list[UUID] = ids()
    lane_id: UUID = Field(nullable=False)
    credential_version: int = Field(nullable=False)
    message_count: int = Field(nullable=False)
    opened_at: datetime = utc()
    lease_until: datetime = utc()
    closed_at: datetime | None = utc(nullable=True)
    outcome: str | None = string()
    detail: str | None = string()  # Infobip's own words, or the network's
    absent_until: datetime | None = utc(nullable=True)  # until then, absent attempts of it go out again


class Attempt(SQLModel, table=True):
    """One try to hand one message to Infobip, one `messageId`. Numbers start at 1."""

    __table_args__ = (
        sa.Index("attempt_submission", "submission_id"),
        sa.Index("attempt_look", "look_at", postgresql_where=sa.text("look_at IS NOT NULL")),
        sa.Index("attempt_doubt", "look_at", postgresql_where=sa.text(f"outcome IN ({listed(UNSETTLED)})")),
    )

    message_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=sa.SmallInteger)
    submission_id: UUID = Field(nullable=False)  # the newest
    started_at: datetime = utc()
    answered_at: datetime | None = utc(nullable=True)
    outcome: str | None = string()
    code: str | None = string()  # the status or error name that decided
    detail: str | None = string()
    doubted_at: datetime | None = utc(nullable=True)  # since when its fate was unknown; stays once settled
    looks: int = Field(default=0, sa_type=sa.SmallInteger, nullable=False)
    look_at: datetime | None = utc(nullable=True)  # when to ask Infobip's logs next


class Replayed(SQLModel, table=True):
    """A message is replayed at most once, ever: its replay. To go on, the replay is replayed.

    `root_id` is the first message of such a chain: of all in it, one delivered is enough.
    """

    __table_args__ = (sa.Index("replayed_root", "root_id"),)

    source_message_id: UUID = Field(primary_key=True)
    message_id: UUID = Field(nullable=False, unique=True)
    root_id: UUID = Field(nullable=False)


class RejectedRow(SQLModel, table=True):
    """A row of a batch's request that was left out: neither stored as a message nor counted. Texts are cut short."""

    __tablename__ = "rejected_row"

    batch_id: UUID = Field(primary_key=True)
    row: int = Field(primary_key=True)  # counted from 0, as the API does
    recipient: str | None = string()  # as it was given, at most its beginning
    field: str = string(nullable=False)
    reason: str = string(nullable=False)


class Tally(SQLModel, table=True):
    """How many messages of a batch or a lane are in a state, for a reason. Readers sum over the shards."""

    subject_id: UUID = Field(primary_key=True)  # a batch's or a lane's
    state: str = string(nullable=False, primary_key=True)
    reason: str = string("", nullable=False, primary_key=True)
    shard: int = Field(primary_key=True, sa_type=sa.SmallInteger)
    n: int = Field(sa_type=sa.BigInteger, nullable=False)
