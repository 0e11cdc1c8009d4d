"""Whatever is pushed as inbound messages is answered 200, and what can be read of it counts, whatever stands beside it.

`DELIVERY_MORE_EXAMPLES=400` before it pushes ten thousand of each kind.
"""

import json
import os
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from tests.api.conftest import Make
from tests.worker.infobip.samples import INBOUND_SMS, PULLED_MMS, PUSHED_MMS, any_text

PAYLOADS = 25 * int(os.environ.get("DELIVERY_MORE_EXAMPLES", "1"))
READABLE_DEPTH = 300  # parsers give up at some thousand, and then with the whole body

MALFORMED = settings(
    max_examples=PAYLOADS,
    deadline=None,
    print_blob=True,
    # The database and what it holds are the same for all of them: each payload has IDs of its own.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


class Raw(str):
    """JSON as it is to stand there."""


class Pairs(list[tuple[str, Any]]):
    """An object, in which a key may stand more than once."""


def written(value: Any) -> str:
    match value:
        case Raw():
            return value
        case Pairs():
            return "{" + ",".join(f"{written(key)}:{written(item)}" for key, item in value) + "}"
        case dict():
            return written(Pairs(value.items()))
        case list():
            return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def nested(depth: int, opening: str, closing: str) -> Raw:
    return Raw(opening * depth + "1" + closing * depth)


KEYS = sorted({*INBOUND_SMS, *PUSHED_MMS, *PULLED_MMS, "mms_parts", "subject"})
PRICE_KEYS = ["pricePerMessage", "currency"]
PART_KEYS = ["contentType", "value", "url", "contentId"]

numbers = st.sampled_from(
    ["-0", "1e999", "-1e999", "NaN", "Infinity", "0e999999999", "1e-999999", "9" * 19, "9" * 400, "9" * 5_000, "-1"]
).map(Raw)
texts = any_text | st.sampled_from(
    [
        "",
        " ",
        "\0",
        "STOP\0",
        "\ud800",
        "\udc00\ud800",
        "stop",
        "ſtop",
        "ＳＴＯＰ",
        "İ" * 500,
        "\u0301" * 1_500,
        "x" * 11_000,
    ]
    + [
        "1e999999999",
        "0E+1999999999",
        "10E999999",
        "NaN",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2026-11-23T05:30",
    ]
    + ['{"mms_parts": ' + "[" * 2_000, '{"mms_parts": [7, {"contentType": "text/plain", "value": {}}]}', "{{keyword}}"]
)
depths = st.integers(1, READABLE_DEPTH)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | numbers
deep = st.builds(nested, depths, st.just("["), st.just("]")) | st.builds(nested, depths, st.just('{"a":'), st.just("}"))
junk = st.recursive(
    scalars | deep,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(texts | st.sampled_from(KEYS), inner), max_size=4).map(Pairs)
    ),
    max_leaves=4,
)


def objects(keys: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(st.sampled_from(keys), values), max_size=6).map(Pairs)


# Of every key another kind of thing, now and then the right one, some keys twice, and some that nobody knows.
parts = st.lists(junk | objects(PART_KEYS, junk | st.sampled_from(["text/plain", "image/jpeg"])), max_size=3)
values = junk | objects(PRICE_KEYS, scalars) | parts | st.builds(lambda some: {"mms_parts": some}, parts)
strange_items = junk | objects(KEYS, values | st.sampled_from(["919900000001", "+919200000009", "STOP"]))
harmless = [key for key in KEYS if key not in ("messageId", "from")]


@st.composite
def items(draw: st.DrawFn) -> tuple[list[Any], dict[str, str | None]]:
    """Some items; of those that must be kept: the action, by their ID. None: whatever the others in it make of it."""
    drawn: list[Any] = []
    kept: dict[str, str | None] = {}
    for kind in draw(st.lists(st.sampled_from(["strange", "hurt", "good"]), max_size=4)):
        message_id = str(uuid4())
        whose = {"messageId": message_id, "from": f"919{UUID(message_id).int % 10**9:09}"}
        match kind:
            case "strange":
                drawn.append(draw(strange_items))
            case "hurt":
                hurt = draw(objects(harmless, values))
                drawn.append(Pairs([*whose.items(), *hurt]))
                kept[message_id] = None
            case _:
                drawn.append({**INBOUND_SMS, **whose, "text": "STOP"})
                kept[message_id] = "opt_out"
    return drawn, kept


encodings = st.sampled_from(["utf-8", "utf-8-sig"])
invalid_bytes = st.sampled_from([b"", b"\xff", b"\xc3(", b"\x00", b"\xed\xa0\x80"])


@pytest.fixture
def path(make_credential: Make) -> str:
    return httpx.URL(make_credential(default_reply_message="Call us")["webhook_urls"]["inbound"]).path


def actions_of(engine: Engine, ids: list[str]) -> dict[str, str]:
    statement = text("SELECT provider_id, action FROM inbound_message WHERE provider_id = ANY(:ids)")
    with engine.connect() as connection:
        return {row.provider_id: row.action for row in connection.execute(statement, {"ids": ids})}


@pytest.mark.timeout(1800)  # for as many as somebody asks for
@MALFORMED
@given(drawn=items(), encoding=encodings, foreign=invalid_bytes, around=st.dictionaries(texts, junk, max_size=3))
def test_good_items_count_whatever_stands_beside_them(
    stranger: httpx.Client,
    engine: Engine,
    path: str,
    drawn: tuple[list[Any], dict[str, str | None]],
    encoding: str,
    foreign: bytes,
    around: dict[str, Any],
) -> None:
    pushed, kept = drawn
    envelope = Pairs([*((key, value) for key, value in around.items() if key != "results"), ("results", pushed)])
    # Bytes that are no UTF-8 stand in a text of their own item.
    body = written(envelope).encode(encoding).replace(b'"results":[', b'"results":["' + foreign + b'",', 1)
    body = body if pushed else written(envelope).encode(encoding)
    assert stranger.post(path, content=body).status_code == 200
    actions = actions_of(engine, list(kept))
    assert set(actions) == set(kept)
    assert {row: actions[row] for row, action in kept.items() if action} == {
        row: action for row, action in kept.items() if action
    }
    assert None not in actions.values()


whole = items().map(lambda drawn: written({"results": drawn[0], "messageCount": 1}).encode())
unreadable = (
    st.binary(max_size=200)
    | junk.map(lambda value: written(value).encode())
    | st.builds(lambda body, cut: body[: len(body) * cut // 100], whole, st.integers(0, 99))
    | st.builds(lambda body, at, byte: body[:at] + byte + body[at:], whole, st.integers(0, 200), st.binary(max_size=3))
    | st.builds(lambda body: body.decode().encode("utf-16"), whole)
    | st.builds(lambda value: written({"results": value}).encode(), junk)
    | st.sampled_from([b"[" * 100_000, b'{"results":' * 50_000, b'{"results":[' + b"[" * 5_000 + b"]" * 5_000 + b"]}"])
)


@pytest.mark.timeout(1800)
@MALFORMED
@given(body=unreadable)
def test_body_of_any_bytes_is_answered_200_and_the_next_push_counts(
    stranger: httpx.Client, engine: Engine, path: str, body: bytes
) -> None:
    assert stranger.post(path, content=body).status_code == 200
    good = {**INBOUND_SMS, "messageId": str(uuid4()), "text": "STOP"}
    assert stranger.post(path, json={"results": [good]}).status_code == 200
    assert actions_of(engine, [good["messageId"]]) == {good["messageId"]: "opt_out"}
