"""Places: where messages of a surface go, what the surface and its credential give them, and when they may leave."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session

from worker.alphabets import Language
from worker.dlt.screen import Screen
from worker.hours import format_hours, parse_hours
from worker.orders import Manner, Values
from worker.pace import written_at
from worker.refusals import Refusal
from worker.rows import Reading
from worker.turns import Turns
from worker.validity import BadValidity, check_validity
from worker.windows import OFF
from worker.words import Channel, DltPolicy, MessageType

FURTHEST_AHEAD = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A surface as it stands now, its lane, and what the two levels of surface and credential give together."""

    now: datetime  # the database's, as this is read: the transaction may have waited for others before
    surface_id: UUID
    credential_id: UUID
    lane_id: UUID
    channel: Channel
    message_type: str
    sender: str
    needs_opt_in: bool
    default_country: str | None
    values: Values
    validity: timedelta
    manner: Manner
    dlt: str  # DltPolicy
    fallback_sender: str | None

    @property
    def is_screened(self) -> bool:
        """Texts to Indian numbers are held against the registered templates."""
        return self.dlt != DltPolicy.OFF

    @property
    def screened_sender(self) -> str | None:
        """Who sends, where that decides which templates may be used."""
        return self.text_sender if self.is_screened else None

    @property
    def text_sender(self) -> str:
        """Who sends its texts: of an MMS surface, those that go in an MMS's place."""
        return (self.fallback_sender if self.channel is Channel.MMS else None) or self.sender

    @property
    def is_marketing(self) -> bool:
        return self.message_type == MessageType.MARKETING

    def turns(self, manner: Manner, schedule: "Schedule", per_second: int | None = None) -> Turns:
        return Turns(
            manner.sending_window,
            is_marketing=self.is_marketing,
            start=schedule.first_turn(per_second),
            expires_at=schedule.expires_at,
            now=self.now,
            per_second=per_second,
        )

    def reading(self, values: Values, manner: Manner, screen: Screen | None) -> Reading:
        """By what the rows of an order are read that gives these itself."""
        return Reading(
            channel=self.channel,
            default_country=self.default_country,
            values=values.over(self.values),
            manner=manner.over(self.manner),
            screen=screen,
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    send_at: datetime | None  # None: at once
    first_attempt_at: datetime
    begins_at: datetime  # what turns at a pace count from, and the validity: that, or when they are written, if later
    expires_at: datetime
    validity_seconds: int

    def first_turn(self, per_second: int | None) -> datetime:
        """Without a pace nobody waits for the others to be written."""
        return self.first_attempt_at if per_second is None else self.begins_at


# Locks out a PATCH or DELETE of either row until we commit, and sees the row as those left it. In the order of their
# IDs: those who change a surface or a credential lock no more than that one, so nobody waits for us in a circle.
_FIND_PLACES = """
    SELECT statement_timestamp() AS now, s.id AS surface_id, s.name, l.id AS lane_id, s.channel, s.message_type,
           s.sender, s.default_country, s.require_opt_in, c.id AS credential_id,
           s.dlt, s.transliteration, s.language, s.sending_window, s.fallback_sender,
           s.callback_data AS s_callback_data, c.callback_data AS c_callback_data,
           s.content_template_id AS s_content_template_id, c.content_template_id AS c_content_template_id,
           s.principal_entity_id AS s_principal_entity_id, c.principal_entity_id AS c_principal_entity_id,
           coalesce(s.validity_seconds, c.validity_period_hours * 3600) AS validity_seconds
    FROM surface s
    JOIN credential c ON c.id = s.credential_id
    JOIN lane l ON l.credential_id = c.id AND l.channel = s.channel AND l.message_type = s.message_type
    WHERE (s.name = ANY(:names) OR s.id = ANY(:ids)) AND s.deleted_at IS NULL AND c.deleted_at IS NULL
    ORDER BY s.id
    FOR KEY SHARE OF s, c
"""
_FIND = sa.text(_FIND_PLACES)
_FIND_FREE = sa.text(f"{_FIND_PLACES} SKIP LOCKED")
_IS_SCREENED = sa.text("""
    SELECT dlt <> :off FROM surface WHERE (name = :name OR id = CAST(:id AS uuid)) AND deleted_at IS NULL
""")


def find_place(session: Session, surface: str) -> Place:
    """The place of a surface, by its name or ID, which stays locked. Errors: Refusal where there is none."""
    place = find_places(session, [surface]).get(surface)
    if place is None:
        raise Refusal.of_field("surface", "there is no surface of this name or id: create it, or correct the reference")
    return place


def holds_texts_to_templates(session: Session, surface: str) -> bool:
    """Whether the place of this surface is screened, as it stands now: nothing is locked."""
    values = {"name": surface, "id": _id_of(surface), "off": DltPolicy.OFF}
    return session.execute(_IS_SCREENED, values).scalar_one_or_none() is True


def find_places(session: Session, surfaces: Collection[str], *, only_free: bool = False) -> dict[str, Place]:
    """For each of these names and IDs its place, if there is one. The surfaces stay locked.

    `only_free`: without those that somebody is changing.
    """
    ids = {surface: surface_id for surface in surfaces if (surface_id := _id_of(surface)) is not None}
    found: dict[str | UUID, Place] = {}
    for row in session.execute(
        _FIND_FREE if only_free else _FIND, {"names": list(surfaces), "ids": list(ids.values())}
    ):
        found[row.name] = found[row.surface_id] = _read_place(row)
    places = {surface: found.get(ids.get(surface, surface)) for surface in surfaces}  # no name looks like an ID
    return {surface: place for surface, place in places.items() if place is not None}


def schedule_of(place: Place, send_at: datetime | None, validity: timedelta | None, count: int = 0) -> Schedule:
    """As `schedule`, of a batch of `count` messages that are written from now on, with the validity period of the place
    unless another is given."""
    return schedule(place.now, send_at, place.validity if validity is None else validity, written_at(place.now, count))


def schedule(now: datetime, send_at: datetime | None, validity: timedelta, ready_at: datetime) -> Schedule:
    """A time in the past means at once. The validity period counts from when the messages may first leave, but not
    before `ready_at`, when they are expected to be written.

    Errors: Refusal.
    """
    try:
        validity = check_validity(validity)
    except BadValidity as error:
        raise Refusal.of_field("validity_period", str(error)) from error
    if send_at is not None and send_at - now > FURTHEST_AHEAD:
        reason = (
            f"lies more than {FURTHEST_AHEAD.days} days ahead: give an earlier time, or ask again when it is nearer"
        )
        raise Refusal.of_field("send_at", reason)
    start = send_at if send_at is not None and send_at > now else None
    first = start or now
    begins = max(first, ready_at)
    return Schedule(start, first, begins, begins + validity, int(validity.total_seconds()))


def _id_of(surface: str) -> UUID | None:
    try:
        return UUID(surface)
    except ValueError:
        return None


def _read_place(row: Any) -> Place:
    levels = [
        Values(
            callback_data=getattr(row, f"{level}_callback_data"),
            content_template_id=getattr(row, f"{level}_content_template_id"),
            principal_entity_id=getattr(row, f"{level}_principal_entity_id"),
        )
        for level in ("s", "c")
    ]
    return Place(
        now=row.now,
        surface_id=row.surface_id,
        credential_id=row.credential_id,
        lane_id=row.lane_id,
        channel=Channel(row.channel),
        message_type=row.message_type,
        sender=row.sender,
        needs_opt_in=row.require_opt_in,
        default_country=row.default_country,
        values=levels[0].over(levels[1]),
        validity=timedelta(seconds=row.validity_seconds),
        manner=read_manner(row),
        dlt=row.dlt,
        fallback_sender=row.fallback_sender,
    )


def read_manner(row: Any) -> Manner:
    """From the columns of a surface or of a batch."""
    window = row.sending_window
    return Manner(
        transliteration=row.transliteration,
        language=None if row.language is None else Language(**row.language),
        sending_window=window if window in (None, OFF) else parse_hours(window),
    )


def manner_columns(manner: Manner) -> dict[str, Any]:
    """What `read_manner` reads."""
    window = manner.sending_window
    return {
        "transliteration": manner.transliteration,
        "language": None if manner.language is None else manner.language._asdict(),
        "sending_window": window if window is None or isinstance(window, str) else format_hours(window),
    }
