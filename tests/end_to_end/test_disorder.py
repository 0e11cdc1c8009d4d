"""Reports before answers, lost answers, killed processes, restarted servers: the same ends, and no second copy."""

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import (
    assert_each_delivered_once,
    killed_and_back,
    recipient,
    recipients,
    single,
    submissions_of,
)
from tests.processes import wait_for


def test_a_report_that_overtakes_its_answer_counts(system: System) -> None:
    system.faults(answer_seconds=1.0, report_seconds=0.0)
    numbers = recipients(20)
    batch = system.batch(system.surface(), numbers, validity_period="PT1M")
    wait_for(lambda: "delivered" in system.get(f"/v1/batches/{batch}")["counts"], every=0.05)
    assert_each_delivered_once(system, batch, numbers)


def test_a_lost_answer_is_settled_by_the_logs(system: System) -> None:
    system.faults(reset_after=1.0, report_lost=1.0)
    numbers = recipients(20)
    batch = system.batch(system.surface(), numbers, validity_period="PT1M")
    wait_for(lambda: system.accepted(to=numbers[0]), every=0.05)
    system.faults(report_lost=1.0)
    assert_each_delivered_once(system, batch, numbers)


def test_a_request_that_never_arrived_goes_out_again(system: System) -> None:
    system.faults(reset_before=1.0)
    numbers = recipients(20)
    surface = system.surface()
    batch = system.batch(surface, numbers, validity_period="PT2M")
    wait_for(lambda: "sending" in system.get(f"/v1/batches/{batch}")["counts"], every=0.05)
    system.faults()
    assert_each_delivered_once(system, batch, numbers)


def test_killed_workers_are_started_again_and_nothing_is_lost_or_doubled(system: System) -> None:
    system.faults(answer_seconds=1.0)
    surface, numbers = system.surface(), recipients(400)
    batch = system.batch(surface, numbers, validity_period="PT2M")
    wait_for(lambda: submissions_of(system, surface))
    killed_and_back(system, "worker-transactional")
    assert submissions_of(system, surface) == [(400, None)]
    system.faults()
    assert_each_delivered_once(system, batch, numbers)


def test_restarted_redis_and_postgres_lose_nothing(system: System) -> None:
    surface = system.surface()
    numbers = recipients(300)
    batch = system.batch(surface, numbers, validity_period="PT2M")
    for name in ("redis", "postgres"):
        killed_and_back(system, name)
    wait_for(lambda: system.http.get("/readyz").status_code == 200, 30)
    assert_each_delivered_once(system, batch, numbers)
    more = recipients(50)
    assert_each_delivered_once(system, system.batch(surface, more), more)


def test_a_transactional_message_does_not_wait_behind_a_campaign(system: System) -> None:
    system.faults(answer_seconds=1.0)
    campaign = system.surface(message_type="marketing")
    otp = system.surface()
    waiting = system.batch(campaign, recipients(3000), validity_period="PT10M")
    sent = system.post("/v1/messages", single(otp, recipient()), 202)
    wait_for(lambda: system.get(f"/v1/messages/{sent['id']}")["state"] == "delivered", every=0.1)
    counts = system.get(f"/v1/batches/{waiting}")["counts"]
    assert counts.get("queued", 0) > 0
    system.faults()
    system.finished(waiting)


def test_a_wrong_key_holds_the_lane_and_a_new_key_opens_it(system: System) -> None:
    surface = system.surface()
    credential = surface.replace("surface", "account")
    system.http.patch(f"/v1/credentials/{credential}", json={"api_key": "revoked-key"}).raise_for_status()
    numbers = recipients(10)
    batch = system.batch(surface, numbers, validity_period="PT2M")

    def held() -> list[str]:
        lanes = system.get(f"/v1/credentials/{credential}")["lanes"]
        return [lane["reason"] for lane in lanes if lane["held_until"]]

    reasons = wait_for(held)
    assert "401" in reasons[0]
    assert system.get(f"/v1/batches/{batch}")["counts"] == {"queued": 10}
    assert {message["attempts"] for message in system.all("/v1/messages", batch=batch)} == {0}
    system.http.patch(f"/v1/credentials/{credential}", json={"api_key": "good-key"}).raise_for_status()
    assert held() == []
    assert_each_delivered_once(system, batch, numbers)
