"""Fallbacks: the SMS that goes in the place of an MMS, where MMS does not reach the handset.

MMS has no DLT fields at Infobip, and from outside India it hardly reaches a handset there: so one to an Indian number
ends before it leaves, and one that a network refuses ends when that is known, both `cancelled`; what their
`fallback_text` says goes out as an SMS of ours, DLT attached. It stands in the MMS's chain (`replayed`) as a replay
would: an MMS has one at most, ever, and where the MMS arrives after all, the SMS is not sent.

It joins the MMS's batch: who pauses, cancels, reschedules, replays or counts that reaches it as any other message.
"""

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.alphabets import Language
from worker.copying import SharedColumns, copy_messages, own_part
from worker.gate import IS_IN_PLACE, START
from worker.ids import id_after
from worker.orders import Values
from worker.segments import count
from worker.states import State
from worker.tally import Changes
from worker.windows import read_given, window_for
from worker.words import Channel, MessageType, Origin

# After the messages, as all do who need both; from then on none of these batches is paused, moved or cancelled. One
# statement: a claim of hundreds has few batches.
_BOUND = text("""
    UPDATE batch SET messages_through = greatest(messages_through, CAST(:through AS uuid)) WHERE id IN (
        SELECT id FROM batch WHERE id = ANY(ARRAY(SELECT batch_id FROM message WHERE id = ANY(:ids)))
        ORDER BY id FOR UPDATE)
""")
# What a message has of its own, the SMS has too: the rest its batch says of both.
_OWN: Final = ("callback_data", "principal_entity_id", "content_template_id", "transliteration")
_OWN_JSON: Final = ("language", "sending_window")
# As they were accepted; who ends them has them locked. Of their turns nothing is left then: the SMS goes at once, or
# with a batch that is to begin later by now, and as long as that is worth sending (moving.py).
_READ = text(f"""
    SELECT m.id, m.batch_id, m.surface_id, sms.id AS lane_id, m.recipient, m.warning,
           {", ".join(f"m.{name}" for name in _OWN)}, {", ".join(f"m.{name}::text" for name in _OWN_JSON)},
           m.mms AS own_mms, coalesce(m.mms, b.mms) AS mms, coalesce(m.sender, b.sender) AS sender,
           coalesce(m.transliteration, b.transliteration) AS written_by,
           coalesce(m.language, b.language)::text AS written_in,
           coalesce(m.sending_window, b.sending_window)::text AS given_window,
           coalesce(b.expires_at, m.expires_at) AS expires_at,
           coalesce(b.validity_seconds, m.validity_seconds) AS validity_seconds,
           CASE WHEN b.paused_at IS NOT NULL THEN b.held_through END AS held_through,
           greatest(statement_timestamp(), {START}) AS turn, statement_timestamp() AS now, l.message_type,
           CASE WHEN {IS_IN_PLACE}
                THEN coalesce((SELECT root_id FROM replayed WHERE message_id = m.id), m.id) ELSE m.id END AS root_id
    FROM message m LEFT JOIN batch b ON b.id = m.batch_id
    JOIN lane l ON l.id = m.lane_id
    JOIN lane sms ON sms.credential_id = l.credential_id AND sms.message_type = l.message_type
                 AND sms.channel = '{Channel.SMS}'
    WHERE m.id = ANY(:ids) ORDER BY m.id
""")
_LINK = text("""
    INSERT INTO replayed (source_message_id, message_id, root_id)
    SELECT * FROM unnest(CAST(:sources AS uuid[]), CAST(:messages AS uuid[]), CAST(:roots AS uuid[]))
    ON CONFLICT (source_message_id) DO NOTHING RETURNING source_message_id
""")


def send(ids: Sequence[UUID], session: Session, changes: Changes) -> None:
    """For each of these MMS, which the caller has locked and ends, its SMS, queued; `changes` counts them. Does not
    commit."""
    if not ids:
        return
    made = {mms_id: id_after(mms_id) for mms_id in sorted(ids)}
    session.execute(_BOUND, {"ids": list(made), "through": max(made.values())})
    rows = session.execute(_READ, {"ids": list(made)}).all()
    links = {"sources": [row.id for row in rows], "messages": [made[row.id] for row in rows]}
    linked = set(session.execute(_LINK, {**links, "roots": [row.root_id for row in rows]}).scalars())
    going = [row for row in rows if row.id in linked]
    copy_messages(session, [_line(row, made[row.id]) for row in going])
    for row in going:
        changes.entered((row.lane_id, row.batch_id), State.QUEUED, None)


def _line(row: Any, message_id: UUID) -> str:
    """Where a window holds for it, that is asked when it is about to leave."""
    body = row.mms["fallback_text"]
    language = None if row.written_in is None else Language(**json.loads(row.written_in))
    is_marketing = row.message_type == MessageType.MARKETING
    window = window_for(read_given(row.given_window), is_marketing=is_marketing, recipient=row.recipient)
    shared = SharedColumns(
        batch_id=row.batch_id,
        surface_id=row.surface_id,
        lane_id=row.lane_id,
        sender=row.mms.get("fallback_sender", row.sender),
        origin=Origin.FALLBACK,
        state=State.QUEUED,
        next_attempt_at=row.turn,
        leave_before=None if window is None else row.turn,
        expires_at=row.expires_at,
        validity_seconds=row.validity_seconds,
        created_at=row.now,
        held=row.held_through is not None and message_id <= row.held_through,  # as setting_aside.passed_by_sweep says
        transliteration=row.transliteration,
        language=row.language,
        sending_window=row.sending_window,
    )
    return shared.part() + own_part(
        message_id=message_id,
        recipient=row.recipient,
        text=body,
        values=Values(
            callback_data=row.callback_data,
            principal_entity_id=row.principal_entity_id,
            content_template_id=row.content_template_id,
        ),
        segments=count(body, language, row.written_by),
        # Not sent: what its batch's replay sends again is the MMS.
        mms=None if row.batch_id is None else row.own_mms,
        warning=row.warning,
    )
