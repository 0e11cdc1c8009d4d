"""The rows of a batch's request that were left out, kept for whoever has to correct them."""

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col

from worker.copying import copy_lines, field
from worker.models import RejectedRow
from worker.orders import Rejected

_COPY = "COPY rejected_row (batch_id, row, recipient, field, reason) FROM STDIN"
_LONGEST_TO = 64
_LONGEST_FIELD = 100
_LONGEST_REASON = 1_000


def shortened(row: Rejected) -> Rejected:
    """What a caller wrote may be of any length, and hold what cannot be stored."""
    to = None if row.to is None else _plain(row.to, _LONGEST_TO)
    return Rejected(row.index, to, _plain(row.field, _LONGEST_FIELD), _plain(row.reason, _LONGEST_REASON))


def _plain(text: str, most: int) -> str:
    return text[:most].replace("\0", "\ufffd")


def line(row: Rejected) -> str:
    """The row, shortened, as COPY takes it, without its batch."""
    return f"{row.index}\t{field(row.to)}\t{field(row.field)}\t{field(row.reason)}"


def copy_rejected(session: Session, batch_id: UUID, lines: list[str]) -> None:
    """Does not commit."""
    copy_lines(session, _COPY, "\n".join([f"{batch_id}\t{one}" for one in lines]))


def read_rejected(session: Session, batch_id: UUID, after: int, limit: int) -> list[RejectedRow]:
    """The next ones of a batch, in the order of the request. `after`: the row before the first of them, or -1."""
    query = (
        sa.select(RejectedRow)
        .where(col(RejectedRow.batch_id) == batch_id, col(RejectedRow.row) > after)
        .order_by(col(RejectedRow.row))
        .limit(limit)
    )
    return list(session.scalars(query))
