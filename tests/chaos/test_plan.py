"""The plan: the same for a seed, and with everything in it that a run promises."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.chaos import plan as plans
from tests.chaos.plan import (
    CARRIED_SHARE,
    MESSAGES_PER_SECOND,
    POISON_SUFFIX,
    SHORT_VALIDITY_SECONDS,
    SLOWEST_REPORT_SECONDS,
    SURFACES,
    Blow,
    Intensity,
    Plan,
    make_plan,
    suffix_of,
)


def plan_of(seed: int = 1, total: int = 20_000, **intensity: int) -> Plan:
    return make_plan(seed, total, Intensity(**intensity))


def test_same_seed_gives_the_same_plan() -> None:
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)


def test_more_kills_leave_the_load_of_a_seed_as_it_was() -> None:
    assert plan_of(kills=3).sends == plan_of(kills=30).sends


@pytest.mark.parametrize("total", [1, 7, 3_000, 20_000])
def test_every_message_has_a_recipient_of_its_own(total: int) -> None:
    recipients = [to for send in plan_of(total=total).sends for to in send.recipients]
    assert len(recipients) == len(set(recipients)) == total


@pytest.mark.parametrize("total", [0, 250_001])
def test_number_of_messages_has_bounds(total: int) -> None:
    with pytest.raises(ValueError, match="a run has"):
        plan_of(total=total)


def test_every_fate_is_met_and_poison_is_rare() -> None:
    fates = Counter(suffix_of(to) for send in plan_of().sends for to in send.recipients)
    assert set(fates) == {"", *(f"90{n:02}" for n in range(1, 11))}
    assert fates[POISON_SUFFIX] == 3
    assert fates[""] > 10_000


def test_load_comes_by_every_surface_in_every_size_and_again_under_the_same_key() -> None:
    sends = plan_of().sends
    assert {send.surface for send in sends} == set(SURFACES)
    assert any(send.is_single for send in sends)
    assert max(len(send.recipients) for send in sends) > 500
    assert any(send.repeats for send in sends)
    assert len({send.key for send in sends}) == len(sends)
    assert {send.path for send in sends} == {"/v1/messages", "/v1/batches"}


@pytest.mark.parametrize(("total", "validity_seconds"), [(3_000, 40), (3_000, None), (50_000, None)])
def test_the_paced_credential_is_given_what_its_rate_carries_in_time(total: int, validity_seconds: int | None) -> None:
    """From whichever instant on: what it was given since then is through before the validity of the latest ends."""
    carried = CARRIED_SHARE * MESSAGES_PER_SECOND
    for seed in (91, 761824, *range(60)):
        sends = make_plan(seed, total, Intensity(), validity_seconds).sends
        paced = [send for send in sends if send.surface.startswith("paced")]
        assert paced
        for first, start in enumerate(paced):
            given = 0
            for send in paced[first:]:
                given += len(send.recipients)
                assert given <= carried * (send.at + send.validity_seconds - start.at) + 1e-6, (seed, send.key)


def test_what_the_rate_does_not_carry_goes_to_another_surface_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    fitting = plan_of(91, 50_000).sends
    monkeypatch.setattr(plans, "CARRIED_SHARE", float("inf"))
    wanted = plan_of(91, 50_000).sends
    moved = [(was, now) for was, now in zip(wanted, fitting, strict=True) if was != now]
    assert moved
    for was, now in moved:
        assert was.surface.startswith("paced")
        assert now == replace(was, surface=was.surface.replace("paced", "brisk"))


def test_most_of_the_long_validities_end_together_and_some_are_short() -> None:
    sends = plan_of().sends
    ends = {round(send.at + send.validity_seconds) for send in sends if send.validity_seconds > SHORT_VALIDITY_SECONDS}
    assert max(ends) - min(ends) <= 1
    assert any(send.validity_seconds == SHORT_VALIDITY_SECONDS for send in sends)


def test_blows_are_as_many_as_asked_for_and_fall_while_there_is_load() -> None:
    plan = plan_of(kills=7, flushes=3, redis_restarts=2, postgres_restarts=2)
    blows = Counter(strike.blow for strike in plan.strikes)
    assert sum(n for blow, n in blows.items() if blow.is_worker_kill) == 7
    assert (blows[Blow.FLUSH_REDIS], blows[Blow.RESTART_REDIS]) == (3, 2)
    assert blows[Blow.RESTART_POSTGRES] == blows[Blow.KILL_POSTGRES] == 1
    times = [strike.at for strike in plan.strikes]
    assert times == sorted(times)
    assert 0 < times[0] <= times[-1] < plan.load_seconds


def test_faults_change_over_the_run_and_end_after_the_load() -> None:
    plan = plan_of()
    *changing, last = plan.weather
    assert last.at > plan.load_seconds
    assert last.faults == {}
    assert all(weather.faults["server_error"] == 0.10 for weather in changing)
    assert any(weather.faults.get("too_many_requests") for weather in changing)
    assert any(weather.faults.get("report_seconds") == SLOWEST_REPORT_SECONDS for weather in changing)
    calls = ("too_many_requests", "server_error", "reset_before", "reset_after", "timeout_after")
    assert all(sum(weather.faults.get(name, 0) for name in calls) < 1 for weather in changing)
