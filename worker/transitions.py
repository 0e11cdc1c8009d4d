"""Changes of state: the one place that writes them, for groups of messages locked in the same transaction.

The pattern of every use case that settles messages: `lock` them (locking.py), decide, take each the step that follows
(fates.py), which collects it in `Transitions`, `write` once, commit. Two others move what waits, each in a statement of
its own: the claim (claims.py), and the sweep of a cancelled batch (cancelling.py).
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker import consents, events, fallbacks, moving
from worker.columns import column, rows_of
from worker.consents import Blocked, Person
from worker.events import Told
from worker.locking import LockedMessage
from worker.metrics import attempts_to_finish, observe_all
from worker.setting_aside import passed_by_sweep
from worker.states import FINAL, REASONED, WAITING, State, may_become
from worker.tally import Changes, upsert
from worker.windows import Turn
from worker.words import AttemptOutcome, Block, EventType

_MOVED = rows_of(
    "moved",
    id="uuid",
    was="text",
    state="text",
    reason="text",
    next_attempt_at="timestamptz",
    leave_before="timestamptz",
    attempt_count="smallint",
    retry_count="smallint",
    finished_at="timestamptz",
    held="bool",
)
_SETTLED = rows_of(
    "settled",
    message_id="uuid",
    number="smallint",
    outcome="text",
    code="text",
    detail="text",
    look_at="timestamptz",
    looks="smallint",
)
# Together, since each statement by itself costs a small group of reports more than what it does.
_WRITE = text(f"""
    WITH moved AS (
        UPDATE message AS m SET
            state = v.state, reason = v.reason, next_attempt_at = v.next_attempt_at, leave_before = v.leave_before,
            attempt_count = v.attempt_count, retry_count = v.retry_count, finished_at = v.finished_at, held = v.held
        FROM {_MOVED} AS v
        WHERE m.id = v.id AND m.state = v.was
        RETURNING m.id
    ), settled AS (
        UPDATE attempt AS a SET
            outcome = v.outcome, code = v.code, detail = coalesce(v.detail, a.detail),
            answered_at = coalesce(a.answered_at, :at), look_at = v.look_at, looks = v.looks,
            doubted_at = CASE WHEN v.outcome = 'in doubt' THEN coalesce(a.doubted_at, :at) ELSE a.doubted_at END
        FROM {_SETTLED} AS v
        WHERE a.message_id = v.message_id AND a.number = v.number
        RETURNING a.message_id
    ), told AS ({events.TELL}), counted AS ({upsert("moved", "settled")})
    SELECT count(*) FROM moved
""")


@dataclass(slots=True)
class _AttemptChange:
    outcome: AttemptOutcome
    code: str | None
    detail: str | None
    look_at: datetime | None
    looks: int


class Transitions:
    """What becomes of locked messages and their attempts, collected in one transaction and written at its end."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.now = now
        self._session = session
        self._before: dict[UUID, tuple[State, str | None]] = {}
        self._moved: dict[UUID, LockedMessage] = {}
        self._attempts: dict[tuple[UUID, int], _AttemptChange] = {}
        self._blocked: dict[Person, Blocked] = {}
        self._told: list[Told] = []
        self._fallen_back: list[UUID] = []
        self._overtaken: dict[UUID, State] = {}  # which end a message had that is delivered after all

    def move(
        self,
        message: LockedMessage,
        state: State,
        reason: str | None = None,
        *,
        next_attempt_at: datetime | None = None,
        leave_before: datetime | None = None,
        slots: int | None = None,
        number: int | None = None,
    ) -> None:
        """Take `message` to `state`; the object changes at once, so that further reports fold onto the new situation.
        An end is told.

        Errors: ValueError where states.py does not allow the step: a bug, never data.
        """
        if not may_become(message.state, state):
            raise ValueError(f"a message cannot go from {message.state} to {state}")
        self._touch(message)
        if message.state in FINAL:
            self._overtaken[message.id] = message.state
        message.state = state
        message.reason = reason if state in REASONED else reason or message.reason
        message.next_attempt_at = next_attempt_at
        message.leave_before = leave_before
        message.slots = message.slots if slots is None else slots
        message.number = message.number if number is None else number
        if state in FINAL:
            self._told.append(Told(EventType(f"message.{state}"), message.id, message.number, reason))

    def give_turn(self, message: LockedMessage, turn: Turn) -> None:
        """It stays as it is, with this turn."""
        self._touch(message)
        message.next_attempt_at, message.leave_before = turn

    def _touch(self, message: LockedMessage) -> None:
        self._before.setdefault(message.id, (message.state, message.reason))
        self._moved[message.id] = message

    def settle(
        self,
        message_id: UUID,
        number: int,
        outcome: AttemptOutcome,
        code: str | None = None,
        detail: str | None = None,
        *,
        look_at: datetime | None = None,
        looks: int = 0,
    ) -> None:
        """Record how an attempt stands, and when Infobip's logs are asked about it next (None: never)."""
        self._attempts[message_id, number] = _AttemptChange(outcome, code, detail, look_at, looks)

    def tell_failure(self, message: LockedMessage, code: str, next_attempt_at: datetime | None = None) -> None:
        """The current attempt failed: an event of its own, before what follows from it."""
        told = Told(EventType.ATTEMPT_FAILED, message.id, message.number, code, next_at=next_attempt_at)
        self._told.append(told)

    def fall_back(self, message: LockedMessage) -> None:
        """The SMS goes in its place."""
        self._fallen_back.append(message.id)

    def block(self, message: LockedMessage, block: Block, code: str, told_at: datetime) -> None:
        """Record that its recipient is blocked: a fact of consent. Of several the widest counts, told as of the newest:
        an opt-in between them does not undo what was told after it."""
        person = Person(message.recipient, message.credential_id)
        fact = Blocked(person=person, block=block, code=code, message_id=message.id, told_at=told_at)
        known = self._blocked.get(person)
        if known is not None:
            widest = fact if block is Block.ALL and known.block is not Block.ALL else known
            fact = replace(widest, told_at=max(known.told_at, told_at))
        self._blocked[person] = fact

    def write(self) -> None:
        """Consent, messages, attempts, events, what goes in their place, and the tally."""
        consents.block(self._session, self._blocked)
        moved = list(self._moved.values())
        if not moved and not self._attempts:
            return
        changes = self._counts(moved)
        # Before batches are shared: two that share one could not both have it for themselves then.
        fallbacks.send(self._fallen_back, self._session, changes)
        released = [message for message in moved if message.state is State.QUEUED]
        if released:
            moving.follow(self._session, released)
        values = {**self._moved_columns(moved), **self._settled_columns(), **events.columns(self._told)}
        if self._session.execute(_WRITE, {**values, **changes.values(), "at": self.now}).scalar_one() != len(moved):
            raise RuntimeError("a locked message changed under its lock")
        for state in FINAL:
            if numbers := [message.number for message in moved if message.state is state]:
                observe_all(attempts_to_finish.labels(state), numbers)

    def _moved_columns(self, moved: list[LockedMessage]) -> dict[str, str]:
        waiting = [message for message in moved if message.state in WAITING and message.is_paused]
        aside = passed_by_sweep(self._session, waiting) if waiting else set()
        return {
            "moved_id": column(message.id for message in moved),
            "moved_was": column(self._before[message.id][0] for message in moved),
            "moved_state": column(message.state for message in moved),
            "moved_reason": column(message.reason for message in moved),
            "moved_next_attempt_at": column(message.next_attempt_at for message in moved),
            "moved_leave_before": column(message.leave_before for message in moved),
            "moved_attempt_count": column(message.number for message in moved),
            "moved_retry_count": column(message.slots for message in moved),
            "moved_finished_at": column(self.now if message.state in FINAL else None for message in moved),
            "moved_held": column(message.id in aside for message in moved),
        }

    def _settled_columns(self) -> dict[str, str]:
        changes = self._attempts.values()
        return {
            "settled_message_id": column(message_id for message_id, _ in self._attempts),
            "settled_number": column(number for _, number in self._attempts),
            "settled_outcome": column(change.outcome for change in changes),
            "settled_code": column(change.code for change in changes),
            "settled_detail": column(change.detail for change in changes),
            "settled_look_at": column(change.look_at for change in changes),
            "settled_looks": column(change.looks for change in changes),
        }

    def _counts(self, moved: list[LockedMessage]) -> Changes:
        overtaken = self._overtaken
        moves = Counter(
            (m.lane_id, m.batch_id, *self._before[m.id], m.state, overtaken.get(m.id, m.reason)) for m in moved
        )
        changes = Changes()
        for (lane_id, batch_id, was, was_reason, state, reason), n in moves.items():
            changes.moved((lane_id, batch_id), was, was_reason, state, reason, n)
        return changes
