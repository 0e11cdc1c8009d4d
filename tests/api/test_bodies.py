"""Bodies: what is read of them, and what is refused before it takes memory."""

import asyncio
import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

import httpx
import pytest
from anyio import CapacityLimiter
from sqlmodel import Session, select

from api import bodies
from tests.api.conftest import check_problem
from tests.processes import wait_for
from worker.models import Batch

MEBIBYTE = 1024 * 1024
BATCH = b'{"surface": "otp", "text": "hi", "messages": [{"to": "+919876543210"}]}'
JSON = {"Content-Type": "application/json"}


def post(api: httpx.Client, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return api.post("/v1/batches", content=body, headers={**JSON, **headers})


# Compressed ones


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "nonsense"])
@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/v1/messages", "application/json"),
        ("/v1/batches", "application/json"),
        ("/v1/batches", "application/x-ndjson"),
        ("/v1/consents/import", "application/x-ndjson"),
    ],
)
def test_encoded_body_is_415_and_says_so(api: httpx.Client, path: str, media_type: str, encoding: str) -> None:
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    problem = check_problem(api.post(path, content=b"\x1f\x8b", headers=headers), 415)
    assert "without Content-Encoding" in problem["detail"]


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_body_that_is_said_to_be_as_it_is_is_read(api: httpx.Client, make_surface: Any, encoding: str) -> None:
    make_surface()
    assert post(api, BATCH, **{"Content-Encoding": encoding}).status_code == 202


# Large ones


def test_more_large_ones_at_once_than_fit_are_told_to_come_later_and_small_ones_go_on(
    api: httpx.Client, make_surface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    places: list[CapacityLimiter] = []
    go_on: list[int] = []
    answers: list[int] = []
    large = b" " * 2 * MEBIBYTE + BATCH
    place_among = bodies.place_among

    def noted(limiter: CapacityLimiter, *request: Any) -> Any:
        places.append(limiter)
        return place_among(limiter, *request)

    monkeypatch.setattr(bodies, "place_among", noted)

    def slow() -> Iterator[bytes]:
        yield large[:-10]
        wait_for(lambda: go_on)
        yield large[-10:]

    def one() -> None:
        with httpx.Client(base_url=api.base_url, headers=api.headers, timeout=30) as other:
            answers.append(post(other, slow()).status_code)

    threads = [Thread(target=one) for _ in range(bodies.MOST_LARGE_AT_ONCE)]
    for thread in threads:
        thread.start()
    wait_for(lambda: places and places[0].borrowed_tokens == len(threads))
    refused = post(api, large)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    assert post(api, BATCH).status_code == 202
    assert post(api, iter([BATCH])).status_code == 202
    go_on.append(1)
    for thread in threads:
        thread.join()
    assert answers == [202] * len(threads)
    assert post(api, large).status_code == 202


@pytest.mark.parametrize("body", [b" " * 2 * MEBIBYTE + b"{", b" " * 33 * MEBIBYTE])
def test_large_one_that_is_refused_leaves_its_place(api: httpx.Client, body: bytes) -> None:
    found = {post(api, body).status_code for _ in range(bodies.MOST_LARGE_AT_ONCE + 1)}
    assert found <= {413, 422}


def test_large_one_is_checked_and_parsed_beside_the_event_loop(
    api: httpx.Client, make_surface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    loops: list[bool] = []
    posted = bodies.JsonBody._posted

    def noted(json: bodies.JsonBody[Any], request: Any, raw: bytes) -> Any:
        loops.append(asyncio._get_running_loop() is not None)
        return posted(json, request, raw)

    monkeypatch.setattr(bodies.JsonBody, "_posted", noted)
    assert post(api, BATCH).status_code == 202
    assert post(api, b" " * 2 * MEBIBYTE + BATCH).status_code == 202
    assert loops == [True, False]


def test_large_one_that_does_not_come_leaves_its_place(
    api: httpx.Client, session: Session, make_surface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_surface()
    monkeypatch.setattr(bodies, "LARGE_SECONDS", 0.2)

    def slow() -> Iterator[bytes]:
        yield b" " * (2 * MEBIBYTE + 1)
        time.sleep(0.6)
        yield BATCH

    for _ in range(bodies.MOST_LARGE_AT_ONCE + 1):
        assert "send it again" in check_problem(post(api, slow()), 408)["detail"]
    assert session.exec(select(Batch.id)).all() == []


@pytest.mark.parametrize("row", [b"{}", b'""', b"[]", b"0", b'{"to":"1"}'])
def test_one_with_far_more_than_its_rows_is_refused_before_it_is_parsed(api: httpx.Client, row: bytes) -> None:
    """Its end is missing, which only who parses it finds."""
    body = b'{"surface": "otp", "text": "hi", "messages": [' + (row + b",") * (31 * MEBIBYTE // (len(row) + 1))
    problem = check_problem(post(api, body), 422)
    assert [error["field"] for error in problem["errors"]] == ["messages"]
    assert "send several, each of at most 10,000 rows" in problem["detail"]


@pytest.mark.timeout(120)
def test_one_of_10_000_rows_with_66_variables_each_is_taken(api: httpx.Client, make_surface: Any) -> None:
    make_surface()
    variables = b",".join(b'"n%d":"v"' % n for n in range(66))
    rows = b",".join(b'{"to":"+91991%07d","variables":{%s}}' % (n, variables) for n in range(10_000))
    answer = post(api, b'{"surface": "otp", "text": "hi {{n65}}", "messages": [' + rows + b"]}")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 10_000)
