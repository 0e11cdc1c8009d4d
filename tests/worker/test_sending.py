"""The send loop against the real sandbox: what is late stays behind alone, holds are probed, nudges are few."""

import time
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import redis
from sqlalchemy import text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, route_of
from tests.processes import wait_for
from worker import holds, nudges, queued
from worker.claims import claim
from worker.lookups import Lookups
from worker.models import Attempt, Lane, Message, Submission
from worker.rates import Grant
from worker.sending import Dispatcher
from worker.settings import Settings, settings


@pytest.fixture
def lane(sandbox_lane: MadeLane) -> MadeLane:
    return sandbox_lane


def states(session: Session, ids: list[UUID]) -> list[str]:
    session.expire_all()
    return [session.get_one(Message, message_id).state for message_id in ids]


def test_everything_due_is_sent(session: Session, lane: MadeLane, dispatcher: Dispatcher) -> None:
    ids = make_batch(session, lane, [f"9199{n:08d}" for n in range(1200)])
    dispatcher.deliver(lane.id, 20)
    assert states(session, ids) == ["sent"] * 1200
    assert [row.message_count for row in session.exec(select(Submission).order_by(Submission.id))] == [500, 500, 200]  # type: ignore[arg-type]


def test_a_message_with_less_than_a_second_left_stays_behind_alone(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, fresh_settings: Settings
) -> None:
    late, well = make_batch(session, lane, ["919900000001", "919900000002"])
    session.execute(text("UPDATE message SET expires_at = now() + interval '4 seconds' WHERE id = :id"), {"id": late})
    session.commit()
    submission = claim(session, route_of(session, lane), 10, 60, time.monotonic())
    session.commit()
    assert submission is not None
    time.sleep(3.2)
    dispatcher.send(submission)
    assert states(session, [late, well]) == ["queued", "sent"]
    assert session.get_one(Attempt, (late, 1)).outcome == "released"


def test_a_backlog_near_its_end_still_goes_out(session: Session, lane: MadeLane, dispatcher: Dispatcher) -> None:
    ids = make_batch(session, lane, [f"9199{n:08d}" for n in range(3000)])
    session.execute(
        text(
            "UPDATE message SET expires_at = now() + interval '1 second' + n * interval '10 milliseconds' "
            "FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM message) AS numbered "
            "WHERE numbered.id = message.id"
        )
    )
    session.commit()
    dispatcher.deliver(lane.id, 4)
    # At each claim the first one has a second left, and by the time of its request less: it alone stays behind.
    assert states(session, ids).count("sent") > 300


def test_a_short_validity_does_not_cut_off_the_answer_to_its_neighbours(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    httpx.put(sandbox + "/sandbox/faults", json={"answer_seconds": 4.0}).raise_for_status()
    short, well = make_batch(session, lane, ["919900000001", "919900000002"])
    session.execute(
        text("UPDATE message SET expires_at = now() + interval '3.5 seconds' WHERE id = :id"), {"id": short}
    )
    session.commit()
    dispatcher.deliver(lane.id, 1)
    assert states(session, [short, well]) == ["sent", "sent"]


def test_a_submission_past_half_its_lease_is_released_unsent(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    ids = make_batch(session, lane, ["919900000001"])
    submission = claim(session, route_of(session, lane), 10, 60, time.monotonic() - 31)
    session.commit()
    assert submission is not None
    dispatcher.send(submission)
    assert states(session, ids) == ["queued"]
    assert session.get_one(Submission, submission.id).outcome == "unsent"
    assert httpx.get(sandbox + "/sandbox/summary").json()["accepted"] == 0


def test_a_held_lane_with_nothing_but_doubts_is_probed_by_one_of_them(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, sandbox: str, lookups: Lookups
) -> None:
    httpx.put(sandbox + "/sandbox/faults", json={"reset_before": 1.0}).raise_for_status()
    ids = []
    for n in range(holds.FAULTS_IN_A_ROW):
        ids += make_batch(session, lane, [f"91990000000{n}"])
        dispatcher.deliver(lane.id, 1)
    assert states(session, ids) == ["sending"] * holds.FAULTS_IN_A_ROW
    assert session.get_one(Lane, lane.id).kind == "fault"
    httpx.put(sandbox + "/sandbox/faults", json={}).raise_for_status()
    for _ in range(6):
        session.execute(text("UPDATE attempt SET look_at = now() WHERE look_at IS NOT NULL AND outcome = 'in doubt'"))
        session.execute(text("UPDATE lane SET probe_at = now() WHERE kind IS NOT NULL"))
        session.commit()
        lookups.look()
        dispatcher.deliver(lane.id, 1)
    assert states(session, ids) == ["sent"] * holds.FAULTS_IN_A_ROW
    assert session.get_one(Lane, lane.id).kind is None
    assert httpx.get(sandbox + "/sandbox/summary").json()["most_acceptances_of_one_recipient"] == 1


def test_the_pause_that_infobip_asks_for_is_kept(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, sandbox: str
) -> None:
    pause = {"too_many_requests": 1.0, "retry_after_seconds": 40}
    httpx.put(sandbox + "/sandbox/faults", json=pause).raise_for_status()
    under_way = make_batch(session, lane, ["919900000001"])
    submission = claim(session, route_of(session, lane), 1, 60, time.monotonic())
    session.commit()
    assert submission is not None
    waiting = make_batch(session, lane, ["919900000002"])
    dispatcher.deliver(lane.id, 1)
    session.execute(text("UPDATE lane SET probe_at = now()"))
    session.commit()
    dispatcher.deliver(lane.id, 1)  # the probe is asked to wait too
    httpx.put(sandbox + "/sandbox/faults", json={}).raise_for_status()
    dispatcher.send(submission)  # an answer to an earlier request
    assert states(session, under_way + waiting) == ["sent", "queued"]
    left = session.execute(text("SELECT extract(epoch FROM probe_at - now()) FROM lane WHERE kind = 'fault'"))
    assert left.scalar_one() > 30


def test_a_probe_that_finds_nothing_to_send_is_not_spent(
    session: Session, lane: MadeLane, dispatcher: Dispatcher
) -> None:
    make_batch(session, lane, ["919900000001"])
    session.execute(text("UPDATE batch SET paused_at = now()"))
    session.execute(text("UPDATE lane SET kind = 'account', probe_at = now()"))
    session.commit()
    for _ in range(3):
        dispatcher.deliver(lane.id, 1)
    session.expire_all()
    assert session.get_one(Lane, lane.id).probes == 0
    session.execute(text("UPDATE batch SET paused_at = NULL"))
    session.commit()
    dispatcher.deliver(lane.id, 1)
    session.expire_all()
    assert session.get_one(Lane, lane.id).kind is None


def test_a_lane_without_tokens_is_left_to_a_nudge_and_keeps_nobody_waiting(
    session: Session, lane: MadeLane, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[tuple[UUID, str, float]] = []
    monkeypatch.setattr(dispatcher, "_nudge", lambda *nudge: nudged.append(nudge))
    monkeypatch.setattr(dispatcher, "_take_tokens", lambda _: Grant(0, 0.7))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a worker slept for tokens"))
    make_batch(session, lane, ["919900000001"])
    dispatcher.deliver(lane.id, 20)
    assert nudged == [(lane.id, "transactional", 0.7)]


def test_a_nudge_leaves_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[UUID] = []
    monkeypatch.setattr(nudges, "send_nudge", lambda lane_id, _: sent.append(lane_id))
    late, soon = uuid4(), uuid4()
    nudger = nudges.Nudger()
    nudger.nudge(late, "marketing", 60.0)
    nudger.nudge(soon, "marketing", 0.2)
    assert sent == []
    wait_for(lambda: sent == [soon])
    nudger.nudge(late, "marketing")  # the earlier one counts
    wait_for(lambda: sent == [soon, late])
    nudger.stop()


def test_one_tick_of_a_kind_is_queued_until_it_has_arrived(
    lane: MadeLane, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr(queued, "redis_client", lambda: client)
        assert queued.reserve("sweep")
        assert not queued.reserve("sweep")
        assert queued.reserve("purge")
        queued.arrived("sweep")
        assert queued.reserve("sweep")
        queued.arrived("sweep")
        with queued.alone("sweep", 60):
            assert not queued.reserve("sweep")
        assert queued.reserve("sweep")


def test_a_lane_has_few_nudges_queued_at_once(lane: MadeLane, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setenv("DELIVERY_REDIS_URL", redis_url)
    settings.cache_clear()
    with redis.Redis.from_url(redis_url) as client:
        monkeypatch.setattr(queued, "redis_client", lambda: client)
        from worker.app import celery_app

        monkeypatch.setattr(celery_app, "send_task", lambda *args, **options: sent.append(args))
        for _ in range(100):
            nudges.send_nudge(lane.id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED
        queued.arrived(str(lane.id))
        nudges.send_nudge(lane.id, "marketing")
        assert len(sent) == nudges.MOST_QUEUED + 1


def test_late_delivery_by_an_earlier_attempt_ends_the_looks_of_the_current_one(
    session: Session, lane: MadeLane, dispatcher: Dispatcher
) -> None:
    from tests.worker.test_delivery import apply, report

    (message_id,) = make_batch(session, lane, ["919900000001"], validity=timedelta(hours=2))
    dispatcher.deliver(lane.id, 1)
    apply(session, lane, report(message_id, status=9, group=2, error=27))
    session.execute(text("UPDATE message SET next_attempt_at = now()"))
    session.commit()
    dispatcher.deliver(lane.id, 1)
    assert session.get_one(Attempt, (message_id, 2)).look_at is not None
    apply(session, lane, report(message_id, attempt=1, done="12:00:09.000"))
    session.expire_all()
    assert states(session, [message_id]) == ["delivered"]
    assert session.get_one(Attempt, (message_id, 2)).look_at is None
