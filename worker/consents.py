"""Consent as rows: how people stand, what is written of it, and its history, which only grows.

Locked in this order, by whoever locks them: turns, messages, consent by (recipient, credential), the tally. An import
alone locks consent in two passes, who is known and then who is not (`lock`, `create`), and so can get into a circle
with `block`, which takes no turn: the database breaks it, and both transactions are of those that are tried again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.consent import Standing
from worker.gate import barred_by_consent
from worker.ids import new_id
from worker.words import Block, ConsentSource, ConsentState


class Person(NamedTuple):
    """Whose consent: a number, towards a credential."""

    recipient: str
    credential_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line of the history."""

    person: Person
    standing: Standing  # once it was said
    reason: str | None = None  # the keyword, or the caller's note
    inbound_id: UUID | None = None


def by_caller(person: Person, standing: Standing, now: datetime, said_at: datetime | None, note: str | None) -> Said:
    """Where an opt-out stays the person's own, the history still has who said so too."""
    if standing.changed_at != now:
        standing = replace(standing, source=ConsentSource.API, said_at=said_at or now, changed_at=now)
    return Said(person=person, standing=standing, reason=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Infobip reported of a message that its recipient is blocked."""

    person: Person
    block: Block
    code: str
    message_id: UUID
    told_at: datetime


_IN_TURN = text("""
    SELECT pg_advisory_xact_lock(hashtextextended('inbound ' || id, 0))
    FROM (SELECT DISTINCT id FROM unnest(CAST(:credentials AS uuid[])) AS id ORDER BY id) AS ordered
""")

_PEOPLE = rows_of(recipient="text", credential_id="uuid")
_COLUMNS = "state, source, blocked, pending_from, pending_until, said_at, opted_out_at, changed_at"
_LOOK = f"""
    SELECT recipient, credential_id, {_COLUMNS} FROM consent
    WHERE (recipient, credential_id) IN (SELECT * FROM {_PEOPLE} AS people) ORDER BY recipient, credential_id
"""
_READ = text(_LOOK)
_LOCK = text(f"{_LOOK} FOR UPDATE")
# Rows that are there are locked, and the others made, in one order: two who want the same people cannot stand in each
# other's way, and nobody is made by somebody else in between.
_HOLD = text(f"""
    INSERT INTO consent AS c (recipient, credential_id, state, source, blocked)
    SELECT v.*, '{ConsentState.NONE}', :source, false FROM {_PEOPLE} AS v ORDER BY v.recipient, v.credential_id
    ON CONFLICT (recipient, credential_id) DO UPDATE SET changed_at = c.changed_at
    RETURNING recipient, credential_id, {_COLUMNS}
""")

_STANDS = rows_of(
    recipient="text",
    credential_id="uuid",
    state="text",
    source="text",
    blocked="bool",
    pending_from="text",
    pending_until="timestamptz",
    said_at="timestamptz",
    opted_out_at="timestamptz",
    changed_at="timestamptz",
)
_WRITE = text(f"""
    INSERT INTO consent (recipient, credential_id, {_COLUMNS})
    SELECT v.* FROM {_STANDS} AS v ORDER BY v.recipient, v.credential_id
    ON CONFLICT (recipient, credential_id) DO UPDATE SET
        ({_COLUMNS}) = (SELECT {", ".join(f"excluded.{name}" for name in _COLUMNS.split(", "))})
""")
_CREATE = text(f"""
    INSERT INTO consent (recipient, credential_id, {_COLUMNS})
    SELECT v.* FROM {_STANDS} AS v ORDER BY v.recipient, v.credential_id
    ON CONFLICT (recipient, credential_id) DO NOTHING
    RETURNING recipient, credential_id
""")
_SAID = rows_of(
    id="uuid",
    recipient="text",
    credential_id="uuid",
    state="text",
    source="text",
    blocked="bool",
    reason="text",
    inbound_id="uuid",
    said_at="timestamptz",
    changed_at="timestamptz",
)
_REMEMBER = text(f"""
    INSERT INTO consent_change
        (id, recipient, credential_id, state, source, blocked, reason, inbound_id, said_at, changed_at)
    SELECT v.* FROM {_SAID} AS v
""")

_TOLD = rows_of(
    id="uuid",
    recipient="text",
    credential_id="uuid",
    blocked="bool",
    reason="text",
    message_id="uuid",
    told_at="timestamptz",
)
# What is known already is not told again; and who has come back since is asked anew by the next message. Who has asked
# to since, and has not confirmed it, asks out of an opt-out: as if the block had been told before they asked.
_ASKS_SINCE = f"(c.state = '{ConsentState.PENDING}' AND c.said_at > excluded.said_at)"
_BLOCK = text(f"""
    WITH told AS MATERIALIZED (SELECT v.* FROM {_TOLD} AS v), written AS (
        INSERT INTO consent AS c (recipient, credential_id, state, source, blocked, said_at, opted_out_at, changed_at)
        SELECT recipient, credential_id, '{ConsentState.OPTED_OUT}', '{ConsentSource.PROVIDER}', blocked,
               told_at, told_at, statement_timestamp()
        FROM told ORDER BY recipient, credential_id
        ON CONFLICT (recipient, credential_id) DO UPDATE SET
            (state, source, blocked, pending_from, pending_until, said_at) = (
                SELECT c.state, c.source, c.blocked, excluded.state, c.pending_until, c.said_at WHERE {_ASKS_SINCE}
                UNION ALL
                SELECT excluded.state, excluded.source, c.blocked OR excluded.blocked, NULL, NULL, CASE
                    WHEN c.source IN ('{ConsentSource.KEYWORD}', '{ConsentSource.PROVIDER}')
                    THEN greatest(c.said_at, excluded.said_at) ELSE excluded.said_at END
                WHERE {_ASKS_SINCE} IS NOT TRUE),
            opted_out_at = greatest(c.opted_out_at, excluded.opted_out_at), changed_at = excluded.changed_at
        WHERE CASE WHEN {_ASKS_SINCE} THEN c.pending_from IS DISTINCT FROM excluded.state OR c.opted_out_at IS NULL
            ELSE (c.state <> excluded.state OR (excluded.blocked AND NOT c.blocked) OR c.opted_out_at IS NULL)
                AND (c.state = excluded.state OR c.said_at IS NULL OR c.said_at <= excluded.said_at) END
        RETURNING c.recipient, c.credential_id, c.state, c.blocked, c.said_at, c.changed_at
    )
    INSERT INTO consent_change
        (id, recipient, credential_id, state, source, blocked, reason, message_id, said_at, changed_at)
    SELECT told.id, w.recipient, w.credential_id, w.state, '{ConsentSource.PROVIDER}', w.blocked, told.reason,
           told.message_id, CASE WHEN w.state = '{ConsentState.PENDING}' THEN told.told_at ELSE w.said_at END,
           w.changed_at
    FROM written w JOIN told USING (recipient, credential_id)
""")

_BARRED = text(f"""
    SELECT m.recipient, {barred_by_consent(":is_marketing", ":needs_opt_in")} AS barred
    FROM {rows_of(recipient="text")} AS m
    LEFT JOIN consent c ON c.recipient = m.recipient AND c.credential_id = :credential
    WHERE {barred_by_consent(":is_marketing", ":needs_opt_in")} IS NOT NULL
""")


def barred(
    session: Session, credential_id: UUID, recipients: Iterable[str], *, is_marketing: bool, needs_opt_in: bool
) -> dict[str, str]:
    """Those of these recipients to whom consent forbids a message now, each with the reason's code. Asked again in the
    claim: nothing is locked here."""
    values = {"credential": credential_id, "is_marketing": is_marketing, "needs_opt_in": needs_opt_in}
    return {row.recipient: row.barred for row in session.execute(_BARRED, {"recipient": column(recipients), **values})}


def take_turns(session: Session, credentials: Iterable[UUID]) -> None:
    """Wait for whoever else decides on the consent of a credential's people, and keep others waiting until the commit:
    what is decided follows from what was said before. Only what Infobip reports (`block`) comes between."""
    session.execute(_IN_TURN, {"credentials": list(credentials)})


def hold(session: Session, people: Collection[Person], source: ConsentSource) -> dict[Person, Standing]:
    """How they stand, all of them; their rows are locked, and made where there were none, for what this source says."""
    if not people:
        return {}
    return _standings(session.execute(_HOLD, {**_columns(people), "source": source}).all())


def lock(session: Session, people: Collection[Person]) -> dict[Person, Standing]:
    """How those of them stand of whom anything is known. Their rows stay locked."""
    return _standings(session.execute(_LOCK, _columns(people)).all()) if people else {}


def read(session: Session, people: Collection[Person]) -> dict[Person, Standing]:
    """The same, without locks."""
    return _standings(session.execute(_READ, _columns(people)).all()) if people else {}


def _standings(rows: Iterable[Any]) -> dict[Person, Standing]:
    return {Person(row.recipient, row.credential_id): standing_of(row) for row in rows}


def write(session: Session, standings: Mapping[Person, Standing], history: Sequence[Said]) -> None:
    """How they stand now, and what was said in the order it was. Does not commit."""
    if standings:
        session.execute(_WRITE, {**_columns(standings), **_standing_columns(list(standings.values()))})
    if history:
        values = _standing_columns([said.standing for said in history])
        for name in ("pending_from", "pending_until", "opted_out_at"):
            del values[name]
        session.execute(
            _REMEMBER,
            {
                **values,
                **_columns([said.person for said in history]),
                "id": column(new_id() for _ in history),
                "reason": column(said.reason for said in history),
                "inbound_id": column(said.inbound_id for said in history),
            },
        )


def create(session: Session, standings: Mapping[Person, Standing]) -> set[Person]:
    """Of people of whom nothing was known, how they stand. Gives those that were not written: Infobip has reported
    something of them meanwhile. Does not commit."""
    if not standings:
        return set()
    rows = session.execute(_CREATE, {**_columns(standings), **_standing_columns(list(standings.values()))}).all()
    if len(rows) == len(standings):
        return set()
    return standings.keys() - {Person(row.recipient, row.credential_id) for row in rows}


def block(session: Session, facts: Mapping[Person, Blocked]) -> None:
    """Numbers that Infobip reports as blocked. Does not commit."""
    if not facts:
        return
    told = list(facts.values())
    session.execute(
        _BLOCK,
        {
            **_columns([fact.person for fact in told]),
            "id": column(new_id() for _ in told),
            "blocked": column(fact.block is Block.ALL for fact in told),
            "reason": column(fact.code for fact in told),
            "message_id": column(fact.message_id for fact in told),
            "told_at": column(fact.told_at for fact in told),
        },
    )


def standing_of(row: Any) -> Standing:
    """Of a row of `consent`."""
    return Standing(
        state=ConsentState(row.state),
        source=ConsentSource(row.source),
        is_blocked=row.blocked,
        pending_from=None if row.pending_from is None else ConsentState(row.pending_from),
        pending_until=row.pending_until,
        said_at=row.said_at,
        opted_out_at=row.opted_out_at,
        changed_at=row.changed_at,
    )


def _columns(people: Iterable[Person]) -> dict[str, str]:
    people = list(people)
    return {
        "recipient": column(person.recipient for person in people),
        "credential_id": column(person.credential_id for person in people),
    }


def _standing_columns(standings: Sequence[Standing]) -> dict[str, str]:
    return {
        "state": column(standing.state for standing in standings),
        "source": column(standing.source for standing in standings),
        "blocked": column(standing.is_blocked for standing in standings),
        "pending_from": column(standing.pending_from for standing in standings),
        "pending_until": column(standing.pending_until for standing in standings),
        "said_at": column(standing.said_at for standing in standings),
        "opted_out_at": column(standing.opted_out_at for standing in standings),
        "changed_at": column(standing.changed_at for standing in standings),
    }
