"""Inbound messages: each is stored once, changes consent, and is answered, in one transaction.

stored      a message that Infobip pushes again is known by its ID, and changes nothing more
read        by the credential's keywords (keywords.py)
consent     what follows (consent.py), written with its history (consents.py)
answered    where an answer is due and no rule forbids it (replies.py): by a message like any other, in the lane for
            transactional SMS (answering.py)

What is pulled from Infobip is given only once there: it is committed as it came before anything is made of it
(pulling.py), and a sweep goes on with what a crash left.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine, text
from sqlmodel import Session

from worker import consents, events, replies, unmatched
from worker.answering import Answer, Answering, Written
from worker.columns import column, rows_of
from worker.consent import CHANGING, NOTHING_SAID, Standing, said, step
from worker.consents import Person, Said
from worker.credential_rules import CredentialRules, read_rules
from worker.db import database_now, is_away, open_session, transact
from worker.events import Told
from worker.ids import new_id
from worker.infobip.inbound import Inbound
from worker.infobip.reading import BadItem
from worker.keywords import Reading, read
from worker.logs import log_bug
from worker.metrics import inbound_messages_total
from worker.recipients import has_form
from worker.settings import Settings
from worker.sqlstates import has_given_way
from worker.unmatched import Unmatched
from worker.words import Action, ConsentSource, ConsentState, EventType

_log = structlog.get_logger()

GROUP = 500  # messages a transaction, of those that were stored before

Items = Sequence[Inbound | BadItem]

_COLUMNS = {  # stored as they are read
    "provider_id": "text",
    "channel": "text",
    "sender": "text",
    "recipient": "text",
    "text": "text",
    "received_at": "timestamptz",
    "segment_count": "int",
    "price": "numeric",
    "currency": "text",
    "callback_data": "text",
}
_ADDED = {"id": "uuid", "credential_id": "uuid", "media": "jsonb", "created_at": "timestamptz"}
# In the order of what must be unique: a pull and a push that bring the same messages wait for each other in one order.
_STORE = text(f"""
    INSERT INTO inbound_message ({", ".join([*_COLUMNS, *_ADDED])})
    SELECT v.* FROM {rows_of(**_COLUMNS, **_ADDED)} AS v ORDER BY v.credential_id, v.provider_id, v.id
    ON CONFLICT ON CONSTRAINT inbound_message_once DO NOTHING
""")

_FIELDS = "id, credential_id, sender, recipient, text, received_at"
_WAITING = text(f"""
    SELECT {_FIELDS} FROM inbound_message
    WHERE (credential_id, provider_id) IN (
        SELECT * FROM {rows_of(credential_id="uuid", provider_id="text")} AS given) AND action IS NULL
    ORDER BY received_at, id
""")
_OLDEST = text("SELECT id, credential_id FROM inbound_message WHERE action IS NULL ORDER BY id LIMIT 1")
_ONE = text(f"SELECT {_FIELDS} FROM inbound_message WHERE id = :id AND action IS NULL")
_SET_ASIDE = text(f"""
    UPDATE inbound_message SET action = '{Action.NONE}', no_reply = '{replies.FAILED}' WHERE id = :id AND action IS NULL
    RETURNING id
""")
# Of the oldest, those of one credential: all that is not settled yet must not be read for each group.
_UNSETTLED = text(f"""
    SELECT {_FIELDS} FROM inbound_message WHERE id = ANY(ARRAY(
        SELECT id FROM (SELECT id, credential_id FROM inbound_message WHERE action IS NULL ORDER BY id LIMIT :group)
        AS oldest WHERE credential_id = :credential))
    ORDER BY received_at, id
""")

_SETTLED = {
    "id": "uuid",
    "action": "text",
    "keyword": "text",
    "consent": "text",
    "reply": "text",
    "reply_id": "uuid",
    "no_reply": "text",
}
_SETTLE = text(f"""
    UPDATE inbound_message AS i SET
        action = v.action, keyword = v.keyword, consent = v.consent, reply = v.reply, reply_id = v.reply_id,
        no_reply = v.no_reply
    FROM {rows_of(**_SETTLED)} AS v WHERE i.id = v.id
""")


class Settled(NamedTuple):
    """What became of an inbound message; the fields are the columns of its row."""

    id: UUID
    action: str
    keyword: str | None
    consent: ConsentState | None
    reply: Action | None
    reply_id: UUID | None
    no_reply: str | None


def take(session: Session, pushes: Sequence[tuple[UUID, Items]], settings: Settings) -> set[UUID]:
    """Store what these (credential ID, items) hold and settle what is new of it. Gives the lanes that have replies to
    send. The caller commits, then answers 200, and nudges them."""
    consents.take_turns(session, (credential_id for credential_id, _ in pushes))
    store(session, pushes)
    return _settle(session, _waiting(session, pushes), settings)


def store(session: Session, pushes: Iterable[tuple[UUID, Items]]) -> None:
    """Keep the items as they are, those that nobody can use for a person. What is stored already stays as it is."""
    rows = [(new_id(), credential_id, item) for credential_id, items in pushes for item in items]
    unmatched.keep(
        session,
        [Unmatched(owner, f"inbound: {bad.reason}", bad.body) for _, owner, bad in rows if isinstance(bad, BadItem)],
    )
    inbound = [(row_id, owner, item) for row_id, owner, item in rows if isinstance(item, Inbound)]
    if not inbound:
        return
    now = database_now(session)
    columns = {name: column(getattr(item, name) for _, _, item in inbound) for name in _COLUMNS}
    columns["received_at"] = column(min(item.received_at or now, now) for _, _, item in inbound)
    columns["created_at"] = column(now for _ in inbound)
    columns["id"] = column(row_id for row_id, _, _ in inbound)
    columns["credential_id"] = column(owner for _, owner, _ in inbound)
    columns["media"] = column(None if item.media is None else json.dumps(item.media) for _, _, item in inbound)
    session.execute(_STORE, columns)


def is_due(connection: Connection) -> bool:
    """Whether `settle_stored` would find anything."""
    return connection.execute(_OLDEST).first() is not None


def settle_stored(engine: Engine, settings: Settings) -> int:
    """Settle up to GROUP messages of one credential that were stored and not settled. 0 where nothing is left.

    The tick finds their replies. One that cannot be settled for a fault of ours is set aside, and the log names it: the
    others must not wait for it.
    """
    try:
        return transact(engine, lambda session: _settle_group(session, settings))
    except Exception as error:
        if is_away(error) or has_given_way(error):
            raise
        log_bug(_log, "inbound_group_failed", error)
    return _settle_oldest(engine, settings)


def _settle_group(session: Session, settings: Settings) -> int:
    oldest = session.execute(_OLDEST).one_or_none()
    if oldest is None:
        return 0
    consents.take_turns(session, [oldest.credential_id])
    rows = session.execute(_UNSETTLED, {"credential": oldest.credential_id, "group": GROUP})
    messages = [Written(**row._mapping) for row in rows]
    _settle(session, messages, settings)
    return len(messages) or 1  # somebody else did these meanwhile: there may be others


def _settle_oldest(engine: Engine, settings: Settings) -> int:
    """That one alone; else without an answer, since what it says of consent must not be lost; else aside with it."""
    with open_session(engine) as session:
        oldest = session.execute(_OLDEST).one_or_none()
    if oldest is None:
        return 0
    for answers in (True, False):
        try:
            transact(engine, partial(_settle_one, oldest=oldest, settings=settings, answers=answers))
        except Exception as error:
            if is_away(error) or has_given_way(error):
                raise
            log_bug(_log, "inbound_not_settled", error, inbound_id=str(oldest.id), is_answered=answers)
        else:
            return 1
    transact(engine, partial(_set_aside, message_id=oldest.id))
    return 1


def _set_aside(session: Session, message_id: UUID) -> None:
    aside = session.execute(_SET_ASIDE, {"id": message_id}).scalars()
    events.tell(session, [Told(EventType.INBOUND_NONE, found) for found in aside])


def _settle_one(session: Session, oldest: Any, settings: Settings, *, answers: bool) -> None:
    consents.take_turns(session, [oldest.credential_id])
    messages = [Written(**row._mapping) for row in session.execute(_ONE, {"id": oldest.id})]
    _settle(session, messages, settings, answers=answers)


def _waiting(session: Session, pushes: Iterable[tuple[UUID, Items]]) -> list[Written]:
    """What these hold and nobody has settled: new ones, and what a pull has stored and not come to yet."""
    given = [(owner, item.provider_id) for owner, items in pushes for item in items if isinstance(item, Inbound)]
    if not given:
        return []
    columns = {"credential_id": column(owner for owner, _ in given), "provider_id": column(name for _, name in given)}
    return [Written(**row._mapping) for row in session.execute(_WAITING, columns)]


def _settle(session: Session, messages: Sequence[Written], settings: Settings, *, answers: bool = True) -> set[UUID]:
    """In the order in which Infobip received them. Gives the lanes that have replies to send."""
    if not messages:
        return set()
    now = database_now(session)
    rules = read_rules(session, {message.credential_id for message in messages})
    given = [_Read.of(message, rules[message.credential_id]) for message in messages]
    desk = _Desk(session, now, given, settings, Answering(session, now, messages) if answers else None)
    settled = desk.settle()
    session.execute(_SETTLE, {name: column(getattr(one, name) for one in settled) for name in _SETTLED})
    events.tell(session, (_told(one) for one in settled))
    for one in settled:
        inbound_messages_total.labels(one.action.partition(":")[0]).inc()
    return desk.write()


def _told(one: Settled) -> Told:
    return Told(EventType(f"inbound.{one.action.partition(':')[0]}"), one.id)


class _Read(NamedTuple):
    """A message, and what it asks for by the rules of its credential."""

    message: Written
    rules: CredentialRules
    reading: Reading

    @classmethod
    def of(cls, message: Written, rules: CredentialRules) -> "_Read":
        if rules.is_other_number(message.recipient):
            return cls(message, rules, Reading(Action.OTHER_NUMBER))
        return cls(message, rules, read(message.text or "", rules.keywords))

    @property
    def may_change_consent(self) -> bool:
        return self.reading.action in CHANGING and has_form(self.message.sender)


class _Desk:
    """Where the messages of one transaction are settled, one by one, each as those before it left things."""

    def __init__(
        self, session: Session, now: datetime, given: Sequence[_Read], settings: Settings, answering: Answering | None
    ) -> None:
        self._session = session
        self._now = now
        self._given = given
        self._window = settings.double_opt_in_window
        self._answering = answering
        speaking = {one.message.person for one in given if one.may_change_consent}
        others = {one.message.person for one in given} - speaking
        self._standings = consents.read(session, others) | consents.hold(session, speaking, ConsentSource.KEYWORD)
        self._changed: dict[Person, Standing] = {}
        self._history: list[Said] = []

    def settle(self) -> list[Settled]:
        return [self._settle(one) for one in self._given]

    def write(self) -> set[UUID]:
        """Consent, its history and the replies. Gives the replies' lanes."""
        consents.write(self._session, self._changed, self._history)
        return self._answering.write() if self._answering is not None else set()

    def _settle(self, one: _Read) -> Settled:
        message, rules, reading = one
        standing = self._standings.get(message.person, NOTHING_SAID)
        has_double_opt_in = bool(rules.keywords.double_opt_in)
        follows = step(reading.action, standing, message.received_at, self._now, has_double_opt_in=has_double_opt_in)
        state = follows.state if one.may_change_consent else None
        if state is not None:
            standing = self._change(message, standing, state, reading)
        reply_id, why_not = None, follows.why_not
        if follows.reply is not None:
            reply_id, why_not = self._answer(one, follows.reply, standing)
        reply = follows.reply if reply_id else None
        return Settled(message.id, reading.stored, reading.word, state, reply, reply_id, why_not)

    def _answer(self, one: _Read, reply: Action, standing: Standing) -> Answer:
        if self._answering is None:
            return Answer(None, replies.FAILED)
        return self._answering.answer(one.message, reply, one.reading, one.rules, is_blocked=standing.is_blocked)

    def _change(self, message: Written, before: Standing, state: ConsentState, reading: Reading) -> Standing:
        standing = said(
            before,
            state,
            ConsentSource.KEYWORD,
            self._now,
            pending_for=self._window,
            said_at=message.received_at,
        )
        self._standings[message.person] = self._changed[message.person] = standing
        self._history.append(Said(person=message.person, standing=standing, reason=reading.word, inbound_id=message.id))
        return standing
