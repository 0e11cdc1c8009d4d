"""Asking Infobip's logs, over HTTP: what is asked, in how many calls, and what their rows settle."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, select

from tests.factories import MadeLane, make_batch, make_lane
from tests.worker.steps import (
    accepted,
    answer,
    apply,
    attempt,
    batch_of,
    change,
    doubted,
    looks_due,
    report,
    sent,
    set_faults,
    state,
    states,
    took,
    wait_until_blocking,
)
from worker.infobip.client import Infobip
from worker.infobip.reports import Report
from worker.log_budget import LogBudget
from worker.look_plans import Look
from worker.lookups import Lookups
from worker.models import DeliveryReport, Message
from worker.replay import replay
from worker.replay_choice import ReplayOrder
from worker.reports import apply_reports
from worker.settings import Settings


def test_a_doubt_that_landed_is_settled_by_the_logs_and_nothing_goes_out_again(
    session: Session, sandbox_lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip)
    looks_due(session)
    assert lookups.look() == 1
    assert state(session, message_id) == "delivered"
    (report,) = session.exec(select(DeliveryReport)).all()
    assert (report.source, report.result, report.callback_data) == ("pull", "applied", "order-5512")
    assert accepted(sandbox) == [f"{message_id}-1"]


def test_a_report_that_was_not_pushed_is_found_in_the_logs(
    session: Session, sandbox_lane: MadeLane, infobip: Infobip, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900009004"])
    sent(session, sandbox_lane, infobip)
    assert lookups.look() == 0  # not before its time
    looks_due(session)
    assert lookups.look() == 1
    assert state(session, message_id) == "delivered"


def test_a_doubt_settled_as_pending_waits_for_its_first_report_look(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    fresh_settings: Settings,
) -> None:
    set_faults(sandbox, report_seconds=3600.0)
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"], validity=timedelta(hours=2))
    doubted(session, sandbox_lane, landed_at=infobip)
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "sent"
    query = "SELECT looks, extract(epoch FROM look_at - now()) FROM attempt"
    looks, seconds = session.execute(text(query)).one()
    assert looks == 0
    assert seconds <= fresh_settings.missing_report_after[0].total_seconds()


def log_calls(sandbox: str) -> list[str]:
    lines = httpx.get(sandbox + "/sandbox/requests?format=jsonl").text.splitlines()
    return [call["path"] for call in map(json.loads, lines) if call["path"].startswith("/sms/3/logs")]


def test_a_few_reports_missing_of_many_are_asked_for_by_name(
    session: Session, sandbox_lane: MadeLane, sandbox: str, infobip: Infobip, lookups: Lookups
) -> None:
    ids = make_batch(session, sandbox_lane, [f"9199000000{n:02d}" for n in range(90)])
    sent(session, sandbox_lane, infobip)
    change(session, "UPDATE submission SET message_count = 500")
    change(session, "UPDATE attempt SET look_at = NULL WHERE message_id <> ALL(:few)", few=ids[:3])
    looks_due(session)
    lookups.look()
    assert states(session, ids[:4]) == ["delivered"] * 3 + ["sent"]
    (call,) = log_calls(sandbox)
    assert all(f"{message_id}-1" in call for message_id in ids[:3])
    looks_due(session)
    change(session, "UPDATE attempt SET look_at = now() WHERE outcome = 'accepted'")
    lookups.look()
    assert "bulkId=" in log_calls(sandbox)[-1]  # these are most of it
    assert set(states(session, ids)) == {"delivered"}


def test_one_that_infobip_had_under_an_id_that_a_restore_has_forgotten_is_asked_for_by_name(
    session: Session, sandbox_lane: MadeLane, infobip: Infobip, lookups: Lookups
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    sent(session, sandbox_lane, infobip)
    change(session, "UPDATE submission SET bulk_ids = ARRAY[gen_random_uuid()]")
    change(session, "UPDATE attempt SET doubted_at = now()")  # it was refused as known when it went out again
    looks_due(session)
    lookups.look()
    assert state(session, message_id) == "delivered"


def test_a_budget_that_is_spent_postpones_without_counting_a_look(
    session: Session,
    sandbox_lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip)
    monkeypatch.setattr(budget, "take", lambda *_, **__: 60.0)
    looks_due(session)
    assert lookups.look() == 0
    looks, seconds = session.execute(text("SELECT looks, extract(epoch FROM look_at - now()) FROM attempt")).one()
    assert looks == 0
    assert seconds < 5


def test_a_429_from_the_logs_stops_the_calls_of_that_account(
    session: Session,
    sandbox_lane: MadeLane,
    sandbox: str,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip)
    set_faults(sandbox, too_many_requests=1.0, retry_after_seconds=7)
    told: list[float] = []
    monkeypatch.setattr(budget, "overdrawn", lambda _, seconds: told.append(seconds))
    looks_due(session)
    lookups.look()
    assert told == [7.0]


def test_logs_that_break_off_settle_what_they_told_and_nothing_else(
    session: Session,
    sandbox_lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    budget: LogBudget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = make_batch(session, sandbox_lane, [f"9199000000{n:02d}" for n in range(10)])
    doubted(session, sandbox_lane, landed_at=infobip)
    monkeypatch.setattr("worker.infobip.payloads.MOST_LOG_ROWS", 4)
    monkeypatch.setattr("worker.lookups.LONGEST_WAIT_SECONDS", 0.0)
    calls = iter([0.0, 0.0, 5.0])
    monkeypatch.setattr(budget, "take", lambda *_, **__: next(calls))
    looks_due(session)
    lookups.look()
    found = states(session, ids)
    assert (found.count("delivered"), found.count("sending")) == (8, 2)
    looks = session.execute(text("SELECT looks FROM attempt WHERE outcome = 'in doubt'")).scalars().all()
    assert looks == [0, 0]  # those two were not asked about
    monkeypatch.setattr(budget, "take", lambda *_, **__: 0.0)
    looks_due(session)
    lookups.look()
    assert states(session, ids) == ["delivered"] * 10


def test_a_look_about_one_attempt_says_nothing_of_the_next(
    session: Session, sandbox_lane: MadeLane, infobip: Infobip, lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900009010"])
    sent(session, sandbox_lane, infobip)
    looks_due(session)
    ask = Lookups._ask

    def ask_while_it_goes_on(self: Lookups, look: Look, rows: list[Report]) -> bool:
        """The attempt fails and the next one falls into doubt before the logs have answered."""
        session.execute(text("UPDATE attempt SET outcome = 'failed', look_at = NULL"))
        change(session, "UPDATE message SET state = 'retrying', next_attempt_at = now()")
        doubted(session, sandbox_lane, landed_at=infobip)
        return ask(self, look, rows)

    monkeypatch.setattr(Lookups, "_ask", ask_while_it_goes_on)
    lookups.look()
    second = attempt(session, message_id, 2)
    assert (second.outcome, second.looks) == ("in doubt", 0)


def test_a_look_and_a_webhook_about_one_chain_of_replays_do_not_deadlock(
    session: Session,
    sandbox_lane: MadeLane,
    engine: Engine,
    infobip: Infobip,
    lookups: Lookups,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look is about the last of three, the webhook about the one in the middle, in the middle of the look."""
    chain = make_batch(session, sandbox_lane, ["919900000001"])
    for _ in range(2):
        answer(session, took(session, sandbox_lane))
        apply(session, sandbox_lane, report(chain[-1], status=9, group=2, error=1))
        again = replay(session, ReplayOrder(batch_id=batch_of(session, chain[-1]).id))
        session.commit()
        chain += session.exec(select(Message.id).where(Message.batch_id == again.id)).all()
    doubted(session, sandbox_lane, landed_at=infobip)
    looks_due(session)
    with Session(engine) as webhook, ThreadPoolExecutor(1) as pool:
        pushes: list[Future[None]] = []

        def apply_with_a_push(own: Session, *found: Any) -> None:
            late = report(chain[1], done="12:09:00.000")
            pushes.append(pool.submit(apply, webhook, sandbox_lane, late))
            wait_until_blocking(own)
            apply_reports(own, *found)

        monkeypatch.setattr("worker.lookups.apply_reports", apply_with_a_push)
        assert lookups.look() == 1
        for push in pushes:
            push.result()
    assert states(session, chain) == ["failed", "delivered", "delivered"]


def test_a_look_that_the_database_breaks_off_for_a_deadlock_is_written_all_the_same(
    session: Session,
    sandbox_lane: MadeLane,
    infobip: Infobip,
    lookups: Lookups,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (message_id,) = make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane, landed_at=infobip)
    looks_due(session)
    broken_off = iter(["DO $$ BEGIN RAISE deadlock_detected; END $$"])

    def apply_at_second_go(own: Session, *found: Any) -> None:
        for statement in broken_off:
            own.execute(text(statement))
        apply_reports(own, *found)

    monkeypatch.setattr("worker.lookups.apply_reports", apply_at_second_go)
    assert lookups.look() == 1
    assert state(session, message_id) == "delivered"


def test_a_look_that_fails_is_said_without_the_row_that_the_database_quotes(
    session: Session,
    sandbox_lane: MadeLane,
    lookups: Lookups,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_batch(session, sandbox_lane, ["919900000001"])
    doubted(session, sandbox_lane)
    looks_due(session)

    def fail(*_: object, **__: object) -> bool:
        raise IntegrityError("INSERT", None, Exception("Key (recipient)=(919900000001) already exists"))

    monkeypatch.setattr(Lookups, "_settle", fail)
    assert lookups.look() == 0
    logged = "".join(capsys.readouterr())
    assert "look_failed" in logged
    assert "IntegrityError" in logged
    assert "919900000001" not in logged


def test_a_database_that_is_away_is_no_look_that_failed_and_the_next_look_is_made(
    session: Session,
    sandbox_lane: MadeLane,
    lookups: Lookups,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for lane in (sandbox_lane, make_lane(session, name="another")):
        make_batch(session, lane, ["919900000001"])
        doubted(session, lane)
    looks_due(session)
    settled: list[Look] = []

    def lose_the_connection_at_first(_: Lookups, look: Look, **__: object) -> bool:
        settled.append(look)
        if len(settled) == 1:
            raise OperationalError("SELECT", None, Exception("the connection is lost"))
        return True

    monkeypatch.setattr(Lookups, "_settle", lose_the_connection_at_first)
    assert lookups.look() == 1
    assert len(settled) == 2
    logged = "".join(capsys.readouterr())
    assert "database_away" in logged
    assert "look_failed" not in logged
