"""Costs: what a send is likely to cost, network by network, by the newest reports."""

from decimal import Decimal
from typing import Any

from sqlmodel import Session

from tests.factories import MadeLane, make_batch, make_lane
from worker.costs import Cost, Estimate, estimate
from worker.models import DeliveryReport

AIRTEL, JIO = "40410", "405840"
ASHA, BEN, NOBODY = "919900000001", "919900000002", "919900000009"


def reported(session: Session, lane: MadeLane, recipient: str, price: str | None, **fields: Any) -> None:
    """One message more of this recipient, and what Infobip said of it."""
    (message_id,) = make_batch(session, lane, [recipient])
    given = {"currency": "EUR" if price else None, "mcc_mnc": AIRTEL, "segment_count": 1, **fields}
    session.add(
        DeliveryReport(
            message_id=message_id,
            attempt=1,
            price=None if price is None else Decimal(price),
            source="push",
            result="applied",
            **given,
        )
    )
    session.commit()


def cost(network: str | None, messages: int, parts: int, amount: str | None, currency: str | None = "EUR") -> Cost:
    return Cost(network, messages, parts, None if amount is None else Decimal(amount), currency if amount else None)


def test_parts_cost_what_their_network_asked_for_of_late(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.002")
    reported(session, lane, ASHA, "0.004")
    reported(session, lane, BEN, "0.010", mcc_mnc=JIO)
    assert estimate(session, lane.id, [(ASHA, 1), (ASHA, 2), (BEN, 1)]) == [
        cost(JIO, 1, 1, "0.010"),
        cost(AIRTEL, 2, 3, "0.009"),
    ]


def test_whoever_s_network_is_not_known_costs_the_average_of_all(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.002")
    reported(session, lane, BEN, "0.004", mcc_mnc=JIO)
    assert estimate(session, lane.id, [(NOBODY, 2)]) == [cost(None, 1, 2, "0.006")]


def test_a_network_without_prices_costs_the_average_of_all(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.002")
    reported(session, lane, BEN, None, mcc_mnc=JIO)
    assert estimate(session, lane.id, [(BEN, 1)]) == [cost(JIO, 1, 1, "0.002")]


def test_reports_without_a_network_do_not_stand_for_all(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.002")
    reported(session, lane, BEN, "0.004", mcc_mnc=None)
    assert estimate(session, lane.id, [(NOBODY, 1)]) == [cost(None, 1, 1, "0.003")]


def test_without_prices_no_cost_is_known(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, None)
    assert estimate(session, lane.id, [(ASHA, 1), (NOBODY, 1)]) == [cost(None, 1, 1, None), cost(AIRTEL, 1, 1, None)]
    assert estimate(session, lane.id, []) == []


def test_a_part_costs_what_messages_of_one_part_did_else_its_share(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.009", segment_count=3)
    assert estimate(session, lane.id, [(ASHA, 2)]) == [cost(AIRTEL, 1, 2, "0.006")]
    reported(session, lane, ASHA, "0.005")
    assert estimate(session, lane.id, [(ASHA, 2)]) == [cost(AIRTEL, 1, 2, "0.010")]


def test_reports_that_count_no_parts_are_of_one(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.009", segment_count=None)
    reported(session, lane, ASHA, "0.007", segment_count=0)
    assert estimate(session, lane.id, [(ASHA, 1)]) == [cost(AIRTEL, 1, 1, "0.008")]


def test_of_several_currencies_the_most_frequent_counts_in_each_network(session: Session, lane: MadeLane) -> None:
    for currency, price in [("USD", "0.5"), ("EUR", "0.1"), ("EUR", "0.3")]:
        reported(session, lane, ASHA, price, currency=currency)
    reported(session, lane, BEN, "0.7", currency="USD", mcc_mnc=JIO)
    assert estimate(session, lane.id, [(ASHA, 1), (BEN, 1)]) == [
        cost(JIO, 1, 1, "0.7", "USD"),
        cost(AIRTEL, 1, 1, "0.2"),
    ]


def test_of_currencies_as_frequent_as_each_other_one_is_always_the_same(session: Session, lane: MadeLane) -> None:
    for currency in ("USD", "EUR", "INR"):
        reported(session, lane, ASHA, "0.1", currency=currency)
    assert {estimate(session, lane.id, [(ASHA, 1)])[0].currency for _ in range(5)} == {"EUR"}


def test_the_network_of_a_number_is_that_of_its_last_report(session: Session, lane: MadeLane) -> None:
    reported(session, lane, ASHA, "0.002")
    reported(session, lane, ASHA, "0.004", mcc_mnc=JIO)
    reported(session, lane, ASHA, None, mcc_mnc=None)
    assert estimate(session, lane.id, [(ASHA, 1)]) == [cost(JIO, 1, 1, "0.004")]


def test_a_total_is_of_all_groups_in_the_most_frequent_currency(session: Session, lane: MadeLane) -> None:
    """A network that is priced in another currency costs the average of this one."""
    for price in ("0.1", "0.3"):
        reported(session, lane, ASHA, price)
    reported(session, lane, BEN, "0.7", currency="USD", mcc_mnc=JIO)
    whole = Estimate(session, lane.id)
    assert whole.total() is None
    whole.add([(ASHA, 1)])
    whole.add([(ASHA, 2), (BEN, 2), (NOBODY, 1)])
    assert whole.total() == (Decimal("1.2"), "EUR")


def test_without_prices_there_is_no_total(session: Session, lane: MadeLane) -> None:
    whole = Estimate(session, lane.id)
    whole.add([(ASHA, 1)])
    assert whole.total() is None


def test_prices_of_another_lane_say_nothing(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    reported(session, other, ASHA, "0.002")
    assert estimate(session, lane.id, [(ASHA, 1)]) == [cost(AIRTEL, 1, 1, None)]
