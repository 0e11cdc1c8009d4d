"""Preview: what a send would become, message by message, and what it would cost. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session, col, select

from worker import consents, costs
from worker.costs import Cost
from worker.dlt_registry import screen_of
from worker.duplicates import first_of_each
from worker.enqueue_batch import resolved
from worker.mms import Mms
from worker.models import Lane
from worker.orders import BatchOrder, Manner, Rejected, Row
from worker.places import Place, find_place, schedule_of
from worker.reasons import WINDOW_CLOSED
from worker.rows import BadRow, Checked, RowReader
from worker.segments import Segments, count
from worker.transliteration import transliterate
from worker.windows import INDIA, Turn
from worker.words import Channel

MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One message as it would go out; of an MMS to an Indian number that is the SMS in its place, as `goes_as` says.
    `sent_as`: its text as Infobip would transliterate it, where that is another. `not_sent`: why consent forbids it, or
    that its window opens too late; then it has no turn."""

    index: int
    recipient: str
    goes_as: Channel
    sender: str
    text: str | None
    sent_as: str | None
    mms: Mms | None
    segments: Segments | None
    content_template_id: str | None
    principal_entity_id: str | None
    warning: str | None
    not_sent: str | None
    turn: Turn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`costs`: of all samples that would go, each with the channel on which; `duplicates`: rows that would be
    dropped."""

    samples: Sequence[Sample]
    rejected: Sequence[Rejected]
    duplicates: int
    costs: Sequence[tuple[Channel, Cost]]

    @property
    def parts(self) -> int:
        return sum(sample.segments.parts for sample in self.samples if sample.segments is not None)


def preview(session: Session, order: BatchOrder) -> Preview:
    """Nothing is locked while its rows are read. Errors: Refusal of what the batch says itself; a bad row is one of
    `rejected`."""
    place = find_place(session, order.surface)
    order = resolved(session, order, place)
    session.rollback()
    reading = place.reading(order.values, order.manner, screen_of(session, place))
    reader = RowReader(reading, order.text, order.mms, order.template, order.template_variables)
    rejected = list(order.rejected)
    is_first = first_of_each(MOST_ROWS) if order.deduplicates else None
    checked: list[tuple[Row, Checked]] = []
    duplicates = 0
    for row in order.rows:
        try:
            one = reader.read(row)
        except BadRow as error:
            rejected.append(Rejected(row.index, row.to, error.field, error.reason))
            continue
        if is_first is None or is_first(one.recipient):
            checked.append((row, one))
        else:
            duplicates += 1
    samples = _samples(session, place, order, reader, checked)
    return Preview(
        samples=samples,
        rejected=sorted(rejected, key=lambda row: row.index),
        duplicates=duplicates,
        costs=_costs(session, place, samples),
    )


def _samples(
    session: Session, place: Place, order: BatchOrder, reader: RowReader, checked: Sequence[tuple[Row, Checked]]
) -> list[Sample]:
    barred = _barred(session, place, [one.recipient for _, one in checked])
    manner = order.manner.over(place.manner)
    schedule = schedule_of(place, order.send_at, order.validity, len(checked))
    turns = place.turns(manner, schedule, order.messages_per_second)
    samples: list[Sample] = []
    waiting = 0  # whom consent forbids takes no turn
    for row, one in checked:
        words, mms, segments = _content(place, manner, order, reader, one)
        alphabet = manner.transliteration
        sent_as = None if words is None or alphabet is None else transliterate(words, alphabet)
        values = one.values.over(order.values.over(place.values))
        turn, reason = turns.of(one.recipient, waiting), barred.get(one.recipient)
        waiting += reason is None
        reason = reason or (WINDOW_CLOSED if turn is turns.closed else None)
        samples.append(
            Sample(
                index=row.index,
                recipient=one.recipient,
                goes_as=Channel.SMS if mms is None else Channel.MMS,
                sender=place.sender if mms is not None else place.text_sender,
                text=words,
                sent_as=None if sent_as == words else sent_as,
                mms=mms,
                segments=segments,
                content_template_id=values.content_template_id,
                principal_entity_id=values.principal_entity_id,
                warning=one.warning,
                not_sent=reason,
                turn=None if reason else turn,
            )
        )
    return samples


class _Content(NamedTuple):
    """A text with its segments, or an MMS."""

    text: str | None
    mms: Mms | None
    segments: Segments | None


def _content(place: Place, manner: Manner, order: BatchOrder, reader: RowReader, one: Checked) -> _Content:
    """What goes out. Of an MMS that is its fallback's text where MMS does not reach: as the gate has it (gate.py)."""
    if place.channel is Channel.SMS:
        return _Content(order.text if one.text is None else one.text, None, one.segments or reader.segments)
    mms = order.mms if one.mms is None else one.mms
    text = None if mms is None or not one.recipient.startswith(INDIA) else mms.fallback_text
    if text is None:
        return _Content(None, mms, None)
    return _Content(text, None, count(text, manner.language, manner.transliteration))


def _costs(session: Session, place: Place, samples: Sequence[Sample]) -> list[tuple[Channel, Cost]]:
    """The dearest first."""
    found: list[tuple[Channel, Cost]] = []
    for channel in Channel:
        going = [
            (sample.recipient, sample.segments.parts if sample.segments else 1)
            for sample in samples
            if sample.turn and sample.goes_as is channel
        ]
        if going:
            lane_id = place.lane_id if channel is place.channel else _lane_of(session, place, channel)
            found += [(channel, cost) for cost in costs.estimate(session, lane_id, going)]
    return sorted(found, key=lambda one: -(one[1].amount or 0))


def _lane_of(session: Session, place: Place, channel: Channel) -> UUID:
    """Beside the surface's own."""
    return session.exec(
        select(Lane.id).where(
            col(Lane.credential_id) == place.credential_id,
            col(Lane.channel) == channel,
            col(Lane.message_type) == place.message_type,
        )
    ).one()


def _barred(session: Session, place: Place, recipients: Sequence[str]) -> dict[str, str]:
    return consents.barred(
        session,
        place.credential_id,
        recipients,
        is_marketing=place.is_marketing,
        needs_opt_in=place.needs_opt_in,
    )
