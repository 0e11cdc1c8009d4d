import threading
import time
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from worker import idempotency
from worker.models import Batch, Credential, IdempotencyKey, Message
from worker.tokens import create_token

BATCH = {"surface": "otp", "text": "hi", "messages": [{"to": "+919876543210"}]}
KEY = {"Idempotency-Key": "order-1"}


def test_same_request_twice_does_the_work_once_and_gets_the_first_answer(
    api: httpx.Client, session: Session, make_surface, nudges
) -> None:
    make_surface()
    first, second = (api.post("/v1/batches", json=BATCH, headers=KEY) for _ in range(2))
    assert (second.status_code, second.content) == (first.status_code, first.content) == (202, first.content)
    assert len(session.exec(select(Batch)).all()) == 1
    assert len(nudges.sent) == 1


def test_first_answer_of_a_credential_is_given_again_whole(api: httpx.Client, session: Session) -> None:
    body = {"name": "main", "base_url": "abc.api.infobip.com", "api_key": "0123456789"}
    first, second = (api.post("/v1/credentials", json=body, headers=KEY) for _ in range(2))
    assert second.status_code == 201
    assert second.json() == first.json()
    assert len(session.exec(select(Credential)).all()) == 1


def test_other_body_under_the_same_key_is_409(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    api.post("/v1/batches", json=BATCH, headers=KEY)
    answer = api.post("/v1/batches", json={**BATCH, "text": "other"}, headers=KEY)
    assert answer.status_code == 409
    assert "another body" in answer.json()["detail"]
    assert len(session.exec(select(Batch)).all()) == 1


def test_key_counts_for_one_route_and_one_token(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    bare = create_token(session, "other", ["send"])
    single = {"surface": "otp", "text": "hi", "to": "+919876543210"}
    assert api.post("/v1/batches", json=BATCH, headers=KEY).status_code == 202
    assert api.post("/v1/messages", json=single, headers=KEY).status_code == 202
    other = {**KEY, "Authorization": f"Bearer {bare}"}
    assert api.post("/v1/batches", json=BATCH, headers=other).status_code == 202
    assert len(session.exec(select(Message)).all()) == 3


def test_errors_are_not_kept(api: httpx.Client, session: Session, make_surface) -> None:
    assert api.post("/v1/batches", json=BATCH, headers=KEY).status_code == 422
    assert session.exec(select(IdempotencyKey)).all() == []
    make_surface()
    assert api.post("/v1/batches", json=BATCH, headers=KEY).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "caf\u00e9"])
def test_key_of_another_form_is_422(api: httpx.Client, key: str) -> None:
    answer = api.post("/v1/batches", json=BATCH, headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_many_at_once_do_the_work_once(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    answers: list[httpx.Response] = []
    barrier = threading.Barrier(8)

    def post() -> None:
        barrier.wait()
        answers.append(api.post("/v1/batches", json=BATCH, headers=KEY))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert len(session.exec(select(Batch)).all()) == 1


OCCUPY = text(
    "INSERT INTO idempotency_key (token_id, route, key, body_hash) "
    "VALUES ('00000000-0000-0000-0000-000000000000', 'POST /v1/batches', 'order-1', 'x')"
)


def test_second_request_waits_for_the_first_and_does_the_work_if_that_is_rolled_back(
    api: httpx.Client, engine: Engine, make_surface
) -> None:
    make_surface()
    answers: list[httpx.Response] = []
    with engine.connect() as first:
        first.execute(OCCUPY)
        second = threading.Thread(target=lambda: answers.append(api.post("/v1/batches", json=BATCH, headers=KEY)))
        second.start()
        time.sleep(0.3)
        assert not answers
        first.rollback()
        second.join()
    assert answers[0].status_code == 202


def test_second_request_gives_up_after_a_while_with_409_and_retry_after(
    api: httpx.Client, engine: Engine, session: Session, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 1)
    with engine.connect() as first:
        first.execute(OCCUPY)
        answer = api.post("/v1/batches", json=BATCH, headers=KEY)
        first.rollback()
    assert answer.status_code == 409
    assert int(answer.headers["retry-after"]) > 0
    assert session.exec(select(Batch)).all() == []


def test_waiting_ends_with_the_key_and_does_not_shorten_other_waits(session: Session, engine: Engine) -> None:
    before = session.execute(text("SHOW lock_timeout")).scalar_one()
    key = idempotency.Key(UUID(int=1), "POST /x", "k", b"h")
    assert idempotency.take(session, key) is None
    assert session.execute(text("SHOW lock_timeout")).scalar_one() == before
    session.rollback()


def test_keys_are_purged_after_seven_days(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    api.post("/v1/batches", json=BATCH, headers=KEY)
    api.post("/v1/batches", json=BATCH, headers={"Idempotency-Key": "order-2"})
    session.execute(text("UPDATE idempotency_key SET created_at = now() - interval '8 days' WHERE key = 'order-1'"))
    session.commit()
    assert idempotency.purge(session) == 1
    assert idempotency.purge(session) == 0
    assert session.exec(select(IdempotencyKey.key)).all() == ["order-2"]
