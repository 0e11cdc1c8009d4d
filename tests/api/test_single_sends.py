"""Single sends that arrive together: one transaction, and each its own answer."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from api.single_sends import Send, write_sends
from tests.api.conftest import block_then_terminate
from worker import idempotency
from worker.enqueue import Accepted
from worker.idempotency import KeptAnswer, Key
from worker.models import Consent, IdempotencyKey, Message, Tally
from worker.orders import MessageOrder
from worker.refusals import Refusal

SEND = {"surface": "otp", "to": "+919876543210", "text": "hi"}


def together(api: httpx.Client, sends: Sequence[tuple[dict, str | None]]) -> list[httpx.Response]:
    """Posts each (body, key) from a thread of its own, all at once."""
    barrier = threading.Barrier(len(sends))

    def post(send: tuple[dict, str | None]) -> httpx.Response:
        body, key = send
        barrier.wait()
        return api.post("/v1/messages", json=body, headers={"Idempotency-Key": key} if key else {})

    with ThreadPoolExecutor(len(sends)) as pool:
        return list(pool.map(post, sends))


def test_sends_that_arrive_together_share_transactions_and_nudges(
    api: httpx.Client, session: Session, make_surface, nudges
) -> None:
    make_surface()
    answers = together(api, [({**SEND, "text": f"number {n}"}, None) for n in range(48)])
    assert [answer.status_code for answer in answers] == [202] * 48
    messages = {str(message.id): message for message in session.exec(select(Message))}
    assert [messages[answer.json()["id"]].text for answer in answers] == [f"number {n}" for n in range(48)]
    transactions = {message.created_at for message in messages.values()}
    assert len(transactions) < 24
    assert len(nudges.sent) == len(transactions)
    assert sum(session.exec(select(Tally.n))) == 48


def test_refused_send_gets_its_own_422_and_its_neighbours_are_stored(
    api: httpx.Client, session: Session, make_surface
) -> None:
    make_surface()
    faults = [{"to": "call me"}, {"surface": "nobody"}, {"text": " "}, {"content_template_id": "1" * 19}, {}, {}, {}]
    answers = together(api, [({**SEND, **fault}, None) for fault in faults * 4])
    fields = [answer.json().get("errors", [{"field": None}])[0]["field"] for answer in answers]
    assert fields == ["to", "surface", "text", "content_template_id", None, None, None] * 4
    assert len(session.exec(select(Message)).all()) == 12


def test_sends_of_one_group_are_each_held_to_consent_by_their_surface(
    api: httpx.Client, session: Session, make_surface, nudges
) -> None:
    credential_id = make_surface(name="offers", message_type="marketing")["credential_id"]
    make_surface()
    session.add(
        Consent(recipient="919876543210", credential_id=UUID(credential_id), state="opted_out", source="keyword")
    )
    session.commit()
    spared = {"surface": "offers", "to": "+919876543211"}
    answers = together(api, [({**SEND, **send}, None) for send in ({"surface": "offers"}, {}, spared)] * 8)
    assert [answer.status_code for answer in answers] == [202] * 24
    assert [answer.json()["state"] for answer in answers] == ["suppressed", "queued", "queued"] * 8
    for answer in answers:
        message = session.get_one(Message, UUID(answer.json()["id"]))
        assert (message.state, message.finished_at is None) == (
            answer.json()["state"],
            answer.json()["state"] == "queued",
        )
    assert {message_type for _, message_type in nudges.sent} == {"marketing", "transactional"}


def test_sends_that_consent_forbids_nudge_nobody(api: httpx.Client, session: Session, make_surface, nudges) -> None:
    credential_id = make_surface(message_type="marketing")["credential_id"]
    session.add(
        Consent(recipient="919876543210", credential_id=UUID(credential_id), state="opted_out", source="keyword")
    )
    session.commit()
    key = {"Idempotency-Key": "order-1"}
    first, again = (api.post("/v1/messages", json=SEND, headers=key) for _ in range(2))
    assert (first.status_code, first.json()["state"]) == (202, "suppressed")
    assert again.content == first.content
    assert len(session.exec(select(Message)).all()) == 1
    assert nudges.sent == []


def test_surfaces_of_one_group_each_give_their_own(api: httpx.Client, session: Session, make_surface) -> None:
    surfaces = [make_surface(name=f"s{n}", sender=f"SENDER{n}", callback_data=f"c{n}") for n in range(4)]
    names = [surface[reference].upper() if reference == "id" else surface[reference]
             for surface in surfaces for reference in ("name", "id")]  # fmt: skip
    answers = together(api, [({**SEND, "surface": name}, None) for name in names])
    stored = {str(message.id): (message.sender, message.callback_data) for message in session.exec(select(Message))}
    assert [stored[answer.json()["id"]] for answer in answers] == [(f"SENDER{n // 2}", f"c{n // 2}") for n in range(8)]


def test_same_key_and_body_at_once_do_the_work_once(api: httpx.Client, session: Session, make_surface, nudges) -> None:
    make_surface()
    answers = together(api, [(SEND, f"order-{n % 3}") for n in range(24)])
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 3
    assert len(session.exec(select(Message)).all()) == 3


def test_same_key_with_other_bodies_at_once_is_409_for_all_but_one(
    api: httpx.Client, session: Session, make_surface
) -> None:
    make_surface()
    answers = together(api, [({**SEND, "text": f"text {n}"}, "order-1") for n in range(8)])
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    assert len(session.exec(select(Message)).all()) == 1


def test_first_answer_is_given_again_though_the_same_would_be_refused_now(api: httpx.Client, make_surface) -> None:
    make_surface()
    key = {"Idempotency-Key": "order-1"}
    first = api.post("/v1/messages", json={**SEND, "callback_data": "x"}, headers=key)
    assert first.status_code == 202
    assert api.patch("/v1/surfaces/otp", json={"name": "other"}).status_code == 200
    second = api.post("/v1/messages", json={**SEND, "callback_data": "x"}, headers=key)
    assert (second.status_code, second.content) == (202, first.content)


def test_refused_send_keeps_no_key(api: httpx.Client, session: Session, make_surface) -> None:
    key = {"Idempotency-Key": "order-1"}
    assert api.post("/v1/messages", json=SEND, headers=key).status_code == 422
    assert session.exec(select(IdempotencyKey)).all() == []
    make_surface()
    assert api.post("/v1/messages", json=SEND, headers=key).status_code == 202


OCCUPY = text(
    "INSERT INTO idempotency_key (token_id, route, key, body_hash) "
    "VALUES ('00000000-0000-0000-0000-000000000000', 'POST /v1/messages', 'order-1', 'x')"
)


def test_key_that_is_occupied_elsewhere_keeps_no_other_send_waiting(
    api: httpx.Client, engine: Engine, session: Session, make_surface
) -> None:
    make_surface()
    waiting: list[httpx.Response] = []
    key = {"Idempotency-Key": "order-1"}
    with engine.connect() as elsewhere:
        elsewhere.execute(OCCUPY)
        blocked = threading.Thread(target=lambda: waiting.append(api.post("/v1/messages", json=SEND, headers=key)))
        blocked.start()
        others = together(api, [(SEND, f"other-{n}" if n % 2 else None) for n in range(20)])
        assert {answer.status_code for answer in others} == {202}
        assert not waiting
        elsewhere.rollback()
        blocked.join()
    assert waiting[0].status_code == 202
    assert len(session.exec(select(Message)).all()) == 21


def test_surface_that_is_being_changed_keeps_no_other_send_waiting(
    api: httpx.Client, engine: Engine, session: Session, make_surface
) -> None:
    make_surface()
    make_surface(name="changing", credential="account")
    waiting: list[httpx.Response] = []
    with engine.connect() as elsewhere:
        elsewhere.execute(text("SELECT FROM surface WHERE name = 'changing' FOR UPDATE"))
        body = {**SEND, "surface": "changing"}
        blocked = threading.Thread(target=lambda: waiting.append(api.post("/v1/messages", json=body)))
        blocked.start()
        others = together(api, [(SEND, None) for _ in range(10)])
        assert {answer.status_code for answer in others} == {202}
        assert not waiting
        elsewhere.rollback()
        blocked.join()
    assert waiting[0].status_code == 202
    assert len(session.exec(select(Message)).all()) == 11


BLOCKED = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")


def test_many_that_wait_for_one_key_leave_threads_to_others(
    api: httpx.Client, engine: Engine, session: Session, make_surface
) -> None:
    make_surface()
    with engine.connect() as elsewhere, ThreadPoolExecutor(50) as pool:
        elsewhere.execute(OCCUPY)
        key = {"Idempotency-Key": "order-1"}
        waiting = [pool.submit(api.post, "/v1/messages", json=SEND, headers=key) for _ in range(50)]
        blocked = [0, 1]
        while blocked[-1] < 16 or blocked[-1] != blocked[-2]:  # no thread more comes to wait
            time.sleep(0.3)
            blocked.append(session.execute(BLOCKED).scalar_one())
            session.rollback()
        assert api.get("/v1/batches").status_code == 200
        assert api.post("/v1/messages", json=SEND).status_code == 202
        assert not any(one.done() for one in waiting)
        elsewhere.rollback()
    assert {one.result().content for one in waiting} == {waiting[0].result().content}
    assert len(session.exec(select(Message)).all()) == 2


def test_occupied_key_is_409_with_retry_after_in_the_end(
    api: httpx.Client, engine: Engine, session: Session, make_surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 1)
    with engine.connect() as elsewhere:
        elsewhere.execute(OCCUPY)
        answer = api.post("/v1/messages", json=SEND, headers={"Idempotency-Key": "order-1"})
        elsewhere.rollback()
    assert answer.status_code == 409
    assert int(answer.headers["retry-after"]) > 0
    assert session.exec(select(Message)).all() == []


def test_group_names_those_that_must_go_by_themselves(api: httpx.Client, session: Session, make_surface) -> None:
    make_surface()
    good = MessageOrder(surface="otp", to="+919876543210", text="hi")
    bad = MessageOrder(surface="otp", to="nobody", text="hi")

    def key(name: str, body: str = "a") -> Key:
        return Key(UUID(int=0), "POST /v1/messages", name, sha256(body.encode()).digest())

    assert idempotency.take(session, key("old")) is None
    session.commit()
    sends = [
        Send(good, None),
        Send(bad, None),
        Send(good, key("new")),
        Send(good, key("new")),
        Send(good, key("new", "b")),
        Send(good, key("old")),
        Send(bad, key("bad")),
    ]
    kinds = [type(answer) for answer in write_sends(session, sends)]
    assert kinds == [Accepted, Refusal, Accepted, *[type(None)] * 4]
    session.commit()
    assert len(session.exec(select(Message)).all()) == 2
    assert set(session.exec(select(IdempotencyKey.key))) == {"old", "new"}


def test_groups_that_take_the_same_keys_in_any_order_never_block_each_other_for_good(engine: Engine, api) -> None:
    def take_rounds(step: int) -> list[set]:
        taken = []
        for turn in range(30):
            wanted = {Key(UUID(int=0), "POST /x", f"{turn}-{n}", b"h"): KeptAnswer(202, b"") for n in range(20)[::step]}
            with Session(engine) as session:
                taken.append(idempotency.take_free(session, wanted))
                session.commit()
        return taken

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(take_rounds, (1, -1))
    for first, second in zip(one, other, strict=True):
        assert not first & second
        assert len(first | second) == 20


@pytest.mark.parametrize("lock", ["SELECT 1 FROM surface FOR UPDATE", "LOCK TABLE message IN ACCESS EXCLUSIVE MODE"])
def test_database_lost_in_the_middle_is_503_for_all_of_the_group(
    api: httpx.Client, engine: Engine, session: Session, make_surface, lock: str
) -> None:
    make_surface()
    killer = threading.Thread(target=block_then_terminate, args=(engine, lock))
    killer.start()
    time.sleep(0.2)
    answers = together(api, [(SEND, None)] * 4)
    killer.join()
    lost = [answer for answer in answers if answer.status_code != 202]
    assert lost
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in lost} == {(503, "2")}
    assert len(session.exec(select(Message)).all()) == len(answers) - len(lost)


def test_change_of_a_surface_is_waited_for_and_seen(
    api: httpx.Client, engine: Engine, session: Session, make_surface
) -> None:
    make_surface()
    answers: list[httpx.Response] = []
    with engine.connect() as elsewhere:
        elsewhere.execute(text("SELECT 1 FROM surface FOR UPDATE"))
        sending = threading.Thread(target=lambda: answers.append(api.post("/v1/messages", json=SEND)))
        sending.start()
        wait_until(lambda: is_any_waiting(engine))
        elsewhere.execute(text("UPDATE surface SET sender = 'CHANGED'"))
        elsewhere.commit()
    sending.join()
    assert answers[0].status_code == 202
    assert session.exec(select(Message.sender)).one() == "CHANGED"


def is_any_waiting(engine: Engine) -> bool:
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(connection.execute(text(query)).scalar_one())


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
