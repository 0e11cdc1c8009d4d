"""The table of states, walked pair by pair against the design's wording."""

from itertools import product

import pytest

from worker.states import FINAL, LIVE, MAY_BECOME, REASONED, WAITING, State, may_become

ALLOWED = {
    "queued": "sending expired suppressed cancelled delivered",
    "sending": "sent delivered queued retrying sending failed expired unconfirmed cancelled suppressed",
    "sent": "delivered retrying failed expired unconfirmed cancelled suppressed",
    "retrying": "sending expired suppressed cancelled delivered",
    "failed": "delivered",
    "expired": "delivered",
    "suppressed": "delivered",
    "cancelled": "delivered",
    "unconfirmed": "delivered",
    "delivered": "",
}


@pytest.mark.parametrize(("now", "then"), list(product(State, State)))
def test_every_pair_is_as_the_design_says(now: State, then: State) -> None:
    assert may_become(now, then) == (then.value in ALLOWED[now.value].split())


def test_table_names_every_state_once() -> None:
    assert set(MAY_BECOME) == set(State)
    assert set(LIVE) | set(FINAL) == set(State)
    assert not set(LIVE) & set(FINAL)


def test_nothing_that_is_final_goes_out_again() -> None:
    assert all(MAY_BECOME[state] <= {State.DELIVERED} for state in FINAL)


def test_delivered_wins_over_every_other_state() -> None:
    assert all(State.DELIVERED in MAY_BECOME[state] for state in State if state is not State.DELIVERED)


def test_only_waiting_states_may_be_claimed() -> None:
    assert {state for state in State if State.SENDING in MAY_BECOME[state]} - {State.SENDING} == set(WAITING)


def test_states_that_need_no_reason_have_none_counted() -> None:
    assert set(State) - set(REASONED) == {State.QUEUED, State.SENDING, State.SENT, State.DELIVERED}
