"""Holds: the one mechanism that keeps lanes back when Infobip or the account has trouble.

A lane is held while `kind` is set. It is opened by the success of a probe (one message, at growing intervals, taken by
one guarded UPDATE), by hand, or by a change of the credential's key or URL. An answer to a request that was sent before
such a change carries the old version and does not hold it again.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, text
from sqlmodel import Session

from worker import events
from worker.errors import SendError, brief
from worker.events import Told
from worker.lanes import Route
from worker.words import EventType, HoldKind

PROBES = {
    HoldKind.FAULT: [timedelta(seconds=s) for s in (2, 4, 8, 15, 30)],
    HoldKind.ACCOUNT: [timedelta(seconds=s) for s in (30, 60, 120, 300, 600, 900)],
}
FAULTS_IN_A_ROW = 3  # requests without a usable answer before the lane is held for seconds

_log = structlog.get_logger()

# Taken before the lanes, as a change of key does: whoever comes second sees what the first one did.
_VERSION = text("SELECT version FROM credential WHERE id = :credential FOR SHARE")

_HOLD = text("""
    WITH held AS (
        SELECT l.id, l.kind AS was FROM lane l
        WHERE l.credential_id = :credential
          AND (CAST(:channel AS text) IS NULL OR l.channel = :channel) AND (CAST(:lane AS uuid) IS NULL OR l.id = :lane)
          AND l.kind IS DISTINCT FROM 'by hand' AND (l.kind IS NULL OR l.kind <> 'account' OR :kind = 'account')
        ORDER BY l.id FOR UPDATE
    ), probe AS (
        SELECT lane.id, held.was, CASE
            -- A pause that Infobip asked for is kept, whatever probe was due before.
            WHEN :is_pause THEN greatest(lane.probe_at, statement_timestamp() + make_interval(secs => :wait))
            -- Held already: its probes keep their rhythm.
            WHEN lane.kind = :kind AND lane.probe_at > statement_timestamp() THEN lane.probe_at
            ELSE statement_timestamp() + make_interval(secs => :wait) END AS at
        FROM lane JOIN held ON held.id = lane.id
    )
    UPDATE lane SET
        kind = :kind, reason = :reason, probes = CASE WHEN lane.kind = :kind THEN lane.probes ELSE 0 END,
        probe_at = probe.at, held_until = probe.at
    FROM probe WHERE lane.id = probe.id
    RETURNING lane.id, probe.was, probe.at
""")

_PROBE_STATE = text("SELECT kind, probes FROM lane WHERE id = :lane AND probe_at <= statement_timestamp()")
_TAKE_PROBE = text("""
    UPDATE lane SET probes = probes + 1, probe_at = statement_timestamp() + make_interval(secs => :wait),
                    held_until = statement_timestamp() + make_interval(secs => :wait)
    WHERE id = :lane AND kind = :kind AND probes = :probes
    RETURNING id
""")

_SENT_WITH = text("""
    SELECT s.id, l.credential_id, s.credential_version FROM submission s JOIN lane l ON l.id = s.lane_id
    WHERE s.id = ANY(:ids) ORDER BY l.credential_id, s.id
""")

_OPEN = "kind = NULL, reason = NULL, held_until = NULL, probe_at = NULL, probes = 0, faults = 0"
NO_REFUSALS = "refusal = NULL, refusals = 0, refused_batches = '{}'"
_SUCCEEDED = text(f"""
    WITH before AS (
        SELECT id, kind FROM lane WHERE id = :lane AND (faults > 0 OR kind IS NOT NULL)
          -- An answer to a request from before the hold does not cut short the pause that Infobip asked for.
          AND (kind IS NULL OR (kind = 'fault' AND (:is_probe OR probe_at <= statement_timestamp()))
               OR (kind = 'account' AND :is_probe))
        FOR UPDATE
    )
    UPDATE lane SET {_OPEN} FROM before WHERE lane.id = before.id RETURNING lane.id, before.kind AS was
""")
_RELEASE = text(f"""
    WITH before AS (
        SELECT id, kind FROM lane
        WHERE credential_id = :credential AND (kind IS NOT NULL OR faults > 0 OR refusals > 0) ORDER BY id FOR UPDATE
    )
    UPDATE lane SET {_OPEN}, {NO_REFUSALS} FROM before WHERE lane.id = before.id RETURNING lane.id, before.kind AS was
""")
_FAULT = text("UPDATE lane SET faults = faults + 1 WHERE id = :lane RETURNING faults")


def lock_credential(session: Session, route: Route) -> int:
    """Before a lane is locked: the order in which a change of key locks them. Returns the credential's version."""
    version: int = session.execute(_VERSION, {"credential": route.credential_id}).scalar_one()
    return version


def hold(
    session: Session,
    route: Route,
    kind: HoldKind,
    reason: str,
    *,
    only_channel: str | None = None,
    only_lane: bool = False,
) -> None:
    """Account trouble: hold all lanes of the credential, or those of one channel, or this one."""
    lane = route.lane_id if only_lane else None
    _hold(session, route.credential_id, route.credential_version, kind, reason, channel=only_channel, lane=lane)


def hold_for_reports(session: Session, reasons: Mapping[UUID, str]) -> None:
    """Reports tell of account trouble (no credit), by submission: hold all lanes of its credential, as that was when it
    left. In the order of the credentials, since two groups of reports may tell of the same ones."""
    for sent in session.execute(_SENT_WITH, {"ids": list(reasons)}).all() if reasons else ():
        _hold(session, sent.credential_id, sent.credential_version, HoldKind.ACCOUNT, reasons[sent.id])


def note_error(session: Session, route: Route, error: SendError) -> None:
    """A request without a usable answer: its error says what has to wait, and how long."""
    if error.retry_after_seconds is not None:
        _pause(session, route, error.retry_after_seconds, error.detail)
    elif error.hold_kind is not None:
        hold(session, route, error.hold_kind, error.detail, only_channel=error.only_channel)
    else:
        _count_fault(session, route, error.detail)


def note_success(session: Session, route: Route, *, is_probe: bool) -> None:
    """A probe's success opens the lane, any other a fault's hold that is due for a probe. Mostly it writes nothing."""
    _tell_opened(session, session.execute(_SUCCEEDED, {"lane": route.lane_id, "is_probe": is_probe}).all())


def take_probe(session: Session, lane_id: UUID) -> bool:
    """True for the one caller that may send the lane's probe now; the same UPDATE sets the time of the next one, which
    is when the lane is tried again if this caller dies."""
    held = session.execute(_PROBE_STATE, {"lane": lane_id}).one_or_none()
    if held is None or held.kind not in PROBES:
        return False
    waits = PROBES[HoldKind(held.kind)]
    wait = waits[min(held.probes + 1, len(waits) - 1)].total_seconds()
    taken = session.execute(
        _TAKE_PROBE, {"lane": lane_id, "kind": held.kind, "probes": held.probes, "wait": wait}
    ).first()
    return taken is not None


def release(session: Session, credential_id: UUID) -> None:
    """Open every lane of the credential: by hand, or because its key or URL changed."""
    _tell_opened(session, session.execute(_RELEASE, {"credential": credential_id}).all())


def _tell_opened(session: Session, lanes: Sequence[Row[Any]]) -> None:
    """Those of them that were held, and not merely faulty."""
    events.tell(session, (Told(EventType.LANE_OPENED, lane.id) for lane in lanes if lane.was is not None))


def _pause(session: Session, route: Route, seconds: float, reason: str) -> None:
    """Infobip asked for a pause (429): hold this lane at least that long."""
    _hold(session, route.credential_id, route.credential_version, HoldKind.FAULT, reason, seconds, lane=route.lane_id)


def _count_fault(session: Session, route: Route, reason: str) -> None:
    """Several in a row hold the lane for seconds."""
    lock_credential(session, route)
    faults = session.execute(_FAULT, {"lane": route.lane_id}).scalar_one()
    if faults >= FAULTS_IN_A_ROW:
        _hold(session, route.credential_id, route.credential_version, HoldKind.FAULT, reason, lane=route.lane_id)


def _hold(
    session: Session,
    credential_id: UUID,
    version: int,
    kind: HoldKind,
    reason: str,
    pause_seconds: float | None = None,
    *,
    channel: str | None = None,
    lane: UUID | None = None,
) -> None:
    if session.execute(_VERSION, {"credential": credential_id}).scalar_one() != version:
        return  # key or address were changed since that request left
    wait = PROBES[kind][0].total_seconds() if pause_seconds is None else pause_seconds
    values = {"credential": credential_id, "channel": channel, "lane": lane, "kind": kind, "reason": reason}
    held = session.execute(_HOLD, {**values, "wait": wait, "is_pause": pause_seconds is not None}).all()
    events.tell(
        session,
        (
            Told(EventType.LANE_HELD, row.id, reason=reason, kind=kind, next_at=row.at)
            for row in held
            if row.was != kind
        ),
    )
    for row in held:
        _log.warning("lane_held", lane_id=str(row.id), kind=kind.value, reason=brief(reason), seconds=wait)
