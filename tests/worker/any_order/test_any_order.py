"""Every promise holds, in any order that Hypothesis draws and in some that are known to be hard.

`DELIVERY_MORE_EXAMPLES=20` draws twenty times as many. What Hypothesis prints of a failure can be played here as it is:
a step is a method of the machine.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from tests.worker.any_order import tables
from tests.worker.any_order.machine import AnyOrder
from tests.worker.any_order.model_infobip import Fate, Said, Way
from worker import batch_sweeps
from worker.settings import Settings
from worker.windows import OFF

RUNS = 4 * int(os.environ.get("DELIVERY_MORE_EXAMPLES", "1"))
EXAMPLES = 11  # a run: what Hypothesis tries after them are mostly variations of one another
STEPS = 50

LOST, VANISHED, NOT_SENT = Fate(Way.LOST), Fate(Way.VANISHED), Fate(Way.NOT_SENT)
LOST_AND_NOT_SHOWN_YET = Fate(Way.LOST, lag=90.0)


@pytest.fixture(scope="module")
def prepared_engine(engine: Engine) -> Engine:
    tables.prepare(engine)
    return engine


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sweeps, "CHUNK", 1)


@pytest.mark.timeout(600)  # Hypothesis gives itself five minutes to find a short example
@pytest.mark.parametrize("run", range(RUNS))
def test_every_promise_holds_in_any_order(run: int, prepared_engine: Engine, fresh_settings: Settings) -> None:
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(lambda: AnyOrder(prepared_engine, fresh_settings), settings=profile)  # type: ignore[arg-type]


@pytest.fixture
def machine(prepared_engine: Engine, fresh_settings: Settings) -> Iterator[AnyOrder]:
    machine = AnyOrder(prepared_engine, fresh_settings)
    yield machine
    machine.teardown()


def play(machine: AnyOrder, *steps: tuple[str, dict[str, Any]]) -> None:
    """The steps one after the other, the promises after each; then the machine comes to its end."""
    for name, values in steps:
        getattr(machine, name)(**values)
        machine.promises_hold()


def step(name: str, **values: Any) -> tuple[str, dict[str, Any]]:
    return name, values


def enqueue(size: int = 1, validity: int = 3600, window: Any = OFF) -> tuple[str, dict[str, Any]]:
    return step("enqueue", size=size, validity=validity, window=window)


def deliver(*fates: Fate) -> tuple[str, dict[str, Any]]:
    return step("deliver", fates=list(fates), dies_at=None)


def look(looks: int, *troubles: Way) -> tuple[str, dict[str, Any]]:
    return step("look", looks=looks, troubles=troubles, calls=None, dies_at=None)


def replay(which: int = 0) -> tuple[str, dict[str, Any]]:
    return step("replay", which=which, includes_unconfirmed=False, validity=3600)


def steer(what: str, which: int = 0) -> tuple[str, dict[str, Any]]:
    return step("steer", what=what, which=which)


def happen(status: Any, which: int = 0) -> tuple[str, dict[str, Any]]:
    """It is reported of the first attempt: the open ones have the first numbers, then come all that were seen."""
    return step("happen", which=which, status=status, is_done=True, is_pushed=True)


def send(fate: Fate) -> tuple[str, dict[str, Any]]:
    """What was opened first is sent, and the process stands still before it records what came of that."""
    return step("send", which=0, fates=[fate], stops=True)


def record(*, again: bool = False) -> tuple[str, dict[str, Any]]:
    return step("record", which=0, again=again)


def states(machine: AnyOrder) -> list[str]:
    return [message.state for message in machine.world.messages.values()]


def test_an_answer_to_an_attempt_that_is_over_says_nothing_of_the_next(machine: AnyOrder) -> None:
    play(machine, enqueue(), step("open", limit=1), send(Fate()), happen(Said.AWAY))
    play(machine, step("pass_time", seconds=70), step("open", limit=1), record())
    assert states(machine) == ["sending"]


def test_an_error_recorded_again_says_nothing_of_the_next_request(machine: AnyOrder) -> None:
    play(machine, enqueue(), step("open", limit=1), send(NOT_SENT), record(again=True))
    play(machine, step("open", limit=1), send(Fate()), record())
    assert states(machine) == ["sending"]


def test_a_resubmission_that_was_not_sent_leaves_the_doubt(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(LOST_AND_NOT_SHOWN_YET), look(2), deliver(NOT_SENT))
    assert states(machine) == ["sending"]


def test_a_resubmission_is_looked_for_under_its_ancestors_too(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(LOST_AND_NOT_SHOWN_YET), look(2), deliver(VANISHED))
    play(machine, step("pass_time", seconds=90), steer("cancel"), look(2))
    assert states(machine) == ["sent"]


def test_what_is_absent_does_not_go_to_another_account(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(LOST_AND_NOT_SHOWN_YET), look(2), steer("new account"), deliver(), deliver())
    assert states(machine) == ["sending"]


def test_what_is_absent_does_not_leave_a_cancelled_batch(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(VANISHED), look(2), steer("cancel"), deliver())
    assert states(machine) == ["sending"]


def test_logs_that_do_not_answer_let_nothing_expire_that_infobip_has(machine: AnyOrder) -> None:
    play(machine, enqueue(validity=20), deliver(LOST), look(1, Way.VANISHED), look(1, Way.VANISHED))
    play(machine, step("pass_time", seconds=21), look(1, Way.VANISHED))
    assert states(machine) == ["sending"]


def test_every_page_of_the_logs_is_read(machine: AnyOrder) -> None:
    play(machine, enqueue(size=2), enqueue(size=2), deliver(LOST), steer("cancel", 0), steer("cancel", 1), look(2))
    assert states(machine) == ["sent"] * 4


def test_a_duplicate_that_is_reported_is_no_failure(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(), happen(Said.DUPLICATE))
    assert states(machine) == ["sent"]


def outcomes(machine: AnyOrder) -> list[str | None]:
    return [attempt.outcome for attempts in machine.world.attempts.values() for attempt in attempts]


SECOND_IS_OPENED = (enqueue(), deliver(), happen(Said.AWAY), step("pass_time", seconds=70), step("open", limit=1))


def test_an_attempt_is_in_doubt_whose_process_died_while_an_earlier_one_was_delivered(machine: AnyOrder) -> None:
    play(machine, *SECOND_IS_OPENED, happen(Said.DELIVERED), step("pass_time", seconds=61))
    play(machine, step("abandon", dies_at=None))
    assert outcomes(machine) == ["delivered", "in doubt"]


@pytest.mark.parametrize(
    ("fate", "first", "outcome"),
    [
        (Fate(), 1, "accepted"),
        (Fate(statuses=(Said.BAD_NUMBER,)), 0, "failed"),
        (LOST, 1, "in doubt"),
        (NOT_SENT, 0, "released"),
        (Fate(Way.REFUSED), 0, "released"),
    ],
    ids=["accepted", "failed", "lost", "not sent", "refused"],
)
def test_an_answer_is_recorded_of_its_attempt_though_an_earlier_one_was_delivered(
    machine: AnyOrder, fate: Fate, first: int, outcome: str
) -> None:
    play(machine, *SECOND_IS_OPENED, send(fate), happen(Said.DELIVERED, which=first), record())
    assert outcomes(machine) == ["delivered", outcome]


WAITS_AGAIN = (enqueue(), deliver(), happen(Said.AWAY), step("pass_time", seconds=70))


def test_a_stop_between_two_attempts_is_the_end(machine: AnyOrder) -> None:
    play(machine, *WAITS_AGAIN, steer("stop"), deliver())
    assert states(machine) == ["suppressed"]


def test_who_stopped_and_asks_to_come_back_is_out_until_that_is_confirmed(machine: AnyOrder) -> None:
    play(machine, enqueue(), steer("stop"), steer("join"), deliver(), enqueue())
    play(machine, steer("stop", 1), steer("join", 1), steer("start", 1), deliver())
    assert states(machine) == ["suppressed", "sent"]


@pytest.mark.parametrize("status", [Said.ON_REGISTER, Said.BLOCKED])
def test_a_block_told_after_a_younger_wish_to_come_back_holds_until_that_is_confirmed(
    machine: AnyOrder, status: Said
) -> None:
    play(machine, enqueue(), deliver(LOST), step("pass_time", seconds=6), steer("join"), happen(status))
    play(machine, replay(), deliver())
    assert states(machine) == ["failed"]


def test_what_was_opened_before_the_stop_still_goes_and_ends_with_it(machine: AnyOrder) -> None:
    play(machine, enqueue(), step("open", limit=1), steer("stop"), send(Fate()), record(), happen(Said.AWAY))
    assert states(machine) == ["suppressed"]


def test_a_doubt_about_one_who_stopped_is_not_sent_again(machine: AnyOrder) -> None:
    play(machine, enqueue(), deliver(VANISHED), steer("stop"), look(2), deliver())
    assert states(machine) == ["suppressed"]


def test_a_block_that_an_earlier_attempt_tells_of_stops_the_next(machine: AnyOrder) -> None:
    play(machine, *WAITS_AGAIN, happen(Said.BLOCKED), deliver())
    assert states(machine) == ["suppressed"]


def test_a_block_in_an_answer_stops_what_else_waits_for_that_person(machine: AnyOrder) -> None:
    play(machine, enqueue(size=1), deliver(Fate(statuses=(Said.BLOCKED,))))
    assert states(machine) == ["failed"]
    assert machine.world.forgotten == []


HAS_FAILED = (enqueue(), deliver(), happen(Said.REFUSED_FOR_GOOD))


def test_a_late_delivery_cancels_the_replay_before_its_next_attempt(machine: AnyOrder) -> None:
    play(machine, *HAS_FAILED, replay(), deliver(), happen(Said.AWAY), happen(Said.DELIVERED))
    play(machine, step("pass_time", seconds=70))
    assert states(machine) == ["delivered", "cancelled"]


def test_a_late_delivery_while_the_replay_is_with_infobip_leaves_that_alone(machine: AnyOrder) -> None:
    play(machine, *HAS_FAILED, replay(), step("open", limit=1), happen(Said.DELIVERED), send(Fate()), record())
    assert states(machine) == ["delivered", "sent"]


def test_a_replay_in_doubt_is_not_sent_again_once_its_source_is_delivered(machine: AnyOrder) -> None:
    play(machine, *HAS_FAILED, replay(), deliver(VANISHED), happen(Said.DELIVERED), look(2), deliver())
    assert states(machine) == ["delivered", "cancelled"]


def test_a_late_delivery_ends_the_third_of_a_chain(machine: AnyOrder) -> None:
    play(machine, *HAS_FAILED, replay(), deliver(), happen(Said.REFUSED_FOR_GOOD), replay())
    play(machine, happen(Said.DELIVERED, which=1))
    assert states(machine) == ["failed", "delivered", "cancelled"]


TWO_DAYS = 48 * 3600
CLOSES_SOON = {"from": "11:00", "to": "12:01", "time_zone": "UTC"}  # in a minute


def test_an_absent_message_whose_window_has_closed_is_left_alone_until_the_next_opening(machine: AnyOrder) -> None:
    play(machine, enqueue(validity=TWO_DAYS, window=CLOSES_SOON), deliver(VANISHED))
    play(machine, step("pass_time", seconds=61), look(2), look(1))
    assert states(machine) == ["sending"]
    until_the_opening = machine.world.next_look
    assert until_the_opening is not None
    assert until_the_opening > 22 * 3600
    play(machine, step("pass_time", seconds=until_the_opening), look(1), deliver())
    assert states(machine) == ["sent"]


def test_a_failure_after_the_window_has_closed_is_tried_again_in_the_next_opening(machine: AnyOrder) -> None:
    play(machine, enqueue(validity=TWO_DAYS, window=CLOSES_SOON), deliver())
    play(machine, step("pass_time", seconds=61), happen(Said.AWAY))
    until_the_opening = machine.world.next_send
    assert until_the_opening is not None
    assert until_the_opening > 22 * 3600
    play(machine, step("pass_time", seconds=until_the_opening), deliver())
    assert states(machine) == ["sent"]


def test_what_was_opened_in_time_and_stands_still_past_its_window_stays_behind(machine: AnyOrder) -> None:
    play(machine, enqueue(validity=TWO_DAYS, window=CLOSES_SOON), step("open", limit=1))
    play(machine, step("pass_time", seconds=61), step("send", which=0, fates=[Fate()], stops=False))
    assert states(machine) == ["queued"]
