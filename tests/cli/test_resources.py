"""What an administrator sets up from a shell: every field of the API can be given, changed and cleared, and no secret
has to be typed where others see it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session

from cli.credentials import CREDENTIAL
from cli.dlt_templates import TEMPLATE
from cli.event_endpoints import ENDPOINT
from cli.resources import Field, Resource
from cli.surfaces import SURFACE
from tests.cli.shell import Delivery, failure
from tests.cli.terminal import at_terminal

RESOURCES = (CREDENTIAL, SURFACE, ENDPOINT, TEMPLATE)
KEY = "0123456789abcdef"
ADDRESS = "https://abc123.api.infobip.com"

each_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.noun)


@pytest.fixture(scope="module")
def openapi(address: str) -> dict[str, Any]:
    """The API's own description of itself."""
    document: dict[str, Any] = httpx.get(f"{address}/openapi.json", trust_env=False).json()
    return document


@pytest.fixture(autouse=True)
def _nothing_is_set_up(session: Session) -> None:
    pass


def properties(openapi: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    """The fields of a call's body, by name, and whether it must have each."""
    body = openapi["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    schema = openapi["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else body
    return {
        name: {**field, "needed": name in schema.get("required", ())} for name, field in schema["properties"].items()
    }


def is_nullable(field: dict[str, Any]) -> bool:
    return {"type": "null"} in field.get(
        "anyOf", [{"type": "null"}] if "type" not in field and "$ref" not in field else []
    )


def types_of(field: dict[str, Any]) -> set[str]:
    return {item.get("type", "any") for item in field.get("anyOf", [field])} - {"null"}


@each_resource
def test_every_field_of_the_api_is_an_option_of_its_kind(resource: Resource, openapi: dict[str, Any]) -> None:
    described = properties(openapi, resource.path, "post")
    assert {field.name for field in resource.fields} == set(described)
    assert {field.name for field in resource.fields if field.is_needed} == {
        name for name, field in described.items() if field["needed"]
    }
    kinds = {str: "string", int: "integer", bool: "boolean", list: "array"}
    for field in resource.fields:
        if field.kind in kinds:
            assert {kinds[field.kind], "any"} & types_of(described[field.name]), field.name


@each_resource
def test_what_can_be_changed_and_cleared_is_what_the_api_lets_change_and_clear(
    resource: Resource, openapi: dict[str, Any]
) -> None:
    (path,) = [path for path in openapi["paths"] if path.startswith(f"{resource.path}/{{") and path.endswith("}")]
    described = properties(openapi, path, "patch")
    assert {field.name for field in resource.changeable} == set(described)
    clearable = {name for name, field in described.items() if is_nullable(field) or "array" in types_of(field)}
    assert {field.name for field in resource.changeable if field.can_be_unset} == clearable


# Credentials and surfaces, from the first to the last


def create_credential(delivery: Delivery, *options: str, name: str = "kite") -> Any:
    done = delivery(
        *("credentials", "create", "--name", name, "--base-url", ADDRESS, "--json", *options), INFOBIP_API_KEY=KEY
    )
    assert (done.code, done.err) == (0, "")
    return done.json


def test_credential_is_created_listed_changed_cleared_and_deleted(
    at_home: Delivery, administrator: httpx.Client
) -> None:
    created = create_credential(
        at_home,
        *("--opt-out-keywords", "STOP, END", "--opt-out-message", "You are out", "--messages-per-second", "50"),
        *("--inbound-pull", "yes", "--callback-data", "by default"),
    )
    assert created == administrator.get("/v1/credentials/kite").json()
    assert (created["opt_out_keywords"], created["messages_per_second"]) == (["STOP", "END"], 50)
    assert (created["inbound_pull"], created["api_key_hint"]) == (True, "cdef")

    heading, row = at_home("credentials", "list").out.splitlines()
    assert heading.split()[:3] == ["name", "base_url", "api_key_hint"]
    assert row.split()[:4] == ["kite", ADDRESS, "cdef", "50"]
    shown = at_home("credentials", "get", "kite").out
    assert "You are out" in shown
    assert KEY not in shown
    assert "lanes:" in shown.splitlines()

    changed = at_home(
        *("credentials", "update", "kite", "--name", "kite-eu", "--inbound-pull", "no", "--json"),
        *("--unset", "messages-per-second", "--unset", "opt_out_keywords", "--unset", "callback_data"),
    ).json
    given = {"name": "kite-eu", "inbound_pull": False, "messages_per_second": None, "callback_data": None}
    left = {**created, **given, "opt_out_keywords": [], "updated_at": changed["updated_at"]}
    assert changed == left

    assert at_home("credentials", "resume", "kite-eu").code == 0
    assert at_home("credentials", "delete", "kite-eu", "--yes") == (0, "", "")
    assert at_home("credentials", "list").out == "there is no credential yet\n"


def test_surface_is_created_from_a_file_and_an_option_wins(at_home: Delivery, tmp_path: Path) -> None:
    create_credential(at_home)
    fields = {"name": "orders", "channel": "sms", "message_type": "marketing", "credential": "kite", "sender": "KITEBK"}
    (tmp_path / "surface.json").write_text(json.dumps({**fields, "require_opt_in": True}))
    options = ("--sender", "KITE", "--validity-period", "PT6H", "--description", "a [b]")
    created = at_home("surfaces", "create", "--from-file", "surface.json", *options, "--json").json
    assert (created["sender"], created["require_opt_in"], created["validity_period"]) == ("KITE", True, "PT6H")
    typed = json.dumps({"description": None}).encode()
    changed = at_home("surfaces", "update", "orders", "--from-file", "-", "--json", typed=typed).json
    assert changed == {**created, "description": None, "updated_at": changed["updated_at"]}
    assert at_home("surfaces", "delete", "orders", "--yes").code == 0


def test_surface_says_how_and_when_its_texts_go(at_home: Delivery) -> None:
    create_credential(at_home, "--rate-unit", "segments")
    fixed = ("--channel", "mms", "--message-type", "transactional", "--credential", "kite")
    options = ("--dlt", "warn", "--transliteration", "GREEK", "--language", "TR", "--fallback-sender", "KITES")
    window = ("--sending-window", "09:00-18:00 recipient MON,FRI")
    named = ("surfaces", "create", "--name", "pictures", "--sender", "KITE", "--json")
    created = at_home(*named, *fixed, *options, *window).json
    assert (created["dlt"], created["transliteration"], created["fallback_sender"]) == ("warn", "GREEK", "KITES")
    assert created["language"] == {"code": "TR", "single_shift": False, "locking_shift": False}
    hours = {"days": ["MONDAY", "FRIDAY"], "from": "09:00", "to": "18:00", "time_zone": "recipient"}
    assert created["sending_window"] == hours

    update = ("surfaces", "update", "pictures", "--json")
    language = '{"code": "ES", "single_shift": true}'
    changed = at_home(*update, "--language", language, "--sending-window", "off", "--window-off-reason", "codes").json
    assert (changed["language"]["code"], changed["language"]["single_shift"]) == ("ES", True)
    assert (changed["sending_window"], changed["window_off_reason"]) == ("off", "codes")
    names = ("transliteration", "language", "sending_window", "window_off_reason", "fallback_sender")
    cleared = at_home(*update, *(word for name in names for word in ("--unset", name))).json
    assert [cleared[name] for name in names] == [None] * 5


# Secrets


def test_key_is_read_from_standard_input_and_from_no_variable_where_it_is_not_asked_for(at_home: Delivery) -> None:
    create_credential(at_home)
    typed = b"another-key-9876\n"
    done = at_home("credentials", "update", "kite", "--api-key", "-", "--json", typed=typed)
    assert done.json["api_key_hint"] == "9876"
    # The variable is still set, and yet the key stays what it is.
    done = at_home(
        "credentials", "update", "kite", "--callback-data", "x", "--json", INFOBIP_API_KEY="of-somebody-else"
    )
    assert done.json["api_key_hint"] == "9876"
    empty = at_home("credentials", "update", "kite", "--api-key", "-")
    assert failure(empty) == "standard input is empty: --api-key - reads its first line\n"


def test_key_is_asked_for_on_a_terminal_and_not_shown(address: str, token: str) -> None:
    said = at_terminal(
        address,
        token,
        "credentials",
        "create",
        "--name",
        "kite",
        "--base-url",
        ADDRESS,
        answers={"api key:": KEY},
        hidden=True,
    )
    assert KEY not in said
    assert "cdef" in said


# What is asked, and what is refused


@pytest.mark.parametrize(("reply", "is_gone"), [("y", True), ("n", False)])
def test_delete_asks_on_a_terminal(
    address: str, token: str, administrator: httpx.Client, at_home: Delivery, reply: str, is_gone: bool
) -> None:
    create_credential(at_home)
    at_terminal(address, token, "credentials", "delete", "kite", answers={"Delete the credential kite? [y/N]:": reply})
    assert (administrator.get("/v1/credentials/kite").status_code == 404) == is_gone


def test_nothing_is_deleted_where_nobody_can_be_asked(at_home: Delivery, administrator: httpx.Client) -> None:
    create_credential(at_home)
    assert failure(at_home("credentials", "delete", "kite")).startswith("there is no terminal to ask on: give --yes")
    assert administrator.get("/v1/credentials/kite").status_code == 200


REFUSED = {
    ("credentials", "create", "--name", "kite"): "--base-url, --api-key must be given, as an option or as a field of ",
    ("credentials", "update", "kite"): "nothing is given that could change: ",
    ("credentials", "update", "kite", "--unset", "name"): "name cannot be unset: fields that can are opt_in_keywords, ",
    ("credentials", "get", "nobody"): "There is no credential of this name or id (404)",
    ("credentials", "create", "--from-file", "none.json"): "cannot read none.json: No such file or directory",
    ("surfaces", "create", "--from-file", "list.json"): "list.json must hold one JSON object with the fields",
    ("surfaces", "create", "--from-file", "bad.json"): "bad.json is not JSON: ",
    ("surfaces", "update", "orders", "--language", "{TR}"): "--language: begins with { and is not JSON: ",
    ("surfaces", "update", "orders", "--sending-window", "10-21"): "--sending-window: '10-21' is no sending window: ",
    ("credentials", "create", "--api-key", "-", "--from-file", "-"): "standard input cannot be both --api-key and ",
}


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_what_cannot_be_is_one_line_that_says_what_to_do(
    at_home: Delivery, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "bad.json").write_text("{")
    assert failure(at_home(*command, typed=b"{}")).startswith(REFUSED[command])


def test_option_stands_for_each_field() -> None:
    assert Field("opt_in_message", "").option == "--opt-in-message"
