"""What a message has cost lately, as Infobip's reports said: a guess at what the next ones will."""

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

_PRICED = 1_000  # so many of the newest are averaged
_SEARCHED = 10_000  # among so many of the newest: where Infobip tells no prices, none would be found among millions

_AVERAGE = f"""
    SELECT avg(price) AS amount, currency FROM (
        SELECT r.price, r.currency FROM {{newest}}
        WHERE r.price IS NOT NULL AND r.currency IS NOT NULL LIMIT {_PRICED}
    ) AS priced GROUP BY currency ORDER BY count(*) DESC LIMIT 1
"""
_OF_BATCH = text(
    _AVERAGE.format(
        newest=f"""(SELECT id FROM message WHERE batch_id = :subject ORDER BY id DESC LIMIT {_SEARCHED}) AS m
        JOIN delivery_report r ON r.message_id = m.id"""
    )
)
_OF_LANE = text(
    _AVERAGE.format(
        newest=f"""(SELECT * FROM delivery_report ORDER BY transaction_id DESC, id DESC LIMIT {_SEARCHED}) AS r
        JOIN message m ON m.id = r.message_id AND m.lane_id = :subject"""
    )
)


class Price(NamedTuple):
    """Of one message, in major units of the currency."""

    amount: Decimal
    currency: str


def past_price(session: Session, batch_id: UUID, lane_id: UUID) -> Price | None:
    """The average of the newest priced reports of the batch, else of the lane; None where none is known."""
    for query, subject in ((_OF_BATCH, batch_id), (_OF_LANE, lane_id)):
        row = session.execute(query, {"subject": subject}).one_or_none()
        if row is not None:
            return Price(row.amount, row.currency)
    return None
