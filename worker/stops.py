"""What a streak of refusals stops, its batch or its lane: the rule of streaks.py, kept in their rows and applied.

A refusal that names some messages of a batch while others of it stay is about those messages: it is no streak.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlmodel import Session

from worker import holds, setting_aside
from worker.lanes import Route
from worker.locking import LockedMessage
from worker.streaks import Streak
from worker.words import HoldKind

_log = structlog.get_logger()

# Locked after the messages, lane before batches: one order for all.
_LANE = text("SELECT refusal, refusals, refused_batches FROM lane WHERE id = :lane FOR UPDATE")
_BATCHES = text("SELECT id, refusal, refusals FROM batch WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")

_KEEP_LANE = text("UPDATE lane SET refusal = :words, refusals = :count, refused_batches = :batches WHERE id = :lane")
_KEEP_BATCH = text("UPDATE batch SET refusal = :words, refusals = :count WHERE id = :batch")
_FORGET_LANE = text(f"UPDATE lane SET {holds.NO_REFUSALS} WHERE id = :lane AND refusals > 0")
_FORGET_BATCHES = text(f"""
    UPDATE batch SET {setting_aside.NO_REFUSALS}
    WHERE id IN (SELECT id FROM batch WHERE id = ANY(:batches) AND refusals > 0 ORDER BY id FOR UPDATE)
""")


class Streaks:
    """The streaks of one lane and of the batches of the messages at hand, for one transaction."""

    def __init__(self, session: Session, route: Route, messages: Iterable[LockedMessage]) -> None:
        self._session = session
        self._route = route
        holds.lock_credential(session, route)
        lane = session.execute(_LANE, {"lane": route.lane_id}).one()
        self._lane = Streak(lane.refusal, lane.refusals, frozenset(lane.refused_batches))
        ids = sorted({message.batch_id for message in messages if message.batch_id is not None})
        self._batches = {
            row.id: Streak(row.refusal, row.refusals, frozenset({row.id}))
            for row in session.execute(_BATCHES, {"ids": ids})
        }

    def stops(self, message: LockedMessage, words: str) -> bool:
        """Whether those refused before it, for the same, stop this message too: then it waits instead of failing."""
        own = self._batches.get(message.batch_id) if message.batch_id else None
        is_stopped = own is not None and own.stops_batch and own.is_of(words)
        return is_stopped or (self._lane.stops_lane and self._lane.is_of(words))

    def add(self, message: LockedMessage, words: str) -> None:
        batch = message.batch_id
        self._lane = self._lane.after(words, batch or message.id)
        if batch is not None:
            self._batches[batch] = self._batches[batch].after(words, batch)

    def write(self, words: str) -> bool:
        """Keep the streaks, and stop what they stop, for the reason that Infobip gave. True where the lane is held."""
        lane = self._lane
        values = {"words": lane.words, "count": lane.count, "batches": sorted(lane.batches)}
        self._session.execute(_KEEP_LANE, {"lane": self._route.lane_id, **values})
        for batch, own in sorted(self._batches.items()):
            self._session.execute(_KEEP_BATCH, {"batch": batch, "words": own.words, "count": own.count})
            if own.stops_batch:
                self._pause(batch, own.count, words)
        is_held = lane.stops_lane and lane.is_of(words)
        if is_held:
            reason = f"Infobip refused {lane.count} messages in a row alike: {words}"
            holds.hold(self._session, self._route, HoldKind.ACCOUNT, reason, only_lane=True)
        return is_held

    def _pause(self, batch: UUID, count: int, words: str) -> None:
        reason = f"Infobip refused {count} of its messages in a row alike: {words}"
        if setting_aside.stop(self._session, batch, reason):
            _log.warning("batch_paused", batch_id=str(batch), refusals=count)


def forget(session: Session, route: Route, accepted: Iterable[LockedMessage]) -> None:
    """Messages were accepted: what was refused before them is no streak. Mostly there is none, and nothing written."""
    spared = [message for message in accepted if message.has_refusals]
    if spared:
        batches = sorted({message.batch_id for message in spared if message.batch_id is not None})
        session.execute(_FORGET_LANE, {"lane": route.lane_id})
        session.execute(_FORGET_BATCHES, {"batches": batches})
