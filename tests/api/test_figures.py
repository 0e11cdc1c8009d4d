"""The database's figures at `GET /metrics`: one question however many ask, and a gap where it is not answered."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text
from sqlmodel import Session

from api import figures
from api.app import create_app
from tests.api.conftest import Make
from worker import metrics
from worker.figures import Figures, read_figures
from worker.metrics import FromDatabase
from worker.tally import Changes

TOLD = {
    "event": "INSERT INTO event (type, subject_id, at) VALUES ('lane.held', gen_random_uuid(), now() - interval '1 h')",
    "report": """INSERT INTO delivery_report (message_id, id, attempt, source, result, received_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'push', 'noted', now() - interval '1 h')""",
}


def samples(answer: httpx.Response, name: str) -> dict[tuple[str, ...], float]:
    """By the values of the labels, in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name
    }


def lag(answer: httpx.Response) -> float | None:
    """None: a gap."""
    return samples(answer, "delivery_feed_lag_seconds").get(())


def missed(answer: httpx.Response) -> float:
    return samples(answer, "delivery_database_figures_missed_total")[()]


@pytest.fixture
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scrape asks the database."""
    monkeypatch.setattr(figures, "FRESH_SECONDS", 0)


@contextmanager
def hanging(engine: Engine) -> Iterator[None]:
    """All connections to the database that are open, but for this one's own, take questions and answer none."""
    query = """SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'"""
    with engine.connect() as connection:
        backends = list(connection.execute(text(query)).scalars())
    assert backends
    try:
        for backend in backends:
            os.kill(backend, signal.SIGSTOP)
        yield
    finally:
        for backend in backends:
            os.kill(backend, signal.SIGCONT)


def test_a_scrape_needs_no_thread_of_those_that_requests_may_have_all(environment: pytest.MonkeyPatch) -> None:
    app = create_app()

    async def ask() -> httpx.Response:
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = 1
        await threads.acquire_on_behalf_of("a request that hangs")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            with anyio.fail_after(30):
                return await client.get("/metrics")

    assert lag(asyncio.run(ask())) == 0
    app.state.engine.dispose()


@pytest.mark.parametrize("told", TOLD)
def test_lag_of_the_feeds_is_how_long_the_oldest_has_waited_that_a_long_write_holds_back(
    api: httpx.Client, engine: Engine, told: str, always_anew: None
) -> None:
    with engine.begin() as connection:
        connection.execute(text(TOLD[told]))  # what can be read does not wait, however old
    assert lag(api.get("/metrics")) == 0
    with engine.connect() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        assert lag(api.get("/metrics")) == 0
        with engine.begin() as connection:
            connection.execute(text(TOLD[told]))
        assert lag(api.get("/metrics")) >= 3_600
        slow.rollback()
    assert lag(api.get("/metrics")) == 0


def test_every_figure_of_the_database_is_told_as_it_is_named(
    api: httpx.Client, make_surface: Make, always_anew: None
) -> None:
    make_surface()
    answer = api.get("/metrics")
    ours = {found.name: found for found in vars(metrics).values() if isinstance(found, FromDatabase)}
    told = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name in ours
    }
    labelled = {name: set(found.label_names) for name, found in ours.items()}
    assert told == {name: names for name, names in labelled.items() if "reason" not in names}  # nothing failed yet


def test_figures_name_the_lane_and_what_became_of_its_messages(
    api: httpx.Client, make_surface: Make, always_anew: None
) -> None:
    make_surface()
    body = {"surface": "otp", "text": "1234", "messages": [{"to": "+919900000001"}, {"to": "+919900000002"}]}
    assert api.post("/v1/batches", json=body).status_code == 202
    answer = api.get("/metrics")
    lane = ("sms", "main", "transactional")  # channel, credential, message type
    assert samples(answer, "delivery_messages_enqueued_total")[lane] == 2
    assert samples(answer, "delivery_messages")[*lane, "queued"] == 2
    assert samples(answer, "delivery_messages_finished_total")[*lane, "delivered"] == 0
    assert samples(answer, "delivery_batches") == {("running",): 1, ("paused",): 0, ("scheduled",): 0}


def test_a_reason_that_no_table_of_ours_holds_is_told_as_other(
    api: httpx.Client, make_surface: Make, session: Session, always_anew: None
) -> None:
    make_surface()
    lane = session.execute(text("SELECT id FROM lane WHERE message_type = 'transactional' LIMIT 1")).scalar_one()
    changes = Changes()
    for reason in ("EC_ABSENT_SUBSCRIBER", "EC_OF_TOMORROW", "EC_OF_NEXT_YEAR", "opted_out"):
        changes.entered([lane], "failed", reason)
    changes.write(session)
    session.commit()
    found = samples(api.get("/metrics"), "delivery_undelivered_messages")
    told = {reason: n for (_, _, reason, _), n in found.items()}
    assert told == {"EC_ABSENT_SUBSCRIBER": 1, "other": 2, "opted_out": 1}


def test_all_who_ask_at_once_are_told_the_same_and_the_database_is_asked_once(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counting(*given: Any) -> Figures:
        asked.append(given)
        return read_figures(*given)

    monkeypatch.setattr(figures, "read_figures", counting)
    monkeypatch.setattr(figures, "FRESH_SECONDS", 3_600)
    api.get("/metrics")
    with ThreadPoolExecutor(20) as scrapers:
        answers = list(scrapers.map(lambda _: api.get("/metrics"), range(100)))
    assert {lag(answer) for answer in answers} == {0}
    assert len(asked) <= 1


def test_a_database_that_is_slow_is_a_gap_and_is_counted(api: httpx.Client, engine: Engine, always_anew: None) -> None:
    before = missed(api.get("/metrics"))
    with engine.begin() as slow:
        slow.execute(text("LOCK TABLE tally"))
        answer = api.get("/metrics")
        assert answer.status_code == 200
        assert samples(answer, "delivery_messages") == {}
        assert missed(answer) == before + 1
    assert lag(api.get("/metrics")) == 0


def test_scrapes_do_not_wait_for_a_database_that_hangs_and_ask_it_once(
    api: httpx.Client, engine: Engine, always_anew: None
) -> None:
    assert lag(api.get("/metrics")) == 0
    with hanging(engine):
        for _ in range(3):
            assert lag(api.get("/metrics")) is None
        assert [thread.name for thread in threading.enumerate()].count("database_figures") == 1
    while (found := lag(api.get("/metrics"))) is None:
        pass
    assert found == 0
