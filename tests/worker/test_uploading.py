"""Files handed over to Infobip: what goes up, what may go wrong, and when the row is kept."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import NOBODY_LISTENS, MadeLane, make_lane
from worker.errors import CredentialRefused, NotSent, OutcomeUncertain, RequestRefused, SendError, Throttled
from worker.models import Media
from worker.refusals import Conflict
from worker.settings import Settings
from worker.uploading import KEPT, Upload, Uploaded, hand_over, keep

FILE = bytes(range(256)) * 1_000


class Infobip:
    """Takes uploads, and answers as a test tells it."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"uploadedContentId": "0AF3"}')
        self.waits_for: Event | None = None
        self.meanwhile: Callable[[], Any] = lambda: None
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""


@pytest.fixture
def infobip() -> Iterator[Infobip]:
    with _listening(Infobip()) as infobip:
        yield infobip


@contextmanager
def _listening(infobip: Infobip) -> Iterator[Infobip]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            infobip.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            infobip.meanwhile()
            if infobip.waits_for is not None:
                infobip.waits_for.wait(60)
            status, said = infobip.answer
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    infobip.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield infobip
    finally:
        if infobip.waits_for is not None:
            infobip.waits_for.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def account(session: Session, infobip: Infobip) -> MadeLane:
    return make_lane(session, base_url=infobip.url)


def send_up(engine: Engine, account: MadeLane, **fields: Any) -> Uploaded:
    given = {"byte_count": len(FILE), "media_type": "image/jpeg", **fields}
    return hand_over(engine, Upload(account.credential_id, BytesIO(FILE), **given))


def test_the_file_goes_up_as_it_is_with_what_is_said_of_it(
    engine: Engine, session: Session, infobip: Infobip, account: MadeLane
) -> None:
    uploaded = send_up(engine, account, name="Sale.jpg", content_id="sale.jpg")
    ((path, headers, body),) = infobip.got
    assert (path, body) == ("/mms/1/content", FILE)
    said = {name: headers.get(name) for name in ("authorization", "x-content-id", "x-media-type", "transfer-encoding")}
    assert said == {
        "authorization": "App key-1234",
        "x-content-id": "sale.jpg",
        "x-media-type": "image/jpeg",
        "transfer-encoding": None,
    }
    assert int(headers["x-validity-period-minutes"]) * 60 == KEPT.total_seconds()
    credential = keep(session, uploaded)
    session.commit()
    assert credential.id == account.credential_id
    media = session.exec(select(Media)).one()
    assert (media.name, media.content_type, media.byte_count) == ("Sale.jpg", "image/jpeg", len(FILE))
    assert media.uploaded_content_id == "0AF3"
    assert session.execute(text("SELECT expires_at - created_at <= interval '48 days' FROM media")).scalar_one()


def test_a_content_id_that_carriers_take_is_made_where_none_is_given(
    engine: Engine, infobip: Infobip, account: MadeLane
) -> None:
    for _ in range(2):
        send_up(engine, account)
    ids = [headers["x-content-id"] for _, headers, _ in infobip.got]
    assert len(set(ids)) == 2
    assert all(len(one) == 20 and one.isalnum() for one in ids)


REFUSED = b'{"bulkId": "", "messages": [], "errorMessage": "X-Media-Type: header is required"}'
UNSCOPED = b'{"requestError": {"serviceException": {"messageId": "FORBIDDEN", "text": "Forbidden"}}}'


@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (400, REFUSED, RequestRefused, "HTTP 400: X-Media-Type: header is required"),
        (413, b"", RequestRefused, "HTTP 413"),
        (401, b"", CredentialRefused, "HTTP 401"),
        (403, UNSCOPED, CredentialRefused, "HTTP 403: FORBIDDEN. Forbidden"),
        (404, b"<html>", CredentialRefused, "HTTP 404"),
        (429, b"", Throttled, "HTTP 429"),
        (500, b"", OutcomeUncertain, "HTTP 500"),
        (200, b"<html>", OutcomeUncertain, "not JSON"),
        (200, b"[]", OutcomeUncertain, 'without an "uploadedContentId"'),
        (200, b'{"uploadedContentId": 7}', OutcomeUncertain, 'without an "uploadedContentId"'),
        (200, b'{"uploadedContentId": "\\u0000"}', OutcomeUncertain, 'without an "uploadedContentId"'),
    ],
)
def test_what_infobip_answers_otherwise_is_an_error_that_decides(
    engine: Engine,
    infobip: Infobip,
    account: MadeLane,
    status: int,
    said: bytes,
    error: type[SendError],
    words: str,
) -> None:
    infobip.answer = (status, said)
    with pytest.raises(SendError) as raised:
        send_up(engine, account)
    assert type(raised.value) is error
    assert words in raised.value.detail


def test_no_answer_in_time_is_one_too(
    engine: Engine, infobip: Infobip, account: MadeLane, fresh_settings: Settings
) -> None:
    fresh_settings.request_timeout_seconds = 0.3
    infobip.waits_for = Event()
    with pytest.raises(OutcomeUncertain):
        send_up(engine, account)


def test_no_connection_is_one_too(engine: Engine, session: Session) -> None:
    with pytest.raises(NotSent):
        send_up(engine, make_lane(session, base_url=NOBODY_LISTENS))


def test_no_transaction_is_open_while_the_file_goes_up(engine: Engine, infobip: Infobip, account: MadeLane) -> None:
    seen: list[int] = []
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"

    def look() -> None:
        with engine.connect() as connection:
            seen.append(connection.execute(text(busy)).scalar_one())

    infobip.meanwhile = look
    send_up(engine, account)
    assert seen == [0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("account_since = account_since + 1", "another account while the file went up"),
        ("deleted_at = now()", "deleted meanwhile"),
    ],
)
def test_a_file_of_an_account_that_was_left_meanwhile_is_not_kept(
    engine: Engine, session: Session, infobip: Infobip, account: MadeLane, change: str, words: str
) -> None:
    def leave() -> None:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE credential SET {change}"))

    infobip.meanwhile = leave
    uploaded = send_up(engine, account)
    with pytest.raises(Conflict, match=words):
        keep(session, uploaded)
    session.rollback()
    assert session.exec(select(Media)).all() == []


def test_a_credential_that_is_deleted_gets_no_file(
    engine: Engine, session: Session, infobip: Infobip, account: MadeLane
) -> None:
    session.execute(text("UPDATE credential SET deleted_at = now()"))
    session.commit()
    with pytest.raises(Conflict, match="deleted"):
        send_up(engine, account)
    assert infobip.got == []


def test_the_sandbox_takes_it_as_infobip_documents_it(engine: Engine, sandbox_lane: MadeLane) -> None:
    uploaded = send_up(engine, sandbox_lane)
    assert len(uploaded.media.uploaded_content_id) > 32
