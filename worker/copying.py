"""Messages by COPY, a multiple of the speed of INSERT: their lines as text, written in one go.

psycopg writes rows value by value, each by its type; that took twice as long as all the checks of a row. A line has two
parts: what the messages of a batch have alike, made once, and what each has of its own.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import uuid_utils
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from worker.orders import NOTHING_GIVEN, Values
from worker.segments import Segments
from worker.states import State
from worker.words import Origin


class SharedColumns(NamedTuple):
    """The first columns of a line, in their order and under the table's names."""

    batch_id: UUID | None
    surface_id: UUID | None
    lane_id: UUID
    sender: str | None  # only where no batch holds it
    origin: Origin
    state: State
    next_attempt_at: datetime | None
    leave_before: datetime | None
    expires_at: datetime
    validity_seconds: int
    created_at: datetime
    finished_at: datetime | None = None
    reason: str | None = None
    held: bool = False
    attempt_count: int = 0
    retry_count: int = 0
    # Only where no batch holds them.
    transliteration: str | None = None
    language: str | None = None  # as JSON
    sending_window: str | None = None  # as JSON

    def part(self) -> str:
        """The first part of a line, up to its last tab."""
        return "".join([f"{field(value)}\t" for value in self])

    def around_turn(self) -> tuple[str, str]:
        """The same before and after `next_attempt_at` and `leave_before`, of messages that have each a turn of their
        own."""
        fields = [f"{field(value)}\t" for value in self]
        place = self._fields.index("next_attempt_at")
        return "".join(fields[:place]), "\t" + "".join(fields[place + 2 :])


_OWN_COLUMNS = (
    *("id", "recipient", "text", "mms", "warning"),
    *("encoding", "segment_count", "characters_left", "forcing"),
    *("callback_data", "principal_entity_id", "content_template_id"),
)
NULL = "\\N"
_NO_SEGMENTS = "\\N\t\\N\t\\N\t\\N"
_NO_VALUES = "\\N\t\\N\t\\N"


def own_part(
    *,
    message_id: UUID | uuid_utils.UUID,
    recipient: str,
    text: str | None,
    values: Values,
    segments: Segments | None = None,
    mms: Mapping[str, Any] | None = None,
    warning: str | None = None,
) -> str:
    """The second part of a line. Of content and values only what the message holds itself."""
    return f"{message_id}\t{content_part(recipient, text, values, segments, mms, warning)}"


def content_part(
    recipient: str,
    text: str | None,
    values: Values,
    segments: Segments | None = None,
    mms: Mapping[str, Any] | None = None,
    warning: str | None = None,
) -> str:
    """The second part without the message's ID: it begins with the recipient, up to its first tab. `mms` as it is
    stored."""
    # Spelled out, in the order above: ten thousand times a batch, it takes half the time of a loop over them.
    takes, given = _NO_SEGMENTS, _NO_VALUES
    if segments is not None:
        takes = f"{segments.encoding}\t{segments.parts}\t{segments.left}\t{field(segments.forcing)}"
    if values is not NOTHING_GIVEN:
        given = (
            f"{field(values.callback_data)}\t{field(values.principal_entity_id)}\t{field(values.content_template_id)}"
        )
    content = f"{field(text)}\t{NULL if mms is None else as_json(mms)}\t{NULL if warning is None else field(warning)}"
    return f"{field(recipient)}\t{content}\t{takes}\t{given}"


def as_json(value: Any) -> str:
    """A value of a JSON column, as it stands in a line of COPY."""
    return field(None if value is None else json.dumps(value, ensure_ascii=False))


_COPY = f"COPY message ({', '.join(SharedColumns._fields + _OWN_COLUMNS)}) FROM STDIN"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_messages(session: Session, lines: Iterable[str]) -> None:
    """Each line: a shared part and an own one. Does not commit."""
    copy_lines(session, _COPY, "\n".join(lines))


def copy_lines(session: Session, statement: str, lines: str | bytes) -> None:
    """Lines as COPY takes them, each of its fields from `field`. Does not commit."""
    connection: psycopg.Connection[Any] = session.connection().connection.driver_connection  # type: ignore[assignment]
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(lines)
    except psycopg.Error as error:
        # Raised below SQLAlchemy: in its clothes, so that a server that went away is known as such.
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


def field(value: object) -> str:
    """As it stands in a line of COPY."""
    if value is None:
        return NULL
    text = str(value)
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        return text.translate(_ESCAPES)
    return text
