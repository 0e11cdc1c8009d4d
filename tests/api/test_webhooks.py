import asyncio
import threading
import time
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select
from starlette.routing import Match

from api.app import create_app
from api.routes import webhooks
from tests.api.conftest import SECRET_KEY, Make, block_then_terminate, check_problem
from tests.processes import wait_for
from tests.worker.infobip.samples import INBOUND_SMS, PULLED_MMS, PUSHED_MMS
from worker.models import Consent, Credential, DeliveryReport, InboundMessage, Message, UnmatchedReport
from worker.secrets import encrypt
from worker.settings import settings
from worker.states import State

DELIVERED = {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET"}
NO_ERROR = {"groupId": 0, "groupName": "OK", "id": 0, "name": "NO_ERROR", "permanent": False}


OURS = "919200000009"
KINDS = pytest.mark.parametrize("kind", ["reports", "inbound"])


def path_of(credential: dict[str, Any], kind: str = "reports") -> str:
    return httpx.URL(credential["webhook_urls"][kind]).path


def result(message_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "bulkId": "b",
        "messageId": f"{message_id}-1",
        "to": "919876543210",
        "sentAt": "2026-11-23T05:30:00.000+0000",
        "doneAt": "2026-11-23T05:30:01.000+0000",
        "messageCount": 1,
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": DELIVERED,
        "error": NO_ERROR,
        **fields,
    }


def in_flight(engine: Engine) -> None:
    """Every message as if its first attempt had been accepted."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'sent', attempt_count = 1"))
        connection.execute(
            text(
                "INSERT INTO attempt (message_id, number, submission_id, started_at, outcome, looks) "
                "SELECT id, 1, gen_random_uuid(), now(), 'accepted', 0 FROM message"
            )
        )


def send(api: httpx.Client, n: int = 1) -> list[str]:
    rows = [{"to": f"+9198{number:08}"} for number in range(n)]
    body = {"surface": "otp", "text": "hi", "callback_data": "order-1", "messages": rows}
    batch = api.post("/v1/batches", json=body).json()["id"]
    items = api.get("/v1/messages", params={"batch": batch, "limit": n}).json()["items"]
    return [item["id"] for item in items]


def test_report_is_stored_and_moves_its_message_before_the_200(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    answer = stranger.post(path_of(credential), json={"results": [result(message)]})
    assert answer.status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.DELIVERED
    (item,) = api.get("/v1/reports").json()["items"]
    assert (item["message_id"], item["callback_data"], item["source"]) == (message, "order-1", "push")


def test_repeated_push_is_stored_once(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    for _ in range(3):
        assert stranger.post(path_of(credential), json={"results": [result(message)] * 2}).status_code == 200
    assert len(session.exec(select(DeliveryReport)).all()) == 1


def test_pushes_that_arrive_together_are_all_stored(
    api: httpx.Client, address: str, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    path = path_of(make_credential())
    make_surface()
    messages = send(api, 200)
    in_flight(engine)
    statuses: list[int] = []

    def push(part: list[str]) -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            statuses.extend(client.post(path, json={"results": [result(message)]}).status_code for message in part)

    threads = [threading.Thread(target=push, args=(messages[start::10],)) for start in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 200
    assert session.exec(select(Message.state).distinct()).all() == ["delivered"]
    batch = api.get("/v1/batches").json()["items"][0]
    assert batch["counts"]["delivered"] == 200


@KINDS
@pytest.mark.usefixtures("environment")
def test_address_given_to_infobip_is_the_one_that_is_served(kind: str) -> None:
    credential_id = uuid.uuid4()
    url = httpx.URL(settings().webhook_url(credential_id, "a-token", kind))
    scope = {"type": "http", "method": "POST", "path": url.path}
    matches = [route.matches(scope) for route in webhooks.router.routes]
    assert [(found["endpoint"], found["path_params"]) for match, found in matches if match is Match.FULL] == [
        (getattr(webhooks, f"take_{kind}"), {"credential_id": str(credential_id), "token": "a-token"})
    ]


@KINDS
@pytest.mark.parametrize("change", ["token", "credential", "not an id", "short token"])
def test_wrong_address_is_404_whatever_is_wrong_with_it(
    stranger: httpx.Client, session: Session, make_credential, change: str, kind: str
) -> None:
    parts = path_of(make_credential(), kind).split("/")
    match change:
        case "token":
            parts[4] = "x" * len(parts[4])
        case "short token":
            parts[4] = parts[4][:-1]
        case "credential":
            parts[3] = str(uuid.uuid4())
        case _:
            parts[3] = "main"
    answer = stranger.post("/".join(parts), json={"results": [{"messageId": "x"}, INBOUND_SMS]})
    check_problem(answer, 404)
    assert session.exec(select(UnmatchedReport)).all() == []
    assert session.exec(select(InboundMessage)).all() == []


@KINDS
def test_previous_token_still_opens(stranger: httpx.Client, session: Session, make_credential, kind: str) -> None:
    path = path_of(make_credential(), kind)
    row = session.exec(select(Credential)).one()
    row.previous_webhook_token, row.webhook_token = row.webhook_token, encrypt("new-token")
    session.commit()
    assert stranger.post(path, json={"results": []}).status_code == 200
    assert stranger.post(path.replace(path.split("/")[4], "new-token"), json={"results": []}).status_code == 200


def test_reports_of_a_deleted_credential_still_come_in(
    api: httpx.Client, stranger: httpx.Client, make_credential
) -> None:
    path = path_of(make_credential())
    assert api.delete("/v1/credentials/main").status_code == 204
    assert stranger.post(path, json={"results": []}).status_code == 200


@pytest.mark.parametrize(("kind", "reason"), [("reports", "unreadable body"), ("inbound", "inbound: unreadable body")])
@pytest.mark.parametrize(
    "body", [b"", b"{oops", b"[]", b'{"results": 7}', b"\xff\x00\xfe", b"a" * 200_000, b"[" * 100_000]
)
def test_body_that_cannot_be_read_is_kept_and_answered_200(
    stranger: httpx.Client, session: Session, make_credential, body: bytes, kind: str, reason: str
) -> None:
    path = path_of(make_credential(), kind)
    assert stranger.post(path, content=body).status_code == 200
    kept = session.exec(select(UnmatchedReport)).one()
    assert kept.reason == reason
    assert len(kept.body) == min(len(body), 64 * 1024)


def test_bad_item_does_not_lose_its_neighbours(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    credential = make_credential()
    make_surface()
    (message,) = send(api)
    in_flight(engine)
    strange = [None, 7, {}, {"messageId": "theirs"}, result(str(uuid.uuid4())), result(message)]
    assert stranger.post(path_of(credential), json={"results": strange}).status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.DELIVERED
    assert len(session.exec(select(UnmatchedReport)).all()) == 5


def test_report_counts_only_for_messages_of_its_credential(
    api: httpx.Client, stranger: httpx.Client, engine: Engine, session: Session, make_credential, make_surface
) -> None:
    make_surface()
    other = make_credential(name="other")
    (message,) = send(api)
    in_flight(engine)
    assert stranger.post(path_of(other), json={"results": [result(message)]}).status_code == 200
    assert session.get_one(Message, uuid.UUID(message)).state == State.SENT
    assert len(session.exec(select(UnmatchedReport)).all()) == 1


@KINDS
def test_body_over_sixteen_mebibytes_is_413(
    stranger: httpx.Client, session: Session, make_credential, kind: str
) -> None:
    path = path_of(make_credential(), kind)
    check_problem(stranger.post(path, content=b" " * (16 * 1024 * 1024 + 1)), 413)
    assert session.exec(select(UnmatchedReport)).all() == []


@KINDS
def test_answers_are_counted_by_kind_and_status(stranger: httpx.Client, make_credential, kind: str) -> None:
    path = path_of(make_credential(), kind)
    stranger.post(path, json={"results": []})
    stranger.post(path + "x", json={"results": []})
    measured = stranger.get("/metrics").text
    assert f'delivery_webhook_requests_total{{kind="{kind}",status="200"}}' in measured


@KINDS
@pytest.mark.usefixtures("environment")
def test_database_out_of_reach_is_503_so_that_infobip_pushes_again(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("DELIVERY_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/nothing")
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", SECRET_KEY)
    settings.cache_clear()
    app = create_app()

    async def push() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
        ):
            return await client.post(f"/webhooks/infobip/{'0' * 32}/token/{kind}", json={"results": [INBOUND_SMS]})

    check_problem(asyncio.run(push()), 503)
    monkeypatch.undo()
    settings.cache_clear()
    app.state.engine.dispose()


def sms(**fields: Any) -> dict[str, Any]:
    """What a handset writes, with an ID of its own."""
    return {"messageId": str(uuid.uuid4()), "from": "919900000001", "to": OURS, "text": "hello", **fields}


def inbound(session: Session) -> list[InboundMessage]:
    """What is stored, oldest first."""
    session.expire_all()
    return list(session.exec(select(InboundMessage).order_by(InboundMessage.id)))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [INBOUND_SMS, PUSHED_MMS, PULLED_MMS], ids=["sms", "mms", "mms as it is pulled"])
def test_inbound_message_is_stored_and_read_before_the_200(
    stranger: httpx.Client, session: Session, make_credential: Make, form: dict[str, Any]
) -> None:
    path = path_of(make_credential(), "inbound")
    answer = stranger.post(path, json={"results": [form], "messageCount": 1, "pendingMessageCount": 0})
    assert answer.status_code == 200
    (message,) = inbound(session)
    assert (message.provider_id, message.sender) == (form["messageId"], form["from"])
    assert message.action is not None


def test_keyword_changes_consent_and_its_reply_is_stored_before_the_200(
    stranger: httpx.Client, session: Session, make_credential: Make
) -> None:
    credential = make_credential()
    assert stranger.post(path_of(credential, "inbound"), json={"results": [sms(text="Stop")]}).status_code == 200
    consent = session.get_one(Consent, ("919900000001", uuid.UUID(credential["id"])))
    assert (consent.state, consent.source) == ("opted_out", "keyword")
    (message,) = inbound(session)
    reply = session.exec(select(Message)).one()
    assert (reply.id, reply.recipient, reply.sender) == (message.reply_id, "919900000001", OURS)


def test_repeated_inbound_push_is_stored_and_answered_once(
    stranger: httpx.Client, session: Session, make_credential: Make
) -> None:
    path = path_of(make_credential(), "inbound")
    item = sms(text="STOP")
    for _ in range(3):
        assert stranger.post(path, json={"results": [item, item]}).status_code == 200
    assert len(inbound(session)) == 1
    assert len(session.exec(select(Message)).all()) == 1


@pytest.mark.usefixtures("api")
def test_same_inbound_push_to_two_processes_at_once_is_stored_and_answered_once(
    address: str, session: Session, make_credential: Make
) -> None:
    path = path_of(make_credential(), "inbound")
    pushes = [{"results": [sms(text="STOP", **{"from": f"9199000{n:05}"}), sms()]} for n in range(20)]
    other = create_app()

    async def push() -> list[int]:
        async with (
            other.router.lifespan_context(other),
            httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://api") as here,
            httpx.AsyncClient(base_url=address, timeout=30) as there,
        ):
            answers = await asyncio.gather(
                *(client.post(path, json=body) for body in pushes for client in (here, there))
            )
        return [answer.status_code for answer in answers]

    assert asyncio.run(push()) == [200] * 40
    assert len(inbound(session)) == 40
    assert len(session.exec(select(Message)).all()) == 20


def test_inbound_pushes_that_arrive_together_share_transactions(
    address: str, engine: Engine, session: Session, make_credential: Make
) -> None:
    credential = make_credential()
    path, arrived = path_of(credential, "inbound"), 0

    async def note(event: str, _: dict[str, Any]) -> None:
        nonlocal arrived
        arrived += event == "http11.send_request_body.complete"

    async def push() -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            answers = await asyncio.gather(
                *(client.post(path, json={"results": [sms()]}, extensions={"trace": note}) for _ in range(50))
            )
        return [answer.status_code for answer in answers]

    with engine.connect() as holder:
        # The credential's turn is somebody else's until all of them are on their way.
        turn = text("SELECT pg_advisory_xact_lock(hashtextextended('inbound ' || :id, 0))")
        holder.execute(turn, {"id": credential["id"]})
        statuses: list[int] = []
        pusher = threading.Thread(target=lambda: statuses.extend(asyncio.run(push())))
        pusher.start()
        wait_for(lambda: arrived == 50)
        holder.rollback()
        pusher.join()
    assert statuses == [200] * 50
    transactions = text("SELECT count(DISTINCT CAST(xmin AS text)), count(*) FROM inbound_message")
    shared, stored = session.execute(transactions).one()
    assert stored == 50
    assert shared <= 5


def test_bad_inbound_item_does_not_lose_its_neighbours(
    stranger: httpx.Client, session: Session, make_credential: Make
) -> None:
    strange = [None, 7, [], {}, {"text": "from nobody"}, sms(**{"from": []})]
    good = [sms(text="STOP"), sms(price="free", smsCount=[], receivedAt=7), sms(text=None), sms(to={})]
    path = path_of(make_credential(), "inbound")
    assert stranger.post(path, json={"results": [*strange[:3], *good, *strange[3:]]}).status_code == 200
    assert {message.provider_id for message in inbound(session)} == {item["messageId"] for item in good}
    kept = session.exec(select(UnmatchedReport)).all()
    assert [row.body for row in kept] == strange
    assert all(row.reason.startswith("inbound: ") for row in kept)


@pytest.mark.parametrize("number", [f"+{OURS}", OURS])
@pytest.mark.parametrize("written", [f"+{OURS}", OURS])
def test_message_to_the_inbound_number_is_read_in_either_form(
    stranger: httpx.Client, session: Session, make_credential: Make, number: str, written: str
) -> None:
    path = path_of(make_credential(inbound_number=number), "inbound")
    assert stranger.post(path, json={"results": [sms(text="STOP", to=written)]}).status_code == 200
    assert inbound(session)[0].action == "opt_out"


@pytest.mark.parametrize("number", [f"+{OURS}", OURS])
@pytest.mark.parametrize("written", ["+919200000010", "919200000010", "25256"])
def test_message_to_another_number_is_kept_without_consent_or_reply(
    stranger: httpx.Client, session: Session, make_credential: Make, number: str, written: str
) -> None:
    path = path_of(make_credential(inbound_number=number), "inbound")
    assert stranger.post(path, json={"results": [sms(text="STOP", to=written)]}).status_code == 200
    (message,) = inbound(session)
    assert (message.action, message.text, message.consent, message.reply_id) == ("other_number", "STOP", None, None)
    assert session.exec(select(Consent)).all() == []
    assert session.exec(select(Message)).all() == []


def test_message_to_a_deleted_credential_still_counts_for_consent(
    api: httpx.Client, stranger: httpx.Client, session: Session, make_credential: Make
) -> None:
    path = path_of(make_credential(), "inbound")
    assert api.delete("/v1/credentials/main").status_code == 204
    assert stranger.post(path, json={"results": [sms(text="STOP")]}).status_code == 200
    assert (inbound(session)[0].consent, session.exec(select(Consent.state)).one()) == ("opted_out", "opted_out")
    assert session.exec(select(Message)).all() == []


def test_inbound_push_whose_transaction_is_lost_is_503_and_counts_when_it_comes_again(
    stranger: httpx.Client, engine: Engine, session: Session, make_credential: Make
) -> None:
    path, body = path_of(make_credential(), "inbound"), {"results": [sms(text="STOP")]}
    killer = threading.Thread(
        target=block_then_terminate, args=(engine, "LOCK TABLE inbound_message IN ACCESS EXCLUSIVE MODE")
    )
    killer.start()
    time.sleep(0.2)  # until it holds the lock
    check_problem(stranger.post(path, json=body), 503)
    killer.join()
    assert inbound(session) == []
    assert stranger.post(path, json=body).status_code == 200
    assert [message.consent for message in inbound(session)] == ["opted_out"]
