"""What a credential says of inbound messages: its keywords and replies, and what its replies carry."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from worker.keywords import Keywords
from worker.orders import Values
from worker.recipients import BadRecipient, normalise
from worker.replies import LONGEST_VALIDITY, Texts, own_forms
from worker.words import Channel, MessageType

_READ = text(f"""
    SELECT c.*, l.id AS lane_id FROM credential c
    JOIN lane l ON l.credential_id = c.id
        AND l.channel = '{Channel.SMS}' AND l.message_type = '{MessageType.TRANSACTIONAL}'
    WHERE c.id = ANY(:ids)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRules:
    """As they stand when they are read. `lane_id` is the lane that its replies take."""

    credential_id: UUID
    keywords: Keywords
    texts: Texts
    own_forms: tuple[str, ...]  # of all that it may answer: replies.py
    inbound_number: str | None
    is_deleted: bool
    lane_id: UUID
    values: Values
    validity: timedelta  # of a reply

    def is_own_number(self, number: str) -> bool:
        return self.inbound_number is not None and bare_number(number) == bare_number(self.inbound_number)

    def is_other_number(self, recipient: str | None) -> bool:
        """Whether a message to this number belongs to another installation on the same account."""
        return self.inbound_number is not None and recipient is not None and not self.is_own_number(recipient)


def read_rules(session: Session, credential_ids: Collection[UUID]) -> dict[UUID, CredentialRules]:
    """Also of deleted ones: what people write to their numbers still comes in."""
    return {row.id: _read(row) for row in session.execute(_READ, {"ids": list(set(credential_ids))})}


def _read(row: Any) -> CredentialRules:
    keywords = Keywords.of(row._mapping)
    texts = Texts(
        opt_in=row.opt_in_message or None,
        opt_out=row.opt_out_message or None,
        help=row.help_message or None,
        double_opt_in=row.double_opt_in_message or None,
        near_miss=row.fuzzy_opt_out_message or None,
        default=row.default_reply_message or None,
    )
    return CredentialRules(
        credential_id=row.id,
        keywords=keywords,
        texts=texts,
        own_forms=own_forms(texts, keywords),
        inbound_number=row.inbound_number,
        is_deleted=row.deleted_at is not None,
        lane_id=row.lane_id,
        values=Values(
            callback_data=row.callback_data,
            content_template_id=row.content_template_id,
            principal_entity_id=row.principal_entity_id,
        ),
        validity=min(timedelta(hours=row.validity_period_hours), LONGEST_VALIDITY),
    )


def bare_number(number: str) -> str:
    """The form in which our numbers and names are compared: an administrator may write `+91 98...`, `0091...`."""
    try:
        return normalise(number, default_country=None)
    except BadRecipient:
        return number.removeprefix("+").casefold()
