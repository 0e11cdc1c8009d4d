"""Files uploaded for MMS: up to Infobip and back as an ID, refused where they are none, and never twice."""

import socket
import time
from collections.abc import Iterable, Iterator
from threading import Thread
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from api import uploads
from sandbox.media import JPEG
from tests.api.conftest import BOOTSTRAP, check_problem, created
from tests.factories import NOBODY_LISTENS, make_lane
from tests.paging import items
from tests.processes import running_sandbox, wait_for
from tests.worker.steps import set_faults
from worker.media_rules import MOST_BYTES, RELIABLE_BYTES
from worker.models import IdempotencyKey, Media
from worker.secrets import encrypt
from worker.tokens import create_token

KEY = {"Idempotency-Key": "sale-1"}
WEB_PAGE = b"<!DOCTYPE html><title>404</title>"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running_sandbox() as url:
        yield url


@pytest.fixture
def account(api: httpx.Client, session: Session, sandbox: str) -> str:
    """The name of a credential that leads to the sandbox, which is without faults and remembers nothing."""
    set_faults(sandbox)
    httpx.delete(sandbox + "/sandbox/log").raise_for_status()
    make_lane(session, base_url=sandbox)
    return "account"


def upload(
    api: httpx.Client,
    body: bytes | Iterable[bytes] = JPEG,
    content_type: str = "image/jpeg",
    headers: dict[str, str] | None = None,
    **query: str,
) -> httpx.Response:
    sent = {"Content-Type": content_type, **(headers or {})}
    return api.post("/v1/media", params={"credential": "account", **query}, content=body, headers=sent)


def uploads_at(sandbox: str) -> list[dict[str, Any]]:
    asked = httpx.get(sandbox + "/sandbox/requests").raise_for_status().json()
    return [one for one in asked if one["path"] == "/mms/1/content"]


def nothing_came_of_it(session: Session, sandbox: str) -> bool:
    return not session.exec(select(Media)).all() and not uploads_at(sandbox)


def test_a_file_goes_up_to_infobip_and_is_listed(
    api: httpx.Client, session: Session, account: str, sandbox: str
) -> None:
    answer = created(upload(api, name="Sale.jpg", content_id="sale.jpg"))
    media = session.exec(select(Media)).one()
    assert answer == {
        "id": str(media.id),
        "credential": account,
        "name": "Sale.jpg",
        "content_type": "image/jpeg",
        "bytes": len(JPEG),
        "expires_at": answer["expires_at"],
        "warnings": [],
    }
    assert len(uploads_at(sandbox)) == 1
    assert api.get(f"/v1/media/{media.id}").json() == answer
    other = created(upload(api, b"BEGIN:VCARD\r\n", "text/x-vCard; charset=utf-8"))
    assert (other["name"], other["content_type"]) == (None, "text/vcard")
    assert list(items(api, "/v1/media", limit=1)) == [other, answer]


def test_a_file_that_some_carriers_do_not_take_is_uploaded_with_a_warning(api: httpx.Client, account: str) -> None:
    assert created(upload(api, JPEG.ljust(RELIABLE_BYTES, b"\0")))["warnings"] == []
    (warning,) = created(upload(api, JPEG.ljust(RELIABLE_BYTES + 1, b"\0")))["warnings"]
    assert "all carriers take 300 KB" in warning


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_it_does_not_matter_how_the_body_is_cut(api: httpx.Client, account: str, size: int) -> None:
    body = [JPEG[at : at + size] for at in range(0, len(JPEG), size)]
    assert created(upload(api, iter(body)))["bytes"] == len(JPEG)


# What is no file for an MMS


@pytest.mark.parametrize("content_type", ["", "image/webp", "application/json", "text/html"])
def test_a_type_that_no_mms_carries_is_415_with_those_that_are(
    api: httpx.Client, session: Session, account: str, sandbox: str, content_type: str
) -> None:
    detail = check_problem(upload(api, content_type=content_type), 415)["detail"]
    assert "image/jpeg, image/png, image/gif" in detail
    assert nothing_came_of_it(session, sandbox)


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (WEB_PAGE, "image/jpeg", "does not begin like image/jpeg, but like a web page"),
        (JPEG, "image/png", "does not begin like image/png, but like a JPEG"),
        (b"\xff", "text/plain", "is not UTF-8"),
        (b"", "image/jpeg", "is empty"),
    ],
    ids=["a web page", "another picture", "another encoding", "nothing"],
)
def test_bytes_that_are_not_of_the_type_are_422(
    api: httpx.Client, session: Session, account: str, sandbox: str, body: bytes, content_type: str, words: str
) -> None:
    (error,) = check_problem(upload(api, body, content_type), 422)["errors"]
    assert error["field"] == "body"
    assert words in error["message"]
    assert nothing_came_of_it(session, sandbox)


def test_a_file_that_is_too_large_is_413_with_the_limit(
    api: httpx.Client, session: Session, account: str, sandbox: str
) -> None:
    assert created(upload(api, JPEG.ljust(MOST_BYTES, b"\0")))["bytes"] == MOST_BYTES
    httpx.delete(sandbox + "/sandbox/log").raise_for_status()
    session.execute(text("DELETE FROM media"))
    session.commit()
    large = JPEG.ljust(MOST_BYTES + 1, b"\0")
    for body in (large, iter([large])):  # whether its length is announced or not
        detail = check_problem(upload(api, body), 413)["detail"]
        assert "1,048,576 bytes" in detail
        assert "all carriers take 300 KB" in detail
    assert nothing_came_of_it(session, sandbox)


def test_a_compressed_body_is_415(api: httpx.Client, account: str) -> None:
    check_problem(upload(api, headers={"Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"credential": "nobody"}, "credential"),
        ({"credential": ""}, "credential"),
        ({"content_id": "a b"}, "content_id"),
        ({"content_id": "x" * 21}, "content_id"),
        ({"name": "x" * 256}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_the_query_says_wrong_is_named(
    api: httpx.Client, session: Session, account: str, sandbox: str, query: dict[str, str], field: str
) -> None:
    assert check_problem(upload(api, **query), 422)["errors"][0]["field"] == field
    assert nothing_came_of_it(session, sandbox)


def test_an_unknown_id_is_404(api: httpx.Client) -> None:
    for media_id in ("01a20405-ce9f-74a6-bc29-443efafb1900", "sale.jpg"):
        check_problem(api.get(f"/v1/media/{media_id}"), 404)


def test_whoever_may_only_read_uploads_nothing(api: httpx.Client, session: Session, account: str, sandbox: str) -> None:
    reader = {"Authorization": f"Bearer {create_token(session, 'reader', ['read'])}"}
    session.commit()
    check_problem(upload(api, headers=reader), 403)
    assert api.get("/v1/media", headers=reader).status_code == 200
    assert nothing_came_of_it(session, sandbox)


# The same request twice


def test_a_repeat_gets_the_first_answer_and_uploads_nothing(api: httpx.Client, account: str, sandbox: str) -> None:
    first, second = (upload(api, headers=KEY) for _ in range(2))
    assert created(second) == created(first)
    assert len(uploads_at(sandbox)) == 1


@pytest.mark.parametrize(
    ("body", "query"), [(JPEG + b"\0", {}), (JPEG, {"name": "Other.jpg"}), (JPEG, {"credential": "other"})]
)
def test_another_request_under_the_same_key_is_409(
    api: httpx.Client, session: Session, account: str, sandbox: str, body: bytes, query: dict[str, str]
) -> None:
    make_lane(session, name="other", base_url=sandbox)
    created(upload(api, headers=KEY))
    check_problem(upload(api, body, headers=KEY, **query), 409)
    assert len(uploads_at(sandbox)) == 1


def test_a_repeat_is_answered_though_the_credential_is_gone(api: httpx.Client, session: Session, account: str) -> None:
    first = created(upload(api, headers=KEY))
    session.execute(text("UPDATE credential SET deleted_at = now()"))
    session.commit()
    assert created(upload(api, headers=KEY)) == first
    check_problem(upload(api), 422)


def test_two_at_once_get_one_answer_and_keep_one_row(
    api: httpx.Client, session: Session, account: str, sandbox: str
) -> None:
    set_faults(sandbox, answer_seconds=0.3)
    answers: list[dict[str, Any]] = []
    threads = [Thread(target=lambda: answers.append(created(upload(api, headers=KEY)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers[0] == answers[1]
    assert len(session.exec(select(Media)).all()) == 1


def test_a_key_that_cannot_be_one_is_422(api: httpx.Client, account: str) -> None:
    check_problem(upload(api, headers={"Idempotency-Key": "x" * 256}), 422)


# What Infobip makes of it


@pytest.mark.parametrize(("key", "words"), [("revoked-1", "HTTP 401"), ("unscoped-1", "HTTP 403")])
def test_a_refused_credential_is_409_and_says_what_to_correct(
    api: httpx.Client, session: Session, account: str, key: str, words: str
) -> None:
    session.execute(text("UPDATE credential SET api_key = :key"), {"key": encrypt(key)})
    session.commit()
    answer = upload(api, headers=KEY)
    detail = check_problem(answer, 409)["detail"]
    assert words in detail
    assert "key or base_url" in detail
    assert key not in answer.text


@pytest.mark.parametrize(
    ("faults", "retry_after"),
    [({"too_many_requests": 1, "retry_after_seconds": 7}, "7"), ({"server_error": 1}, "5"), ({"reset_after": 1}, "5")],
    ids=["a pause", "a fault", "a break"],
)
def test_infobip_in_trouble_is_503_and_may_be_repeated_with_the_same_key(
    api: httpx.Client, session: Session, account: str, sandbox: str, faults: dict[str, float], retry_after: str
) -> None:
    set_faults(sandbox, **faults)
    answer = upload(api, headers=KEY)
    check_problem(answer, 503)
    assert answer.headers["retry-after"] == retry_after
    assert session.exec(select(IdempotencyKey)).all() == []
    set_faults(sandbox)
    created(upload(api, headers=KEY))


def test_infobip_out_of_reach_is_503(api: httpx.Client, session: Session) -> None:
    make_lane(session, base_url=NOBODY_LISTENS)
    assert "no connection to Infobip" in check_problem(upload(api), 503)["detail"]


# Slow clients


def test_a_client_that_says_nothing_for_too_long_is_408(
    api: httpx.Client, session: Session, account: str, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SILENCE_SECONDS", 0.2)

    def slow() -> Iterator[bytes]:
        yield JPEG[:10]
        time.sleep(0.6)
        yield JPEG[10:]

    check_problem(upload(api, slow()), 408)
    assert nothing_came_of_it(session, sandbox)


def begin(address: str) -> socket.socket:
    """A client that sends the beginning of a file."""
    host, port = address.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    head = (
        "POST /v1/media?credential=account HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        f"Authorization: Bearer {BOOTSTRAP}\r\nContent-Length: {len(JPEG)}\r\n\r\n"
    )
    client.sendall(head.encode() + JPEG[:10])
    return client


def test_a_few_are_taken_at_once_and_whoever_goes_away_makes_room(
    api: httpx.Client, session: Session, account: str, sandbox: str, address: str
) -> None:
    slow = [begin(address) for _ in range(uploads.MOST_AT_ONCE)]
    answer = wait_for(lambda: (refused := upload(api)).status_code == 503 and refused)
    assert "files are being sent here" in check_problem(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "10"
    assert api.get("/v1/media").status_code == 200
    for client in slow:
        client.close()
    wait_for(lambda: upload(api).status_code == 201)


def test_documentation_names_the_bodies_and_the_key(stranger: httpx.Client, engine: Engine) -> None:
    operation = stranger.get("/openapi.json").json()["paths"]["/v1/media"]["post"]
    assert operation["requestBody"]["content"]["image/jpeg"]["schema"] == {"type": "string", "format": "binary"}
    assert {"credential", "name", "content_id", "Idempotency-Key"} == {one["name"] for one in operation["parameters"]}
