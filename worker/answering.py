"""Answers to inbound messages: whether one goes, and the message that it becomes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import replies
from worker.columns import column, rows_of
from worker.consents import Person
from worker.copying import SharedColumns, copy_messages, own_part
from worker.credential_rules import CredentialRules
from worker.ids import first_id_at, new_id
from worker.keywords import Reading
from worker.recipients import is_number
from worker.segments import count
from worker.states import State
from worker.tally import Changes
from worker.words import Action, Origin

_LOOKED_BACK = replies.DAY + timedelta(hours=1)  # an ID may be a little older than its row
# By the replies' own clock: what they answer may have waited to be settled.
_ANSWERED = text(f"""
    SELECT m.recipient, i.credential_id, i.reply, m.created_at
    FROM message m JOIN inbound_message i ON i.reply_id = m.id
    WHERE m.recipient = ANY(:people) AND m.id >= :since AND m.origin = '{Origin.REPLY}'
""")
# What people were sent last, any of which may come back; a text that many were sent comes once.
_SENT = text(f"""
    SELECT sent.text, array_agg(sent.recipient) AS recipients FROM (
        SELECT p.recipient, left(coalesce(m.text, b.text), {replies.COMPARED}) AS text
        FROM {rows_of(recipient="text")} AS p CROSS JOIN LATERAL (
            SELECT text, batch_id FROM message
            WHERE recipient = p.recipient AND id >= :since ORDER BY id DESC LIMIT 20
        ) AS m LEFT JOIN batch b ON b.id = m.batch_id
    ) AS sent WHERE sent.text IS NOT NULL GROUP BY sent.text
""")


class Answer(NamedTuple):
    """The reply that goes, or why none does."""

    reply_id: UUID | None
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An inbound message, as its row has it."""

    id: UUID
    credential_id: UUID
    sender: str
    recipient: str | None
    text: str | None
    received_at: datetime

    @property
    def person(self) -> Person:
        return Person(self.sender, self.credential_id)


class Answering:
    """The answers of one transaction, in the order they are decided; `write` stores them. Does not commit.

    Whoever uses it has the credentials' turns: nobody else answers these people meanwhile.
    """

    def __init__(self, session: Session, now: datetime, written: Iterable[Written]) -> None:
        self._session = session
        self._now = now
        self._since = first_id_at(now - _LOOKED_BACK)
        self._people = list({one.sender for one in written if is_number(one.sender)})
        self._earlier: dict[tuple[Person, str], list[datetime]] = {}
        for row in session.execute(_ANSWERED, {"people": self._people, "since": self._since}):
            self._note(Person(row.recipient, row.credential_id), row.reply, row.created_at)
        self._lines: list[str] = []
        self._lanes: Counter[UUID] = Counter()

    def answer(
        self, written: Written, action: Action, reading: Reading, rules: CredentialRules, *, is_blocked: bool
    ) -> Answer:
        """The answer with the message of `action`, which follows from what was read."""
        answer = replies.text_for(action, rules.texts, rules.keywords, reading.word)
        if answer is None:
            return Answer(None, replies.NO_MESSAGE)
        why_not = self._why_not(written, action, rules, is_blocked=is_blocked)
        if why_not is not None:
            return Answer(None, why_not)
        reply_id = new_id()
        self._note(written.person, action, self._now)
        self._lines.append(self._line(reply_id, written, answer, rules))
        self._lanes[rules.lane_id] += 1
        return Answer(reply_id)

    def write(self) -> set[UUID]:
        """Gives the lanes that have something to send."""
        if not self._lines:
            return set()
        copy_messages(self._session, self._lines)
        changes = Changes()
        for lane_id, n in self._lanes.items():
            changes.entered([lane_id], State.QUEUED, None, n)
        changes.write(self._session)
        return set(self._lanes)

    def _why_not(self, written: Written, action: Action, rules: CredentialRules, *, is_blocked: bool) -> str | None:
        if rules.is_deleted:
            return replies.CREDENTIAL_DELETED
        if written.recipient is None:
            return replies.NO_SENDER
        if not is_number(written.sender):
            return replies.NOT_A_NUMBER
        if written.sender == written.recipient or rules.is_own_number(written.sender):
            return replies.OWN_NUMBER
        if is_blocked:
            return replies.NUMBER_BLOCKED
        ours = rules.own_forms
        if action in (Action.NONE, Action.NEAR_MISS):
            if self._now - written.received_at > rules.validity:
                return replies.TOO_LATE
            # A keyword is nobody's echo of a campaign.
            ours = (*ours, *self._sent.get(written.sender, ()))
        if replies.is_echo(replies.form(written.text or ""), ours):
            return replies.ECHO
        return replies.too_often(self._earlier.get((written.person, action), ()), self._now)

    @cached_property
    def _sent(self) -> Mapping[str, Sequence[str]]:
        """What each of these people was sent of late, in the form in which texts are compared. Most transactions never
        ask."""
        sent: dict[str, list[str]] = {}
        for row in self._session.execute(_SENT, {"recipient": column(self._people), "since": self._since}):
            form = replies.form(row.text)
            for recipient in row.recipients:
                sent.setdefault(recipient, []).append(form)
        return sent

    def _line(self, reply_id: UUID, written: Written, answer: str, rules: CredentialRules) -> str:
        return SharedColumns(
            batch_id=None,
            surface_id=None,
            lane_id=rules.lane_id,
            sender=written.recipient,
            origin=Origin.REPLY,
            state=State.QUEUED,
            next_attempt_at=self._now,
            leave_before=None,
            expires_at=self._now + rules.validity,
            validity_seconds=int(rules.validity.total_seconds()),
            created_at=self._now,
        ).part() + own_part(
            message_id=reply_id,
            recipient=written.sender,
            text=answer,
            values=rules.values,
            segments=count(answer),
        )

    def _note(self, person: Person, action: str, at: datetime) -> None:
        self._earlier.setdefault((person, action), []).append(at)
