"""Identifiers: UUIDv7 rows, and the message ID that an attempt carries to Infobip and back."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["attempt_id", "first_id_at", "id_after", "new_id", "parse_attempt_id"]


def new_id() -> UUID:
    """A UUIDv7: later ones sort later, so that indexes grow at one end."""
    return uuid7()


def id_after(earlier: UUID) -> UUID:
    """A new ID that sorts after this one, whose process may have had a clock ahead of ours."""
    made = uuid7()
    return made if made > earlier else UUID(int=(earlier.int >> 80) + 1 << 80 | made.int & (1 << 80) - 1)


def first_id_at(instant: datetime) -> UUID:
    """Sorts before every ID that is made at this instant or later."""
    milliseconds = max(0, int(instant.timestamp() * 1000))
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def attempt_id(message_id: UUID, number: int) -> str:
    """The `messageId` of one attempt: `<message id>-<attempt number>`, at most 42 of Infobip's 200 characters.

    A report thereby finds its message and attempt without a look-up table, even when the process that sent it died
    before the answer came.
    """
    return f"{message_id}-{number}"


def parse_attempt_id(text: object) -> tuple[UUID, int] | None:
    """(message ID, attempt number), or None where the ID is not one of ours."""
    if not isinstance(text, str) or not 38 <= len(text) <= 42 or text[36] != "-":
        return None
    number = text[37:]
    if not (number.isascii() and number.isdigit()) or number[0] == "0" or int(number) > 32767:
        return None
    try:
        message_id = UUID(text[:36])
    except ValueError:
        return None
    return (message_id, int(number)) if str(message_id) == text[:36] else None
