"""Inbound messages that are asked for: each is given once, so it is stored before anything else."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from celery import Celery
from prometheus_client import REGISTRY
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session
from structlog.testing import capture_logs

from cli.embedded_postgres import EmbeddedPostgres
from tests.factories import MadeLane, make_lane
from tests.processes import wait_for
from tests.worker.steps import change, set_faults
from worker import inbound
from worker.db import make_engine
from worker.errors import NotSent, OutcomeUncertain
from worker.infobip.account import SHARED_URL, Account
from worker.infobip.answers import InboxPage, read_inbox_page
from worker.infobip.client import Infobip
from worker.infobip.payloads import MOST_INBOX_MESSAGES
from worker.pulling import FIRST_WAIT_SECONDS, LONGEST_REFUSED_SECONDS, Pulls
from worker.secrets import encrypt
from worker.settings import Settings
from worker.sweeps import SWEEPS
from worker.words import Channel

ROOT = Path(__file__).parents[2]
OURS, BUDGET_SECONDS = "919200000009", 3.0


class Watched(Infobip):
    """Says which keys asked for these channels, and does what a test has happen before such an answer and after it."""

    page_size: int | None = None

    def __init__(self, request_timeout_seconds: float = 20.0) -> None:
        super().__init__(request_timeout_seconds)
        self.channels = {Channel.SMS}
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None

    def inbox(self, account: Account, channel: Channel, limit: int | None = None) -> InboxPage:
        if channel not in self.channels:
            return super().inbox(account, channel, self.page_size)
        self.asked.append(account.api_key)
        self.before()
        page = super().inbox(account, channel, self.page_size)
        self.after()
        return page


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def watched() -> Iterator[Watched]:
    with Watched() as infobip:
        yield infobip


@pytest.fixture(params=Channel)
def channel(request: pytest.FixtureRequest, watched: Watched) -> Channel:
    """Each in turn, as the one that is watched."""
    found = Channel(request.param)
    watched.channels = {found}
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nudged() -> list[tuple[UUID, str]]:
    """The lanes that were nudged, with their message types."""
    return []


@pytest.fixture
def impatient(database_url: str) -> Iterator[Engine]:
    """An engine that soon gives up on a lock."""
    engine = make_engine(database_url, lock_seconds=1)
    yield engine
    engine.dispose()


@pytest.fixture
def pulls(
    impatient: Engine,
    watched: Watched,
    fresh_settings: Settings,
    nudged: list[tuple[UUID, str]],
    clock: Clock,
) -> Pulls:
    """Without patience: a lease of no length."""
    hurried = fresh_settings.model_copy(update={"lease_seconds": 0.0})
    return Pulls(impatient, watched, hurried, lambda *lane: nudged.append(lane), clock)


@pytest.fixture
def pulling(session: Session, sandbox_lane: MadeLane) -> MadeLane:
    """A lane whose credential's inboxes are asked."""
    pull_with(session, sandbox_lane, "key-1")
    return sandbox_lane


def pull_with(session: Session, lane: MadeLane, key: str) -> None:
    sealed = {"key": encrypt(key), "id": lane.credential_id}
    change(session, "UPDATE credential SET inbound_pull = true, api_key = :key WHERE id = :id", **sealed)


def elsewhere(sandbox: str) -> str:
    """The host of another account. Both have the inboxes of the sandbox."""
    return sandbox.replace("127.0.0.1", "localhost")


def left_waiting(sandbox: str, *texts: str, sender: str = "919900000001", **fields: Any) -> None:
    """A handset writes to us, and the messages wait for the pull."""
    with httpx.Client(base_url=sandbox) as client:
        for words in texts:
            body = {"from": sender, "to": OURS, "text": words, **fields}
            client.post("/sandbox/inbound", json=body).raise_for_status()


def waiting(sandbox: str) -> int:
    """How many Infobip has not given away."""
    return int(httpx.get(sandbox + "/sandbox/summary").json()["inbound_waiting"])


def stored(session: Session) -> list[tuple[str, str | None]]:
    """Text and action of what is stored, in the order it was received."""
    session.rollback()
    rows = session.execute(text("SELECT text, action FROM inbound_message ORDER BY received_at, id"))
    return [(row.text, row.action) for row in rows]


def consents(session: Session) -> dict[str, str]:
    session.rollback()
    return {row.recipient: row.state for row in session.execute(text("SELECT recipient, state FROM consent"))}


def owners(session: Session) -> list[tuple[UUID, str | None]]:
    """The credentials of what is stored, and its actions, in the order it was received."""
    session.rollback()
    rows = session.execute(text("SELECT credential_id, action FROM inbound_message ORDER BY received_at, id"))
    return [(row.credential_id, row.action) for row in rows]


def lock(session: Session, table: str) -> None:
    """Nobody gets at the table until `session` rolls back."""
    session.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))


def test_what_waits_is_stored_settled_and_answered_and_its_lane_is_nudged(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, nudged: list[tuple[UUID, str]]
) -> None:
    left_waiting(sandbox, "START")
    left_waiting(sandbox, "stop", "HELP", sender="919900000002")
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("START", "opt_in"), ("stop", "opt_out"), ("HELP", "help")]
    assert consents(session) == {"919900000001": "opted_in", "919900000002": "opted_out"}
    replies = session.execute(text("SELECT lane_id, origin, sender, recipient FROM message ORDER BY id")).all()
    assert replies == [
        (pulling.id, "reply", OURS, to) for to in ("919900000001", "919900000002", "919900000002")
    ]  # fmt: skip
    assert nudged == [(pulling.id, "transactional")]


def test_a_pulled_mms_is_stored_with_its_media_and_answered_by_sms(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, nudged: list[tuple[UUID, str]]
) -> None:
    picture = {"content_type": "image/jpeg", "url": "https://media.example.org/1"}
    left_waiting(sandbox, "STOP", channel="mms", media=[picture])
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]
    ((channel, media),) = session.execute(text("SELECT channel, media FROM inbound_message")).all()
    assert (channel, media) == ("mms", [{"content_type": "image/jpeg", "value": picture["url"]}])
    assert consents(session) == {"919900000001": "opted_out"}
    ((lane_id, channel),) = session.execute(
        text("SELECT m.lane_id, l.channel FROM message m JOIN lane l ON l.id = lane_id")
    )
    assert (lane_id, channel) == (pulling.id, "sms")
    assert nudged == [(pulling.id, "transactional")]


def test_mms_that_fill_a_page_are_followed_by_the_next_page_at_once(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    """Infobip does not tell how many more wait."""
    watched.channels = {Channel.MMS}
    left_waiting(sandbox, *(f"word {n}" for n in range(2 * MOST_INBOX_MESSAGES[Channel.MMS] + 1)), channel="mms")
    pulls.pull(BUDGET_SECONDS)
    assert (waiting(sandbox), len(watched.asked)) == (0, 3)


def test_nothing_is_stored_twice(session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls) -> None:
    left_waiting(sandbox, "STOP", message_id="once")
    pulls.pull(BUDGET_SECONDS)
    left_waiting(sandbox, "STOP", message_id="once")
    pulls.pull(BUDGET_SECONDS)
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]
    assert session.execute(text("SELECT count(*) FROM consent_change")).scalar_one() == 1


def test_thousands_that_wait_are_fetched_by_two_workers_at_once_and_each_settled_once(
    session: Session,
    pulling: MadeLane,
    sandbox: str,
    engine: Engine,
    fresh_settings: Settings,
    nudged: list[tuple[UUID, str]],
) -> None:
    left_waiting(sandbox, *(f"word {n}" for n in range(2_499)), "STOP")

    def drain() -> None:
        with Infobip(request_timeout_seconds=20.0) as infobip:
            Pulls(engine, infobip, fresh_settings, lambda *lane: nudged.append(lane)).pull(BUDGET_SECONDS)

    while waiting(sandbox):
        workers = [threading.Thread(target=drain) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    while inbound.settle_stored(engine, fresh_settings):
        pass
    assert [words for words, _ in sorted(stored(session))] == sorted([*(f"word {n}" for n in range(2_499)), "STOP"])
    assert {action for _, action in stored(session)} == {"none", "opt_out"}
    assert session.execute(text("SELECT count(*) FROM consent_change")).scalar_one() == 1


def test_what_the_time_does_not_allow_is_fetched_by_the_next_tick(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    left_waiting(sandbox, "one", "two", "three")
    watched.page_size, watched.after = 1, lambda: clock.pass_by(BUDGET_SECONDS / 2)
    pulls.pull(BUDGET_SECONDS)
    assert (len(stored(session)), waiting(sandbox)) == (2, 1)
    pulls.pull(BUDGET_SECONDS)
    assert (len(stored(session)), waiting(sandbox)) == (3, 0)


def test_accounts_take_turns_page_by_page(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    pull_with(session, make_lane(session, name="other", base_url=elsewhere(sandbox)), "key-2")
    left_waiting(sandbox, "one", "two", "three", "four")
    watched.page_size = 1
    pulls.pull(BUDGET_SECONDS)
    assert len(stored(session)) == 4
    assert {*watched.asked[:2]} == {*watched.asked[2:4]} == {"key-1", "key-2"}


def test_only_credentials_that_pull_are_asked_and_no_deleted_one(
    session: Session, sandbox_lane: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    deleted = make_lane(session, name="deleted", base_url=elsewhere(sandbox))
    pull_with(session, deleted, "key-2")
    change(session, "UPDATE credential SET deleted_at = now() WHERE id = :id", id=deleted.credential_id)
    left_waiting(sandbox, "STOP")
    pulls.pull(BUDGET_SECONDS)
    assert (watched.asked, waiting(sandbox)) == ([], 1)


# An account's inbox, whichever credentials pull from it


@pytest.mark.parametrize(
    ("numbers", "recipient", "owner", "action"),
    [
        (["919200000001", "919200000002"], "919200000001", 0, "opt_out"),
        (["919200000001", "919200000002"], "919200000002", 1, "opt_out"),
        (["+919200000001", "00919200000002"], "919200000002", 1, "opt_out"),
        (["919200000001", "56767"], "56767", 1, "opt_out"),
        (["919200000001", None], "919200000001", 0, "opt_out"),
        (["919200000001", None], "919200000003", 1, "opt_out"),
        ([None, "919200000002"], "919200000002", 1, "opt_out"),
        ([None, "919200000002"], "919200000003", 0, "opt_out"),
        (["919200000001", "919200000002"], "919200000003", 1, "other_number"),
        (["919200000001", "919200000001"], "919200000001", 1, "opt_out"),
        ([None, None], "919200000001", 1, "opt_out"),
    ],
)
def test_a_message_goes_to_the_credential_of_the_number_that_it_was_written_to(
    session: Session,
    pulling: MadeLane,
    sandbox: str,
    pulls: Pulls,
    watched: Watched,
    nudged: list[tuple[UUID, str]],
    numbers: list[str | None],
    recipient: str,
    owner: int,
    action: str,
) -> None:
    lanes = [pulling, make_lane(session, name="second", base_url=sandbox)]
    pull_with(session, lanes[1], "key-2")
    for lane, number in zip(lanes, numbers, strict=True):
        change(
            session,
            "UPDATE credential SET inbound_number = :number WHERE id = :id",
            number=number,
            id=lane.credential_id,
        )
    left_waiting(sandbox, "STOP", to=recipient)
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["key-2"]
    assert owners(session) == [(lanes[owner].credential_id, action)]
    assert nudged == [(lanes[owner].id, "transactional")]


@pytest.mark.parametrize(("second_key", "asked"), [("key-1", ["key-1"]), ("key-2", ["key-2", "key-1"])])
def test_on_the_shared_host_a_key_stands_for_an_account(
    session: Session, pulls: Pulls, watched: Watched, second_key: str, asked: list[str]
) -> None:
    for name, key in {"first": "key-1", "second": second_key}.items():
        pull_with(session, make_lane(session, name=name, base_url=SHARED_URL), key)

    def no_network() -> None:
        raise NotSent("no connection to Infobip")

    watched.channels, watched.before = {*Channel}, no_network
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == [key for key in asked for _ in Channel]


def test_where_a_key_is_refused_the_accounts_next_one_is_tried_at_once(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    pull_with(session, pulling, "key-2")
    newer = make_lane(session, name="second", base_url=sandbox)
    pull_with(session, newer, "revoked-key")
    left_waiting(sandbox, "STOP")
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["revoked-key", "key-2"]
    assert owners(session) == [(newer.credential_id, "opt_out")]
    watched.asked.clear()
    for _ in range(2):
        clock.pass_by(FIRST_WAIT_SECONDS / 2)
        pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["key-2", "revoked-key", "key-2"]


def test_the_next_key_is_not_tried_when_the_time_is_up(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    pull_with(session, pulling, "key-2")
    pull_with(session, make_lane(session, name="second", base_url=sandbox), "revoked-key")
    watched.before = lambda: clock.pass_by(BUDGET_SECONDS)
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["revoked-key"]
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["revoked-key", "key-2"]


def test_a_credential_whose_key_cannot_be_decrypted_gets_what_another_one_of_its_account_pulls(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    pull_with(session, make_lane(session, name="second", base_url=sandbox), "key-2")
    change(
        session,
        "UPDATE credential SET api_key = 'x', inbound_number = :number WHERE id = :id",
        number=OURS,
        id=pulling.credential_id,
    )
    left_waiting(sandbox, "STOP")
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["key-2"]
    assert owners(session) == [(pulling.credential_id, "opt_out")]


# The database, between Infobip's answer and the commit


def test_a_page_outlives_a_database_that_goes_away_before_its_commit_and_nothing_is_asked_for_meanwhile(
    session: Session,
    pulling: MadeLane,
    sandbox: str,
    pulls: Pulls,
    watched: Watched,
    postgres: EmbeddedPostgres,
    channel: Channel,
) -> None:
    left_waiting(sandbox, "STOP", channel=channel)
    watched.after = postgres.stop
    try:
        for _ in range(2):
            with pytest.raises(OperationalError):
                pulls.pull(BUDGET_SECONDS)
    finally:
        postgres.start()
    watched.after = lambda: None
    assert (watched.asked, waiting(sandbox)) == (["key-1"], 0)
    session.invalidate()
    assert stored(session) == []
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]


def test_a_page_that_is_not_stored_is_said_and_goes_before_anything_new(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, channel: Channel
) -> None:
    left_waiting(sandbox, "one", channel=channel)
    watched.after = lambda: lock(session, "inbound_message")
    with capture_logs() as logs, pytest.raises(OperationalError):
        pulls.pull(BUDGET_SECONDS)
    assert [(line["event"], line["messages"]) for line in logs] == [("inbound_in_memory", 1)]
    with pytest.raises(OperationalError):
        pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["key-1"]
    seen: list[list[tuple[str, str | None]]] = []
    watched.before, watched.after = lambda: seen.append(stored(session)), lambda: None
    session.rollback()
    pulls.pull(BUDGET_SECONDS)
    assert seen == [[("one", "none")]]


def test_while_a_page_of_one_channel_is_not_stored_what_waits_in_the_other_stays_at_infobip(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    left_waiting(sandbox, "one")
    left_waiting(sandbox, "two", channel="mms")
    watched.after = lambda: lock(session, "inbound_message")
    for _ in range(2):
        with pytest.raises(OperationalError):
            pulls.pull(BUDGET_SECONDS)
    assert waiting(sandbox) == 1
    session.rollback()
    watched.after = lambda: None
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("one", "none"), ("two", "none")]


def test_a_database_that_takes_it_a_moment_later_is_waited_for(
    session: Session, pulling: MadeLane, sandbox: str, impatient: Engine, watched: Watched, fresh_settings: Settings
) -> None:
    left_waiting(sandbox, "STOP")
    watched.after = lambda: lock(session, "inbound_message")
    event.listen(impatient, "handle_error", lambda _: session.rollback())
    Pulls(impatient, watched, fresh_settings, lambda *_: None).pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]


def test_a_worker_that_stops_stores_what_it_has_in_memory(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, channel: Channel
) -> None:
    left_waiting(sandbox, "STOP", channel=channel)
    watched.after = lambda: lock(session, "inbound_message")
    with pytest.raises(OperationalError):
        pulls.pull(BUDGET_SECONDS)
    session.rollback()
    pulls.stop()
    assert stored(session) == [("STOP", None)]


def test_a_real_worker_stores_it_when_it_is_asked_to_stop(
    session: Session, pulling: MadeLane, sandbox: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    servers = {"DELIVERY_DATABASE_URL": database_url, "DELIVERY_REDIS_URL": redis_url, "DELIVERY_METRICS_PORT": "0"}
    argv = [sys.executable, "-m", "cli.main", "worker", "--queues", "upkeep", "--processes", "1"]
    left_waiting(sandbox, "STOP")
    change(session, "ALTER TABLE inbound_message RENAME TO elsewhere")
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, **servers}, stderr=log)
    try:
        with Celery("ticks", broker=redis_url, set_as_current=False) as ticks:
            ticks.send_task("worker.tasks.pull", queue="upkeep")
        wait_for(lambda: b"inbound_in_memory" in (tmp_path / "log").read_bytes(), 30)
        change(session, "ALTER TABLE elsewhere RENAME TO inbound_message")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
        change(session, "ALTER TABLE IF EXISTS elsewhere RENAME TO inbound_message")
    assert stored(session) == [("STOP", None)]


def test_what_a_stopping_worker_cannot_store_is_counted_and_not_shown(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    left_waiting(sandbox, "my secret", "STOP")
    watched.after = lambda: lock(session, "inbound_message")
    with pytest.raises(OperationalError):
        pulls.pull(BUDGET_SECONDS)
    with capture_logs() as logs:
        pulls.stop()
    session.rollback()
    (line,) = logs
    assert (line["event"], line["messages"]) == ("inbound_lost", 2)
    assert "919900000001" not in str(line)
    assert "secret" not in str(line)


def test_what_is_stored_and_not_settled_is_settled_by_the_sweep(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, impatient: Engine
) -> None:
    left_waiting(sandbox, "STOP")
    watched.after = lambda: lock(session, "consent")
    with pytest.raises(OperationalError):
        pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", None)]  # which also frees the table
    (sweep,) = [sweep for sweep in SWEEPS if sweep.name == "settle_inbound"]
    assert sweep.step(impatient, pulls._settings) == 1
    assert stored(session) == [("STOP", "opt_out")]
    assert consents(session) == {"919900000001": "opted_out"}


def test_a_message_that_the_database_refuses_is_kept_for_a_person_and_its_neighbours_are_stored(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls
) -> None:
    change(session, "ALTER TABLE inbound_message ADD CONSTRAINT no_poison CHECK (text <> 'poison')")
    try:
        left_waiting(sandbox, "one", "poison", "STOP")
        pulls.pull(BUDGET_SECONDS)
        assert stored(session) == [("one", "none"), ("STOP", "opt_out")]
        ((reason, body),) = session.execute(text("SELECT reason, body FROM unmatched_report")).all()
        assert reason == "inbound: the database refused it"
        assert (body["sender"], body["text"]) == ("919900000001", "poison")
    finally:
        session.rollback()
        change(session, "ALTER TABLE inbound_message DROP CONSTRAINT no_poison")


def test_an_entry_that_nobody_can_use_is_kept_for_a_person_and_its_neighbours_are_stored(
    session: Session, pulling: MadeLane, pulls: Pulls, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"messageId": "m-1", "from": "919900000001", "to": OURS, "text": "STOP"}
    page = read_inbox_page(orjson.dumps({"results": [17, good, {"text": "from nobody"}], "pendingMessageCount": 0}))
    monkeypatch.setattr(watched, "inbox", lambda _, channel: page if channel is Channel.SMS else InboxPage([], 0))
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]
    assert session.execute(text("SELECT body FROM unmatched_report ORDER BY id")).scalars().all() == [
        17,
        {"text": "from nobody"},
    ]


# Infobip's trouble


@pytest.mark.parametrize(
    ("key", "detail"), [("revoked-key", "HTTP 401"), ("unscoped-key", "HTTP 403")], ids=["revoked", "unscoped"]
)
def test_a_refused_key_waits_longer_each_time_holds_no_lane_and_stops_no_other(
    session: Session,
    pulling: MadeLane,
    sandbox: str,
    pulls: Pulls,
    watched: Watched,
    clock: Clock,
    key: str,
    detail: str,
) -> None:
    pull_with(session, make_lane(session, name="refused", base_url=elsewhere(sandbox)), key)
    left_waiting(sandbox, "STOP")
    with capture_logs() as logs:
        for _ in range(60):
            pulls.pull(BUDGET_SECONDS)
            clock.pass_by(5.0)
    assert stored(session) == [("STOP", "opt_out")]
    assert watched.asked.count("key-1") == 60
    assert watched.asked.count(key) == 7  # after 0, 10, 30, 70, 130, 190 and 250 s
    assert logs
    for line in logs:
        assert (line["event"], line["code"]) == ("inbox_unreachable", "credential_refused")
        assert line["detail"].startswith(f"{detail}; sends are not held")
        assert key not in str(line)
    assert session.execute(text("SELECT count(*) FROM lane WHERE kind IS NOT NULL")).scalar_one() == 0


def test_a_changed_key_is_tried_at_once(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched
) -> None:
    pull_with(session, pulling, "revoked-key")
    left_waiting(sandbox, "STOP")
    pulls.pull(BUDGET_SECONDS)
    pull_with(session, pulling, "key-1")
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["revoked-key"]
    change(session, "UPDATE credential SET version = version + 1")
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["revoked-key", "key-1"]
    assert stored(session) == [("STOP", "opt_out")]


def test_a_429_is_waited_for_by_all_of_the_account_as_long_as_it_asks(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    pull_with(session, make_lane(session, name="second", base_url=sandbox), "key-2")
    left_waiting(sandbox, "STOP")
    set_faults(sandbox, too_many_requests=1.0, retry_after_seconds=90)
    pulls.pull(BUDGET_SECONDS)
    set_faults(sandbox)
    clock.pass_by(89.0)
    pulls.pull(BUDGET_SECONDS)
    assert (len(watched.asked), stored(session)) == (1, [])
    clock.pass_by(1.0)
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]


def test_a_key_that_cannot_be_decrypted_is_said_and_stops_no_other(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls
) -> None:
    unreadable = make_lane(session, name="unreadable", base_url=elsewhere(sandbox))
    change(
        session, "UPDATE credential SET inbound_pull = true, api_key = 'x' WHERE id = :id", id=unreadable.credential_id
    )
    left_waiting(sandbox, "STOP")
    with capture_logs() as logs:
        pulls.pull(BUDGET_SECONDS)
    assert [(line["event"], line["credential_id"], line["channel"]) for line in logs] == [
        ("inbox_unreachable", str(unreadable.credential_id), channel) for channel in Channel
    ]
    assert stored(session) == [("STOP", "opt_out")]


def test_one_that_failed_is_asked_after_those_that_answer(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    pull_with(session, make_lane(session, name="refused", base_url=elsewhere(sandbox)), "revoked-key")
    pulls.pull(BUDGET_SECONDS)
    watched.asked.clear()
    clock.pass_by(FIRST_WAIT_SECONDS)
    watched.before = lambda: clock.pass_by(20.0)  # as long as silence takes
    pulls.pull(BUDGET_SECONDS)
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["key-1", "key-1"]


def test_a_silent_account_has_one_turn_for_both_its_inboxes(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock
) -> None:
    """Else the others would wait for it twice."""
    pull_with(session, make_lane(session, name="silent", base_url=elsewhere(sandbox)), "silent-key")

    def keep_silent() -> None:
        if watched.asked[-1] == "silent-key":
            clock.pass_by(20.0)
            raise OutcomeUncertain("no answer from Infobip within the deadline")

    watched.channels, watched.before = {*Channel}, keep_silent
    pulls.pull(BUDGET_SECONDS)
    pulls.pull(BUDGET_SECONDS)
    assert watched.asked == ["silent-key", "key-1", "key-1", "silent-key"]


@pytest.mark.parametrize("is_refused", [True, False], ids=["key refused", "account in trouble"])
def test_after_a_page_the_next_failure_is_a_first_one(
    session: Session, pulling: MadeLane, sandbox: str, pulls: Pulls, watched: Watched, clock: Clock, is_refused: bool
) -> None:
    for is_failing in (True, False, True, False):
        if is_refused:
            pull_with(session, pulling, "revoked-key" if is_failing else "key-1")
        else:
            set_faults(sandbox, server_error=1.0 if is_failing else 0.0)
        pulls.pull(BUDGET_SECONDS)
        clock.pass_by(FIRST_WAIT_SECONDS)
    assert len(watched.asked) == 4


def test_what_was_in_an_answer_that_never_came_is_lost_and_said(
    session: Session,
    pulling: MadeLane,
    sandbox: str,
    pulls: Pulls,
    engine: Engine,
    fresh_settings: Settings,
) -> None:
    left_waiting(sandbox, "STOP")
    set_faults(sandbox, timeout_after=1.0)
    with capture_logs() as logs, Watched(request_timeout_seconds=0.5) as hasty:
        Pulls(engine, hasty, fresh_settings, lambda *_: None).pull(BUDGET_SECONDS)
    set_faults(sandbox)
    pulls.pull(BUDGET_SECONDS)
    assert [(line["event"], line["channel"], line["code"]) for line in logs] == [
        ("inbox_unreachable", channel, "unknown_fate") for channel in Channel
    ]
    assert (waiting(sandbox), stored(session)) == (0, [])


PAGE_FOR_PEOPLE = b"<html>The service is being moved</html>"
EMPTY_PAGE = b'{"results": []}'


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Stranger)
        status, page = self.server.answers[Channel(self.path.split("/")[1])]
        self.send_response(status)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


class Stranger(ThreadingHTTPServer):
    """Answers each inbox as it is told; until then, whatever it is asked, with a page for people."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = dict.fromkeys(Channel, (200, PAGE_FOR_PEOPLE))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def unreadable_pages() -> float:
    return REGISTRY.get_sample_value("delivery_inbound_pulls_total", {"outcome": "unreadable"}) or 0.0


def test_an_answer_that_is_no_page_is_kept_for_a_person_and_its_inbox_waits_longer_each_time(
    session: Session,
    pulling: MadeLane,
    pulls: Pulls,
    watched: Watched,
    clock: Clock,
    stranger: Stranger,
    channel: Channel,
) -> None:
    stranger.answers = dict.fromkeys(Channel, (200, EMPTY_PAGE)) | {channel: (200, PAGE_FOR_PEOPLE)}
    for name, key in {"behind": "key-2", "too": "key-3"}.items():
        pull_with(session, make_lane(session, name=name, base_url=stranger.base_url), key)
    counted = unreadable_pages()
    with capture_logs() as logs:
        for _ in range(60):
            pulls.pull(BUDGET_SECONDS)
            clock.pass_by(5.0)
    assert {key: watched.asked.count(key) for key in watched.asked} == {"key-1": 60, "key-3": 7}
    assert unreadable_pages() - counted == 7
    assert [(line["event"], line["channel"]) for line in logs] == [("inbox_unreadable", channel)] * 7
    session.rollback()
    kept = session.execute(text("SELECT DISTINCT reason, body, count(*) OVER () FROM unmatched_report")).all()
    assert kept == [("inbound: unreadable page", PAGE_FOR_PEOPLE.decode(), 7)]


# Two inboxes of an account, of which one is in trouble


def page_of_one(channel: Channel) -> bytes:
    content = {Channel.SMS: {"text": "STOP"}, Channel.MMS: {"message": [{"value": "STOP"}]}}
    return orjson.dumps({"results": [{"messageId": "m-1", "from": "919900000001", "to": OURS, **content[channel]}]})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_trouble_with_one_inbox_stops_neither_the_other_nor_any_lane(
    session: Session, pulls: Pulls, watched: Watched, clock: Clock, stranger: Stranger, channel: Channel, status: int
) -> None:
    (other,) = {*Channel} - {channel}
    pull_with(session, make_lane(session, name="one", base_url=stranger.base_url), "key-1")
    stranger.answers = {channel: (status, b"{}"), other: (200, EMPTY_PAGE)}
    watched.channels = {other}
    for _ in range(20):
        pulls.pull(BUDGET_SECONDS)
        clock.pass_by(5.0)
    assert len(watched.asked) == 20
    stranger.answers[other] = (200, page_of_one(other))
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]
    assert session.execute(text("SELECT count(*) FROM lane WHERE kind IS NOT NULL")).scalar_one() == 0


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_without_mms_is_asked_with_ever_less_often_down_to_once_an_hour(
    session: Session, pulls: Pulls, watched: Watched, clock: Clock, stranger: Stranger, status: int
) -> None:
    pull_with(session, make_lane(session, name="one", base_url=stranger.base_url), "key-1")
    stranger.answers = {Channel.SMS: (200, EMPTY_PAGE), Channel.MMS: (status, b"{}")}
    asked_at: list[float] = []
    watched.channels, watched.before = {Channel.MMS}, lambda: asked_at.append(clock())
    for _ in range(40):
        pulls.pull(BUDGET_SECONDS)
        clock.pass_by(300.0)
    pauses = [later - sooner for sooner, later in pairwise(asked_at)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 300.0  # the first tick after the first pause
    assert pauses[-1] == LONGEST_REFUSED_SECONDS[Channel.MMS]


def test_a_key_that_gets_the_scope_of_mms_is_noticed(
    session: Session, pulls: Pulls, watched: Watched, clock: Clock, stranger: Stranger
) -> None:
    pull_with(session, make_lane(session, name="one", base_url=stranger.base_url), "key-1")
    stranger.answers = {Channel.SMS: (200, EMPTY_PAGE), Channel.MMS: (403, b"{}")}
    for _ in range(20):
        pulls.pull(BUDGET_SECONDS)
        clock.pass_by(LONGEST_REFUSED_SECONDS[Channel.MMS])
    stranger.answers[Channel.MMS] = (200, page_of_one(Channel.MMS))
    pulls.pull(BUDGET_SECONDS)
    assert stored(session) == [("STOP", "opt_out")]
    stranger.answers[Channel.MMS] = (200, EMPTY_PAGE)
    watched.channels = {Channel.MMS}
    watched.asked.clear()
    for _ in range(3):
        pulls.pull(BUDGET_SECONDS)
    assert len(watched.asked) == 3
