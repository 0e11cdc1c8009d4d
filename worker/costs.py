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


class Total(NamedTuple):
    """In major units of the currency."""

    amount: Decimal
    currency: str


class Estimate:
    """Of messages through a lane, which are added group by group."""

    def __init__(self, session: Session, lane_id: UUID) -> None:
        self._session = session
        self._prices = _prices(session, lane_id)
        self._messages = Counter[str | None]()
        self._parts = Counter[str | None]()

    def add(self, parts: Sequence[tuple[str, int]]) -> None:
        """Of each message its recipient, and how many parts it takes."""
        recipients = list({recipient for recipient, _ in parts})
        networks = {r.recipient: r.network for r in self._session.execute(_NETWORKS, {"recipients": recipients})}
        for recipient, count in parts:
            self._messages[networks[recipient]] += 1
            self._parts[networks[recipient]] += count

    def costs(self) -> list[Cost]:
        """By network, the dearest first."""
        costs = [_cost(network, n, self._parts[network], self._prices) for network, n in self._messages.items()]
        return sorted(costs, key=lambda cost: (-(cost.amount or 0), cost.network or ""))

    def total(self) -> Total | None:
        """In the most frequent currency: a network that is priced in another one costs the average of those that are
        priced in this. None where no price is known, or nothing was added."""
        average = self._prices.get(None)
        if average is None or not self._messages:
            return None
        prices = {network: price for network, price in self._prices.items() if price.currency == average.currency}
        amounts = (prices.get(network, average).price * parts for network, parts in self._parts.items())
        return Total(sum(amounts, Decimal()), average.currency)


def estimate(session: Session, lane_id: UUID, parts: Sequence[tuple[str, int]]) -> list[Cost]:
    """For messages through a lane, each its recipient and how many parts it takes; the dearest first."""
    whole = Estimate(session, lane_id)
    whole.add(parts)
    return whole.costs()


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
