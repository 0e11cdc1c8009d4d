"""One error body, whatever goes wrong."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from api import problems
from api.app import create_app
from api.fields import Body
from tests.api.conftest import BOOTSTRAP, SECRET_KEY, block_then_terminate, check_problem
from worker.enqueue_batch import SurfaceChanged
from worker.feeds import BadCursor, StaleCursor
from worker.idempotency import KeyBusy, KeyReused
from worker.refusals import Conflict, Gone, NotFound, Refusal
from worker.settings import settings

SEND = {"surface": "otp", "to": "+919876543210", "text": "hi"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/batches/", 404),
        ("GET", "/v1/batches/not-an-id", 404),
        ("GET", "/v1/batches/01a20415-6a96-7532-87e0-8f945c115ef7", 404),
        ("GET", "/v1/messages/01a20415-6a96-7532-87e0-8f945c115ef7", 404),
        ("GET", "/v1/credentials/nobody", 404),
        ("GET", "/v1/surfaces/nobody", 404),
        ("GET", "/v1/surfaces/%00", 404),
        ("POST", "/v1/credentials/main/verify", 404),
        ("PUT", "/v1/batches", 405),
        ("DELETE", "/v1/messages", 405),
        ("GET", "/v1/batches?limit=0", 422),
        ("GET", "/v1/batches?limit=1001", 422),
        ("GET", "/v1/batches?limit=ten", 422),
        ("GET", "/v1/batches?cursor=nonsense", 422),
        ("GET", "/v1/batches?cursor=WzFd", 422),
        ("GET", "/v1/batches?cursor=%00", 422),
        ("GET", "/v1/batches?colour=red", 422),
        ("GET", "/v1/messages?state=lost", 422),
        ("GET", "/v1/messages?batch=7", 422),
        ("GET", "/v1/messages?to=abc", 422),
        ("GET", "/v1/messages?callback_data=%00", 422),
        ("GET", "/v1/reports?after=nonsense", 422),
    ],
)
def test_error_without_body_is_a_problem(api: httpx.Client, method: str, path: str, status: int) -> None:
    check_problem(api.request(method, path), status)


def test_wrong_method_names_the_right_ones(api: httpx.Client) -> None:
    assert "GET" in api.put("/v1/messages/01a20415-6a96-7532-87e0-8f945c115ef7").headers["allow"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "line 1 column 0"),
        (b'{"surface": ', "line 1 column"),
        (b'{"surface": "a",\n "to": oops}', "line 2 column"),
        (b"\xff\xfe", "line 1 column"),
        (b'{"text": "\\ud800"}', "line 1 column"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
)
def test_body_that_is_not_a_json_object_is_422_and_says_where(api: httpx.Client, body: bytes, words: str) -> None:
    answer = api.post("/v1/messages", content=body, headers={"Content-Type": "application/json"})
    assert words in check_problem(answer, 422)["detail"]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"colour": "red"}, "colour", "not a field"),
        ({"mms": {}}, "mms.parts", "missing"),
        ({"mms": {"parts": [{}]}}, "mms.parts.0", "exactly one of"),
        ({"to": None}, "to", "text"),
        ({"to": 919876543210}, "to", "text"),
        ({"text": "a\0b"}, "text", "NUL"),
        ({"text": ""}, "text", "empty"),
        ({"text": " \n"}, "text", "empty"),
        ({"text": "x" * 4001}, "text", "4,001 bytes"),
        ({"text": "é" * 2001}, "text", "4,002 bytes"),
        ({"text": "Hi {{name}}"}, "text", "placeholders"),
        ({"to": "call me"}, "to", "letters"),
        ({"callback_data": "x" * 4001}, "callback_data", "has 4,001 characters: at most 4,000 fit"),
        ({"callback_data": 7}, "callback_data", "text"),
        ({"principal_entity_id": "12ab"}, "principal_entity_id", "digits"),
        ({"content_template_id": "123"}, "content_template_id", "has 3"),
        ({"validity_period": "PT9S"}, "validity_period", "PT10S"),
        ({"validity_period": "PT49H"}, "validity_period", "PT48H"),
        ({"validity_period": "PT10.5S"}, "validity_period", "whole seconds"),
        ({"validity_period": "an hour"}, "validity_period", "ISO 8601"),
        ({"validity_period": 3600}, "validity_period", "ISO 8601"),
        ({"send_at": "2027-01-31T09:00:00"}, "send_at", "offset"),
        ({"send_at": "2027-02-31T09:00:00Z"}, "send_at", "not a time"),
        ({"send_at": "9999-12-31T23:59:59Z"}, "send_at", "180 days"),
        ({"send_at": 1700000000}, "send_at", "ISO 8601"),
        ({"surface": "nobody"}, "surface", "no surface"),
        ({"surface": "01a20415-6a96-7532-87e0-8f945c115ef7"}, "surface", "no surface"),
    ],
)
def test_field_at_fault_is_named_with_what_to_change(
    api: httpx.Client, make_surface, change: dict, field: str, words: str
) -> None:
    make_surface()
    errors = check_problem(api.post("/v1/messages", json={**SEND, **change}), 422)["errors"]
    assert [error["field"] for error in errors] == [field]
    assert words in errors[0]["message"]
    assert "index" not in errors[0]


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"),
    [
        (
            "GET",
            "/v1/messages?callback_data_prefix=",
            None,
            "callback_data_prefix: is empty: give at least 1 character",
        ),
        (
            "GET",
            f"/v1/messages?callback_data_prefix={'x' * 65}",
            None,
            "callback_data_prefix: has 65 characters: at most 64 fit",
        ),
        (
            "POST",
            "/v1/batches/01a20415-6a96-7532-87e0-8f945c115ef7/replay",
            {"error_names": []},
            "error_names: is empty: give at least 1 entry",
        ),
        (
            "POST",
            "/v1/batches/01a20415-6a96-7532-87e0-8f945c115ef7/replay",
            {"error_names": ["EC_DLT_ERROR"] * 1_001},
            "error_names: has 1,001 entries: at most 1,000 fit",
        ),
    ],
)
def test_limit_of_a_length_is_told_in_what_it_counts(
    api: httpx.Client, method: str, path: str, body: object, sentence: str
) -> None:
    assert check_problem(api.request(method, path, json=body), 422)["detail"] == sentence


@pytest.mark.parametrize(
    ("path", "body", "sentences"),
    [
        (
            "/v1/batches",
            {"surface": "otp", "messages": {}, "on_invalid": None, "deduplicate": "yes", "transliteration": "LATIN"},
            [
                "transliteration: must be one of NONE, TURKISH, GREEK, ",
                "on_invalid: must be one of reject, skip",
                "deduplicate: must be true or false",
                "messages: must be a list",
            ],
        ),
        (
            "/v1/batches",
            {"surface": "otp", "text": "hi", "messages": [{"to": "+919876543210", "variables": "x"}]},
            ["variables: must be a JSON object"],
        ),
        (
            "/v1/batches",
            {"surface": "otp", "messages": [], "messages_per_second": 0},
            ["messages_per_second: must be at least 1"],
        ),
        (
            "/v1/batches",
            {"surface": "otp", "messages": [], "messages_per_second": 10**6},
            ["messages_per_second: must be at most 10,000"],
        ),
        (
            "/v1/batches",
            {"surface": "otp", "messages": [], "messages_per_second": "1", "mms": {"parts": None}},
            ["mms.parts: must be a list", "messages_per_second: must be a whole number"],
        ),
        (
            "/v1/messages",
            {"surface": "otp", "to": "+919876543210", "mms": {"parts": [{"media": "a.jpg"}, {"media": 1}]}},
            ["mms.parts.0.media: must be an ID (a UUID)", "mms.parts.1.media: must be an ID (a UUID, in quotes)"],
        ),
        ("/v1/messages", {**SEND, "template_variables": {}}, ["template_variables: must be a list"]),
    ],
    ids=str,
)
def test_what_has_another_shape_is_told_in_our_words(
    api: httpx.Client, make_surface, path: str, body: dict, sentences: list[str]
) -> None:
    make_surface()
    errors = check_problem(api.post(path, json=body), 422)["errors"]
    told = [f"{error['field']}: {error['message']}" for error in errors]
    assert len(told) == len(sentences)
    assert all(said.startswith(sentence) for said, sentence in zip(told, sentences, strict=True)), told


def bodies_of(kind: type[Body]) -> list[type[Body]]:
    below = [body for child in kind.__subclasses__() for body in bodies_of(child)]
    return [*below, *([kind] if kind.__module__.startswith("api.schemas.") else [])]


@pytest.mark.parametrize("body", bodies_of(Body), ids=lambda body: body.__name__)
def test_no_field_of_any_body_is_refused_in_the_words_of_pydantic(body: type[Body]) -> None:
    told: set[str] = set()
    for name in body.model_fields:
        for value in (None, True, 1, -1, 10**30, 1.5, "", "x", [], [None], [1], ["x"], {}, {"x": None}):
            try:
                body.model_validate_json(json.dumps({name: value}))
            except ValidationError as error:
                told |= {fault.message for fault in problems.faults_of(error) if fault.field.startswith(name)}
    assert not [message for message in told if message.startswith("should") or "valid " in message]


def test_missing_fields_are_all_named(api: httpx.Client) -> None:
    errors = check_problem(api.post("/v1/messages", json={}), 422)["errors"]
    assert [(error["field"], error["message"]) for error in errors] == [
        (name, "is missing") for name in ("surface", "to")
    ]


def test_far_more_faults_than_anybody_reads_are_counted_alone(api: httpx.Client) -> None:
    body = {"surface": "otp", "to": "+919876543210", "text": "hi", **{f"field {n}": 0 for n in range(10_001)}}
    problem = check_problem(api.post("/v1/messages", json=body), 422)
    assert problem["detail"] == "There are 10,001 faults in the body, too many to name them"
    assert "errors" not in problem
    del body["field 0"]
    assert len(check_problem(api.post("/v1/messages", json=body), 422)["errors"]) == 1_000


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data"])
def test_body_of_another_type_is_415(api: httpx.Client, media_type: str) -> None:
    answer = api.post("/v1/batches", content=b"{}\n", headers={"Content-Type": media_type})
    assert "application/json" in check_problem(answer, 415)["detail"]


def test_lines_are_415_where_one_object_is_expected(api: httpx.Client) -> None:
    answer = api.post("/v1/messages", content=b"{}\n", headers={"Content-Type": "application/x-ndjson"})
    assert "POST /v1/batches" in check_problem(answer, 415)["detail"]


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 65536


def test_body_over_the_limit_is_413_by_its_announced_length(api: httpx.Client) -> None:
    answer = api.post(
        "/v1/messages", content=b" " * (2 * 1024 * 1024 + 1), headers={"Content-Type": "application/json"}
    )
    assert "2 MiB" in check_problem(answer, 413)["detail"]


def test_body_over_the_limit_is_413_when_it_comes_in_chunks(api: httpx.Client) -> None:
    answer = api.post("/v1/messages", content=chunks(33), headers={"Content-Type": "application/json"})
    check_problem(answer, 413)


def test_batch_may_be_larger_than_other_bodies(api: httpx.Client) -> None:
    answer = api.post("/v1/batches", content=chunks(40), headers={"Content-Type": "application/json"})
    check_problem(answer, 422)


def test_bug_is_500_without_internals_and_its_log_line_without_values(
    api: httpx.Client, make_surface, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_surface()

    def broken(*_: object) -> None:
        raise RuntimeError("secret 919876543210")

    monkeypatch.setattr("api.single_sends.draft_messages", broken)
    body = check_problem(api.post("/v1/messages", json=SEND), 500)
    assert "secret" not in str(body)
    assert "RuntimeError" not in str(body)
    logged = "".join(capsys.readouterr())
    assert "RuntimeError" in logged
    assert "919876543210" not in logged


def test_access_line_names_the_route_template_only(
    api: httpx.Client, make_credential, capsys: pytest.CaptureFixture[str]
) -> None:
    credential = make_credential()
    capsys.readouterr()
    path = httpx.URL(credential["webhook_urls"]["reports"]).path
    answer = api.post(path, json={"results": []})
    api.get("/v1/messages", params={"to": "919876543210"})
    logged = "".join(capsys.readouterr())
    assert "/webhooks/infobip/{credential_id}/{token}/reports" in logged
    assert answer.headers["x-request-id"] in logged
    assert path.split("/")[4] not in logged
    assert "919876543210" not in logged


KINDS = {
    Refusal: (422, "Request cannot be accepted"),
    BadCursor: (422, "Not a cursor of this list"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    KeyReused: (409, "Idempotency-Key was used for another request"),
    SurfaceChanged: (409, "Conflict"),
    KeyBusy: (409, "The same request is still being worked on"),
    Gone: (410, "Gone"),
    StaleCursor: (410, "The cursor is from another database"),
    problems.Unauthorized: (401, "Not authorised"),
    problems.Forbidden: (403, "Scope missing"),
    problems.TooSlow: (408, "Body did not come in time"),
    problems.TooLarge: (413, "Body too large"),
    problems.UnsupportedBody: (415, "Body of another type expected"),
    problems.Unavailable: (503, "Unavailable for now"),
}


def kinds_below(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*(kinds_below(below) for below in kind.__subclasses__()))


def test_every_kind_of_refusal_has_its_status_and_title() -> None:
    found = {kind for kind in kinds_below(Refusal) if kind.__module__.startswith(("api.", "worker."))}
    assert {kind: (problems.status_of(kind), kind.title) for kind in found} == KINDS


@pytest.mark.parametrize("lock", ["SELECT 1 FROM surface FOR UPDATE", "LOCK TABLE message IN ACCESS EXCLUSIVE MODE"])
def test_database_lost_in_the_middle_is_503_with_retry_after(
    api: httpx.Client, engine: Engine, make_surface, lock: str
) -> None:
    make_surface()
    killer = threading.Thread(target=block_then_terminate, args=(engine, lock))
    killer.start()
    time.sleep(0.2)
    answer = api.post("/v1/batches", json={"surface": "otp", "text": "hi", "messages": [{"to": "+919876543210"}]})
    killer.join()
    check_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert api.get("/v1/batches").json()["items"] == []


def test_database_out_of_reach_is_503_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELIVERY_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/nothing")
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", SECRET_KEY)
    monkeypatch.setenv("DELIVERY_BOOTSTRAP_TOKEN", BOOTSTRAP)
    settings.cache_clear()
    app = create_app()

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {BOOTSTRAP}"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
        ):
            return [
                await client.get("/v1/batches"),
                await client.post("/v1/messages", json=SEND),
                await client.get("/readyz"),
                await client.get("/v1/batches", headers={"Authorization": "Bearer other"}),
                await client.post(f"/webhooks/infobip/{'0' * 32}/token/reports", json={"results": []}),
            ]

    for answer in asyncio.run(ask()):
        check_problem(answer, 503)
        assert answer.headers["retry-after"] == "2"
    monkeypatch.undo()
    settings.cache_clear()
    app.state.engine.dispose()


@pytest.mark.parametrize("keys", ["", "not-a-key"])
def test_start_without_usable_secret_keys_stops_with_the_variable_named(
    monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("DELIVERY_SECRET_KEYS", keys)
    settings.cache_clear()
    with pytest.raises(SystemExit, match="DELIVERY_SECRET_KEYS"):
        create_app()
    monkeypatch.undo()
    settings.cache_clear()


def test_lock_that_is_not_given_in_time_is_told_as_that(engine: Engine) -> None:
    """The database is there: somebody else holds what is asked for."""
    with engine.connect() as holder, engine.connect() as waiter:
        holder.execute(text("LOCK TABLE surface"))
        waiter.execute(text("SET LOCAL lock_timeout = '1ms'"))
        with pytest.raises(OperationalError) as waited:
            waiter.execute(text("SELECT FROM surface"))
    answer = problems.of_bug(waited.value)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert b"Somebody else is changing or using what this needs" in answer.body
