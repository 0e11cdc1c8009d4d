"""What a send is likely to cost, network by network, as Infobip's reports of late said.

The network of a number is that of its last report; whoever had none may be of any. A price is that of one part: of
messages of one part, since it is not established whether Infobip tells the price of the message or of each part; of
longer ones divided by their parts where there are no others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

_SEARCHED = 10_000  # of the newest reports
_NEWEST_OF_ONE = 5  # of a recipient's messages

_PRICES = text(f"""
    SELECT r.mcc_mnc, r.currency, coalesce(
        avg(r.price) FILTER (WHERE coalesce(r.segment_count, 1) <= 1),
        avg(r.price / greatest(r.segment_count, 1))) AS price
    FROM (SELECT * FROM delivery_report ORDER BY transaction_id DESC, id DESC LIMIT {_SEARCHED}) AS r
    JOIN message m ON m.id = r.message_id AND m.lane_id = :lane
    WHERE r.price IS NOT NULL AND r.currency IS NOT NULL
    GROUP BY GROUPING SETS ((r.mcc_mnc, r.currency), (r.currency))
    ORDER BY count(*) DESC, r.currency
""")
_NETWORKS = text(f"""
    SELECT asked.recipient, (
        SELECT r.mcc_mnc FROM (
            SELECT id FROM message WHERE recipient = asked.recipient ORDER BY id DESC LIMIT {_NEWEST_OF_ONE}) AS m
        JOIN delivery_report r ON r.message_id = m.id
        WHERE r.mcc_mnc IS NOT NULL ORDER BY r.message_id DESC, r.id DESC LIMIT 1) AS network
    FROM unnest(CAST(:recipients AS text[])) AS asked (recipient)
""")


class Cost(NamedTuple):
    """Of messages to one network, as MCC and MNC; None: a network that is not known. In major units of the currency;
    None where no price is known."""

    network: str | None
    messages: int
    parts: int
    amount: Decimal | None
    currency: str | None


def estimate(session: Session, lane_id: UUID, parts: Sequence[tuple[str, int]]) -> list[Cost]:
    """For messages through a lane, each its recipient and how many parts it takes; the dearest first."""
    recipients = {recipient for recipient, _ in parts}
    networks = {row.recipient: row.network for row in session.execute(_NETWORKS, {"recipients": list(recipients)})}
    messages, taken = Counter[str | None](), Counter[str | None]()
    for recipient, count in parts:
        messages[networks[recipient]] += 1
        taken[networks[recipient]] += count
    prices = _prices(session, lane_id)
    costs = [_cost(network, messages[network], taken[network], prices) for network in messages]
    return sorted(costs, key=lambda cost: (-(cost.amount or 0), cost.network or ""))


def _prices(session: Session, lane_id: UUID) -> dict[str | None, Any]:
    """By network; None: of all of them together. Of several currencies the most frequent."""
    found: dict[str | None, Any] = {}
    for row in session.execute(_PRICES, {"lane": lane_id}):
        found.setdefault(row.mcc_mnc, row)
    return found


def _cost(network: str | None, messages: int, parts: int, prices: Mapping[str | None, Any]) -> Cost:
    price = prices.get(network) or prices.get(None)
    if price is None:
        return Cost(network, messages, parts, None, None)
    return Cost(network, messages, parts, price.price * parts, price.currency)
