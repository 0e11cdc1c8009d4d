"""Fallbacks: the SMS that goes in the place of an MMS, where MMS does not reach the handset.

MMS has no DLT fields at Infobip, and from outside India it hardly reaches a handset there: so one to an Indian number
ends before it leaves, and one that a network refuses ends when that is known, both `cancelled`; what their
`fallback_text` says goes out as an SMS of ours, DLT attached. It stands in the MMS's chain (`replayed`) as a replay
would: an MMS has one at most, ever, and where the MMS arrives after all, the SMS is not sent.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.alphabets import Language
from worker.copying import SharedColumns, copy_messages, own_part
from worker.gate import IS_IN_PLACE
from worker.ids import new_id
from worker.orders import Values
from worker.segments import count
from worker.states import State
from worker.tally import Changes
from worker.windows import read_given, window_for
from worker.words import Channel, MessageType, Origin

# As they were accepted; who ends them has them locked. Of their turns nothing is left then.
_READ = text(f"""
    SELECT m.id, m.surface_id, sms.id AS lane_id, m.recipient, m.expires_at, m.validity_seconds, m.warning,
           coalesce(m.mms, b.mms) AS mms, coalesce(m.sender, b.sender) AS sender,
           coalesce(m.callback_data, b.callback_data) AS callback_data,
           coalesce(m.principal_entity_id, b.principal_entity_id) AS principal_entity_id,
           coalesce(m.content_template_id, b.content_template_id) AS content_template_id,
           coalesce(m.transliteration, b.transliteration) AS transliteration,
           coalesce(m.language, b.language)::text AS language,
           coalesce(m.sending_window, b.sending_window)::text AS sending_window,
           l.message_type, statement_timestamp() AS now,
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
    """For each of these MMS, which the caller ends, its SMS, queued; `changes` counts them. Does not commit."""
    if not ids:
        return
    rows = session.execute(_READ, {"ids": list(ids)}).all()
    made = {row.id: new_id() for row in rows}
    links = {"sources": list(made), "messages": list(made.values()), "roots": [row.root_id for row in rows]}
    linked = set(session.execute(_LINK, links).scalars())
    going = [row for row in rows if row.id in linked]
    copy_messages(session, [_line(row, made[row.id]) for row in going])
    for row in going:
        changes.entered([row.lane_id], State.QUEUED, None)


def _line(row: Any, message_id: UUID) -> str:
    """Where a window holds for it, that is asked when it is about to leave."""
    body = row.mms["fallback_text"]
    language = None if row.language is None else Language(**json.loads(row.language))
    is_marketing = row.message_type == MessageType.MARKETING
    window = window_for(read_given(row.sending_window), is_marketing=is_marketing, recipient=row.recipient)
    shared = SharedColumns(
        batch_id=None,
        surface_id=row.surface_id,
        lane_id=row.lane_id,
        sender=row.mms.get("fallback_sender", row.sender),
        origin=Origin.FALLBACK,
        state=State.QUEUED,
        next_attempt_at=row.now,
        leave_before=None if window is None else row.now,
        expires_at=row.expires_at,
        validity_seconds=row.validity_seconds,
        created_at=row.now,
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
        segments=count(body, language, row.transliteration),
        warning=row.warning,
    )
