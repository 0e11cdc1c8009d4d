"""Consent that is imported: lines, applied in groups as they come, each group in one transaction.

A line counts as a word of a caller's, with two differences: opted_in, pending and none do not undo an opt-out that the
person, or Infobip, said, unless the consent was given after that (`at`): such lines are kept back, and told. And a line
may pass on such an opt-out (`opted_out_at`, or `source` and `at`), as those of an export do.

Lines of one person follow one another. Where the last of a group says what stood before the group, those of them that
would change something change nothing: a file that is imported again leaves everything as it is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Engine, text
from sqlmodel import Session

from worker import consents
from worker.consent import LEAP, NOTHING_SAID, Standing, asked, opt_out_holds, stands
from worker.consent_lines import BadLine, Line, Lines, PastLine, Read
from worker.consents import Person, Said, by_caller
from worker.db import database_now, transact
from worker.words import ConsentSource, ConsentState

GROUP = 2_000  # lines a transaction: what people write to the credential waits meanwhile
MOST_LISTED = 1_000  # of the lines that are told one by one

_CREDENTIALS = text("""
    SELECT id, name, deleted_at IS NOT NULL AS is_deleted FROM credential
    WHERE id = ANY(:ids) OR (name = ANY(:names) AND deleted_at IS NULL)
""")


class KeptLine(NamedTuple):
    """It was not applied: an opt-out stands that it must not undo."""

    number: int
    to: str
    reason: str


class Effect(Enum):
    CHANGED = "changed"
    UNCHANGED = "unchanged"  # it said what stands
    KEPT = "kept"


@dataclass
class Report:
    """What came of the lines. The lists end after MOST_LISTED, the counts do not."""

    rows: int = 0
    changed: int = 0
    unchanged: int = 0
    kept: int = 0
    rejected: int = 0
    kept_lines: list[KeptLine] = field(default_factory=list)
    rejected_lines: list[BadLine] = field(default_factory=list)

    def reject(self, line: BadLine) -> None:
        self.rows += 1
        self.rejected += 1
        self.rejected_lines += [line] * (len(self.rejected_lines) < MOST_LISTED)

    def add(self, line: Line, effect: Effect) -> None:
        self.rows += 1
        match effect:
            case Effect.CHANGED:
                self.changed += 1
            case Effect.UNCHANGED:
                self.unchanged += 1
            case Effect.KEPT:
                self.kept += 1
                kept = KeptLine(
                    line.number,
                    line.to,
                    "has opted out or is blocked since: give at, when consent was given, if later",
                )
                self.kept_lines += [kept] * (len(self.kept_lines) < MOST_LISTED)


class Import:
    """One import, fed with the pieces of its body. What `feed` has applied stays, whatever comes after it."""

    def __init__(self, engine: Engine, lines: Lines, credential_id: UUID | None, pending_for: timedelta) -> None:
        """`credential_id`: of the lines that name none."""
        self.report = Report()
        self._engine = engine
        self._lines = lines
        self._credential_id = credential_id
        self._pending_for = pending_for
        self._waiting: list[Line] = []

    def feed(self, piece: bytes) -> None:
        """Errors: Refusal, of a CSV whose header cannot be used; then nothing was applied."""
        self._take(self._lines.feed(piece))

    def close(self) -> Report:
        """The body is over. Errors: as `feed`."""
        self._take(self._lines.close())
        self._apply(self._waiting)
        self._waiting = []
        return self.report

    def _take(self, read: Iterator[Read]) -> None:
        for line in read:
            match line:
                case Line():
                    self._waiting.append(line)
                    if len(self._waiting) == GROUP:
                        self._apply(self._waiting)
                        self._waiting = []
                case BadLine():
                    self.report.reject(line)
                case PastLine():
                    self.report.rows += 1
                    self.report.unchanged += 1

    def _apply(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        effects = transact(self._engine, lambda session: apply(session, lines, self._credential_id, self._pending_for))
        for line in lines:
            effect = effects[line.number]
            if isinstance(effect, Effect):
                self.report.add(line, effect)
            else:
                self.report.reject(effect)


Effects = dict[int, Effect | BadLine]  # by the line's number


def apply(session: Session, lines: Sequence[Line], credential_id: UUID | None, pending_for: timedelta) -> Effects:
    """Apply a group of lines in their order. `credential_id`: of those that name none. Does not commit."""
    effects: Effects = {}
    left = _by_person(session, lines, credential_id, effects)
    consents.take_turns(session, {person.credential_id for person in left})
    now = database_now(session)
    first_words = {state: asked(NOTHING_SAID, state, now, pending_for=pending_for) for state in ConsentState}
    while left:
        before = consents.lock(session, left)
        folds = [
            _fold(person, before.get(person), said, now, pending_for, first_words) for person, said in left.items()
        ]
        changed = [fold for fold in folds if fold.history]
        overtaken = consents.create(session, {fold.person: fold.standing for fold in changed if fold.is_new})
        if overtaken:
            folds = [fold for fold in folds if fold.person not in overtaken]
            changed = [fold for fold in folds if fold.history]
        consents.write(
            session,
            {fold.person: fold.standing for fold in changed if not fold.is_new},
            [said for fold in changed for said in fold.history],
        )
        for fold in folds:
            effects.update(fold.effects)
        # Infobip reported of these after our look and before our word.
        left = {person: left[person] for person in overtaken}
    return effects


def _by_person(
    session: Session, lines: Sequence[Line], credential_id: UUID | None, effects: Effects
) -> dict[Person, list[Line]]:
    """Those of the lines that can be applied; of the others, `effects` is told why not."""
    credentials = _read_credentials(session, {line.credential for line in lines if line.credential is not None})
    latest = database_now(session) + LEAP
    found: dict[Person, list[Line]] = {}
    for line in lines:
        # What people said to one that is deleted, they have said to the one that the request names in its place.
        is_named = line.credential is not None and line.credential not in credentials.deleted
        owner = credentials.ids.get(line.credential or "") if is_named else credential_id
        future = next((name for name in ("at", "opted_out_at") if (getattr(line, name) or latest) > latest), None)
        if owner is None:
            effects[line.number] = BadLine(line.number, line.to, "credential", _why_not(line, is_named=is_named))
        elif future is not None:
            effects[line.number] = BadLine(line.number, line.to, future, "lies in the future: it is when it was said")
        else:
            found.setdefault(Person(line.to, owner), []).append(line)
    return found


def _why_not(line: Line, *, is_named: bool) -> str:
    if is_named:
        return "there is no credential of this name or id: correct it, or create it"
    if line.credential is not None:
        return "is that of a deleted credential: name the one that takes its place in the request"
    return "is missing: name one in the line, or for all lines in the request"


class _Credentials(NamedTuple):
    """By what they are called in the lines. Names never look like IDs; a deleted one has but its ID."""

    ids: Mapping[str, UUID]
    deleted: Collection[str]


def _read_credentials(session: Session, references: Collection[str]) -> _Credentials:
    if not references:
        return _Credentials({}, ())
    ids = {reference: found for reference in references if (found := _id_of(reference)) is not None}
    names = [reference for reference in references if reference not in ids and "\0" not in reference]
    rows = session.execute(_CREDENTIALS, {"ids": list(ids.values()), "names": names}).all()
    is_deleted = {row.id: row.is_deleted for row in rows}
    return _Credentials(
        {row.name: row.id for row in rows if not row.is_deleted}
        | {reference: found for reference, found in ids.items() if is_deleted.get(found) is False},
        {reference for reference, found in ids.items() if is_deleted.get(found)},
    )


def _id_of(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None


class _Fold(NamedTuple):
    """What the lines of one person make of how they stood. Without a history, nothing changes."""

    person: Person
    is_new: bool  # nothing was known of them
    standing: Standing
    history: Sequence[Said]
    effects: Effects


def _fold(
    person: Person,
    before: Standing | None,
    lines: Sequence[Line],
    now: datetime,
    pending_for: timedelta,
    first_words: Mapping[ConsentState, Standing],
) -> _Fold:
    """`first_words`: how people stand of whom nothing was known, once it is said now; most people's are."""
    start = standing = before or NOTHING_SAID
    history: list[Said] = []
    effects: Effects = {}
    for line in lines:
        at = None if line.at is None else min(line.at, now)
        own = _own_opt_out(line, at, standing, now)
        if stands(standing, line.state, now, opted_out_at=own, pending_from=line.pending_from):
            effects[line.number] = Effect.UNCHANGED
        elif opt_out_holds(standing, line.state, at):
            effects[line.number] = Effect.KEPT
        else:
            if standing is NOTHING_SAID and at is None and own is None and line.pending_from is None:
                standing = first_words[line.state]
            else:
                standing = asked(
                    standing,
                    line.state,
                    now,
                    pending_for=pending_for,
                    said_at=at,
                    opted_out_at=own,
                    pending_from=line.pending_from,
                )
            history.append(by_caller(person, standing, now, at, line.note))
            effects[line.number] = Effect.CHANGED
    if len(history) > 1 and stands(
        start,
        standing.at(now),
        now,
        opted_out_at=standing.opted_out_at,
        pending_from=standing.pending_from,
    ):
        history = []
        for number, effect in effects.items():
            effects[number] = Effect.UNCHANGED if effect is Effect.CHANGED else effect
    return _Fold(person, before is None, standing, history, effects)


def _own_opt_out(line: Line, at: datetime | None, standing: Standing, now: datetime) -> datetime | None:
    """When the person, or Infobip, said the opt-out that this line passes on; None: it passes on none."""
    if line.opted_out_at is not None:
        return min(line.opted_out_at, now)
    if line.state is ConsentState.OPTED_OUT and line.source in (ConsentSource.KEYWORD, ConsentSource.PROVIDER):
        return at or standing.opted_out_at or now
    return None
