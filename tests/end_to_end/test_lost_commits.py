"""A commit whose answer is lost: 503, and the same request again does the work once."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from cli.ports import free_port
from tests.end_to_end.conftest import System
from tests.end_to_end.observing import (
    assert_unavailable,
    process,
    recipient,
    report,
    single,
    until_delivered,
    webhook_of,
)
from tests.end_to_end.postgres_proxy import CommitEater
from tests.processes import answers, wait_for


@pytest.fixture
def eater(system: System) -> Iterator[CommitEater]:
    assert system.stack.postgres is not None
    with CommitEater(system.stack.postgres.socket_folder / ".s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def far_api(system: System, eater: CommitEater, tmp_path: Path) -> Iterator[httpx.Client]:
    """An API of our own which reaches the database through the proxy only."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = f"postgresql://postgres@127.0.0.1:{eater.port}/delivery"
    environment = {**system.stack.environment, "DELIVERY_DATABASE_URL": database}
    with (
        process("api", "--port", str(port), environment=environment, log=tmp_path / "api.log"),
        httpx.Client(base_url=url, headers=system.http.headers, trust_env=False) as client,
    ):
        wait_for(lambda: answers(url + "/readyz"), 30)
        client.get("/v1/batches").raise_for_status()  # knows our token from now on
        yield client


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/messages"])
def test_a_commit_whose_answer_was_lost_is_done_once(
    system: System, eater: CommitEater, far_api: httpx.Client, path: str
) -> None:
    surface = system.surface()
    to = recipient()
    body = (
        single(surface, to) if path == "/v1/messages" else {"surface": surface, "text": "x", "messages": [{"to": to}]}
    )
    headers = {"Idempotency-Key": uuid4().hex}
    eater.lose_next()
    assert_unavailable(far_api.post(path, json=body, headers=headers))
    assert eater.has_lost
    first = far_api.post(path, json=body, headers=headers)
    assert (first.status_code, far_api.post(path, json=body, headers=headers).json()) == (202, first.json())
    (message,) = system.all("/v1/messages", to=to)
    assert first.json()["id"] in (message["id"], message["batch_id"])
    until_delivered(system, message["id"])
    assert len(system.accepted(to=to)) == 1


def test_a_report_whose_commit_was_not_told_comes_again_and_counts_once(
    system: System, eater: CommitEater, far_api: httpx.Client
) -> None:
    surface = system.surface()
    webhook = webhook_of(system, surface)
    sent = system.post("/v1/messages", single(surface, recipient()), 202)["id"]
    until_delivered(system, sent)
    before = len(system.all("/v1/reports", message=sent))
    far_api.post(webhook, json={"results": []}).raise_for_status()
    eater.lose_next()
    assert_unavailable(far_api.post(webhook, json=report(sent)))
    assert eater.has_lost
    for _ in range(2):
        assert far_api.post(webhook, json=report(sent)).status_code == 200
    assert len(system.all("/v1/reports", message=sent)) == before + 1
