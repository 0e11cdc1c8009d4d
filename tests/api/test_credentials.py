import threading
import time

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.api.conftest import check_problem
from worker.models import Credential, Lane
from worker.secrets import decrypt

BODY = {"name": "main", "base_url": "https://abc123.api.infobip.com", "api_key": "0123456789abcdef"}
REPLIES = [
    "opt_in_message",
    "opt_out_message",
    "help_message",
    "double_opt_in_message",
    "default_reply_message",
    "fuzzy_opt_out_message",
]


def test_every_field_of_the_form_is_kept_and_given_back(api: httpx.Client) -> None:
    fields = {
        "opt_in_keywords": ["START", "YES"],
        "opt_in_message": "Welcome",
        "opt_out_keywords": ["STOP"],
        "opt_out_message": "Bye",
        "help_keywords": ["HELP"],
        "help_message": "Call us",
        "double_opt_in_keywords": ["JOIN"],
        "double_opt_in_message": "Sure?",
        "principal_entity_id": "1234567890123456789",
        "content_template_id": "9876543210987654321",
        "validity_period_hours": 6,
        "callback_data": '{"team": "नमस्ते"}',
        "inbound_number": "447491163443",
        "custom_keywords": ["INFO"],
        "default_reply_message": "Thanks",
        "fuzzy_opt_out_message": "Did you mean STOP?",
        "inbound_pull": True,
        "messages_per_second": 50,
    }
    made = api.post("/v1/credentials", json={**BODY, **fields})
    assert made.status_code == 201
    assert {name: made.json()[name] for name in fields} == fields
    assert api.get(f"/v1/credentials/{made.json()['id']}").json() == made.json()
    assert api.get("/v1/credentials/main").json() == made.json()


def test_defaults_are_those_of_the_form(make_credential) -> None:
    credential = make_credential()
    assert credential["validity_period_hours"] == 48
    assert credential["messages_per_second"] is None
    assert credential["opt_out_keywords"] == []


def test_key_is_write_only_and_encrypted_at_rest(api: httpx.Client, session: Session) -> None:
    made = api.post("/v1/credentials", json=BODY, headers={"Idempotency-Key": "k"})
    assert made.json()["api_key_hint"] == "cdef"
    assert BODY["api_key"] not in made.text
    row = session.exec(select(Credential)).one()
    assert decrypt(row.api_key) == BODY["api_key"]
    token = httpx.URL(made.json()["webhook_urls"]["reports"]).path.split("/")[4]
    for table in ("credential", "idempotency_key"):
        dump = session.execute(text(f"SELECT string_agg(t::text, '') FROM {table} t")).scalar_one()
        kept = session.execute(text("SELECT answer FROM idempotency_key")).scalar_one()
        assert BODY["api_key"] not in dump
        assert token not in dump
        assert token.encode() not in bytes(kept)


def test_hint_of_a_short_key_gives_nothing_away(make_credential) -> None:
    assert make_credential(api_key="abcd")["api_key_hint"] == ""


def test_lanes_of_every_channel_and_type_come_with_the_credential(make_credential) -> None:
    lanes = make_credential()["lanes"]
    assert {(lane["channel"], lane["message_type"]) for lane in lanes} == {
        (channel, kind) for channel in ("sms", "mms") for kind in ("transactional", "marketing")
    }
    assert all(lane["held_until"] is None and lane["reason"] is None for lane in lanes)


def test_keywords_may_be_one_text_with_commas(make_credential) -> None:
    assert make_credential(opt_out_keywords=" STOP, END,,STOP ")["opt_out_keywords"] == ["STOP", "END"]


@pytest.mark.parametrize(
    ("lists", "fields"),
    [
        ({"opt_in_keywords": "START, Stop"}, ["opt_in_keywords"]),
        ({"custom_keywords": ["opt-out"]}, ["custom_keywords"]),
        ({"custom_keywords": ["Yes"]}, ["custom_keywords"]),
        ({"help_keywords": ["JOIN"], "double_opt_in_keywords": ["join!"]}, ["double_opt_in_keywords"]),
        ({"help_keywords": ["?"]}, ["help_keywords"]),
        ({"opt_in_keywords": ["END"], "custom_keywords": ["NO", "!"]}, ["custom_keywords"] * 2 + ["opt_in_keywords"]),
    ],
)
def test_keywords_that_contradict_each_other_or_the_law_are_422_naming_the_lists(
    api: httpx.Client, lists: dict, fields: list[str]
) -> None:
    body = check_problem(api.post("/v1/credentials", json={**BODY, **lists}), 422)
    assert sorted(error["field"] for error in body["errors"]) == fields
    assert all(error["message"] in body["detail"] for error in body["errors"])
    assert api.get("/v1/credentials").json()["items"] == []


def test_fault_says_when_the_other_keyword_is_a_default(api: httpx.Client) -> None:
    body = check_problem(api.post("/v1/credentials", json={**BODY, "custom_keywords": ["YES"]}), 422)
    assert body["errors"] == [
        {
            "field": "custom_keywords",
            "message": "YES is in opt_in_keywords by default: set opt_in_keywords without it, or leave it out here",
        }
    ]


@pytest.mark.parametrize(
    ("stored", "changes", "field"),
    [
        ({"custom_keywords": ["JOIN"]}, {"help_keywords": ["join"]}, "help_keywords"),
        ({"help_keywords": ["JOIN"]}, {"custom_keywords": ["join"]}, "custom_keywords"),
        ({}, {"double_opt_in_keywords": ["YES"]}, "double_opt_in_keywords"),
        ({"opt_in_keywords": ["START"], "custom_keywords": ["YES"]}, {"opt_in_keywords": []}, "opt_in_keywords"),
        ({"custom_keywords": ["JOIN"]}, {"help_keywords": ["JOIN"], "custom_keywords": []}, None),
        ({}, {"opt_in_keywords": ["START"], "custom_keywords": ["YES"]}, None),
    ],
)
def test_patch_of_keywords_is_judged_with_the_lists_that_stay(
    api: httpx.Client, make_credential, stored: dict, changes: dict, field: str | None
) -> None:
    before = make_credential(**stored)
    answer = api.patch("/v1/credentials/main", json=changes)
    after = api.get("/v1/credentials/main").json()
    if field is None:
        assert answer.status_code == 200
        assert {name: after[name] for name in changes} == changes
    else:
        assert [error["field"] for error in check_problem(answer, 422)["errors"]] == [field]
        assert after == before


def test_stored_keywords_at_fault_bar_only_changes_of_keywords(
    api: httpx.Client, engine: Engine, make_credential
) -> None:
    make_credential()
    with engine.begin() as connection:
        connection.execute(text("UPDATE credential SET custom_keywords = '{STOP}'"))
    assert api.patch("/v1/credentials/main", json={"help_message": "Hi"}).status_code == 200
    answer = api.patch("/v1/credentials/main", json={"help_keywords": ["HELP"]})
    assert [error["field"] for error in check_problem(answer, 422)["errors"]] == ["custom_keywords"]
    assert api.patch("/v1/credentials/main", json={"custom_keywords": []}).status_code == 200


@pytest.mark.parametrize("field", REPLIES)
@pytest.mark.parametrize("nothing", [None, "", " \n"])
def test_reply_that_is_empty_is_not_set(api: httpx.Client, make_credential, field: str, nothing: str | None) -> None:
    assert make_credential(**{field: nothing})[field] is None
    assert api.patch("/v1/credentials/main", json={field: "Hi"}).json()[field] == "Hi"
    assert api.patch("/v1/credentials/main", json={field: nothing}).json()[field] is None


@pytest.mark.parametrize("field", REPLIES)
def test_reply_is_measured_in_bytes_as_messages_are(api: httpx.Client, make_credential, field: str) -> None:
    assert make_credential(**{field: "é" * 2000})[field] == "é" * 2000
    for too_much in ("x" * 4001, "é" * 2000 + "x"):
        (error,) = check_problem(api.patch("/v1/credentials/main", json={field: too_much}), 422)["errors"]
        assert error == {"field": field, "message": "has 4,001 bytes in UTF-8: at most 4,000 fit"}


def test_bare_host_gets_https(make_credential) -> None:
    assert make_credential(base_url="ABC123.api.infobip.com/")["base_url"] == "https://abc123.api.infobip.com"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "01a20415-6a96-7532-87e0-8f945c115ef7"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"base_url": "https://evil.example"}, "base_url"),
        ({"base_url": "http://abc.api.infobip.com"}, "base_url"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": "line\r\nbreak"}, "api_key"),
        ({"validity_period_hours": 0}, "validity_period_hours"),
        ({"validity_period_hours": 49}, "validity_period_hours"),
        ({"validity_period_hours": "6"}, "validity_period_hours"),
        ({"validity_period_hours": 6.5}, "validity_period_hours"),
        ({"opt_out_keywords": 7}, "opt_out_keywords"),
        ({"opt_out_keywords": [7]}, "opt_out_keywords"),
        ({"opt_out_keywords": ["a\0"]}, "opt_out_keywords.0"),
        ({"opt_in_message": "a\0"}, "opt_in_message"),
        ({"opt_in_message": 7}, "opt_in_message"),
        ({"callback_data": "x" * 4001}, "callback_data"),
        ({"principal_entity_id": "12"}, "principal_entity_id"),
        ({"inbound_pull": "yes"}, "inbound_pull"),
        ({"inbound_number": "98765 43210"}, "inbound_number"),
        ({"inbound_number": "09876543210"}, "inbound_number"),
        ({"inbound_number": "0123456"}, "inbound_number"),
        ({"inbound_number": "+09876543210"}, "inbound_number"),
        ({"inbound_number": "+56767"}, "inbound_number"),
        ({"inbound_number": "+KITEBK"}, "inbound_number"),
        ({"inbound_number": "91+9876543210"}, "inbound_number"),
        ({"inbound_number": "9198765432109876"}, "inbound_number"),
        ({"messages_per_second": 0}, "messages_per_second"),
        ({"webhook_token": "mine"}, "webhook_token"),
    ],
)
def test_value_that_a_field_cannot_hold_is_422_naming_it(api: httpx.Client, change: dict, field: str) -> None:
    answer = api.post("/v1/credentials", json={**BODY, **change})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.get("/v1/credentials").json()["items"] == []


def test_name_is_unique(api: httpx.Client, make_credential) -> None:
    make_credential()
    make_credential(name="other")
    answer = api.post("/v1/credentials", json=BODY)
    assert answer.status_code == 409
    assert '"main"' in answer.json()["detail"]
    assert api.patch("/v1/credentials/other", json={"name": "main"}).status_code == 409


def test_patch_changes_what_is_given_and_null_clears(api: httpx.Client, make_credential) -> None:
    before = make_credential(callback_data="x", opt_out_keywords=["STOP"], messages_per_second=5)
    changes = {"callback_data": None, "messages_per_second": None, "help_message": "Hi"}
    after = api.patch("/v1/credentials/main", json=changes).json()
    assert after.pop("updated_at") > before.pop("updated_at")
    assert after == {**before, **changes}


@pytest.mark.parametrize("field", ["name", "base_url", "api_key", "validity_period_hours", "inbound_pull"])
def test_patch_cannot_clear_what_a_credential_needs(api: httpx.Client, make_credential, field: str) -> None:
    make_credential()
    answer = api.patch("/v1/credentials/main", json={field: None})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def hold(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE lane SET kind = 'account', reason = 'EC_NO_CREDIT', held_until = now()"))


@pytest.mark.parametrize(
    ("changes", "grows"),
    [
        ({"api_key": "another-key-0000"}, 1),
        ({"base_url": "https://other.api.infobip.com"}, 1),
        ({"base_url": "https://abc123.api.infobip.com/"}, 0),
        ({"help_message": "Hi"}, 0),
    ],
)
def test_new_key_or_address_raises_the_version_and_ends_holds(
    api: httpx.Client, engine: Engine, session: Session, make_credential, changes: dict, grows: int
) -> None:
    make_credential()
    hold(engine)
    after = api.patch("/v1/credentials/main", json=changes).json()
    assert session.exec(select(Credential.version)).one() == 1 + grows
    assert [lane["reason"] for lane in after["lanes"]] == [None if grows else "EC_NO_CREDIT"] * 4


def test_resume_ends_holds(api: httpx.Client, engine: Engine, session: Session, make_credential) -> None:
    make_credential()
    hold(engine)
    assert all(lane["reason"] for lane in api.get("/v1/credentials/main").json()["lanes"])
    after = api.post("/v1/credentials/main/resume")
    assert after.status_code == 200
    assert not any(lane["reason"] for lane in after.json()["lanes"])
    assert session.exec(select(Lane.kind)).all() == [None] * 4


def test_held_credential_still_accepts(api: httpx.Client, engine: Engine, make_surface) -> None:
    make_surface()
    hold(engine)
    answer = api.post("/v1/messages", json={"surface": "otp", "to": "+919876543210", "text": "hi"})
    assert answer.status_code == 202


def test_deleted_credential_is_404_and_its_name_free_again(api: httpx.Client, make_credential) -> None:
    first = make_credential()
    assert api.delete("/v1/credentials/main").status_code == 204
    for call in (api.get, api.delete):
        assert call("/v1/credentials/main").status_code == 404
        assert call(f"/v1/credentials/{first['id']}").status_code == 404
    assert api.get("/v1/credentials").json()["items"] == []
    assert make_credential()["id"] != first["id"]


def test_credential_in_use_is_not_deleted_and_says_by_whom(api: httpx.Client, make_surface) -> None:
    make_surface(name="otp")
    make_surface(name="offers", message_type="marketing")
    answer = api.delete("/v1/credentials/main")
    assert answer.status_code == 409
    assert "offers, otp" in answer.json()["detail"]


def test_credential_with_messages_on_their_way_is_not_deleted(api: httpx.Client, engine: Engine, make_surface) -> None:
    make_surface()
    api.post("/v1/messages", json={"surface": "otp", "to": "+919876543210", "text": "hi"})
    with engine.begin() as connection:
        connection.execute(text("UPDATE surface SET deleted_at = now()"))
    answer = api.delete("/v1/credentials/main")
    assert answer.status_code == 409
    assert "1 message" in answer.json()["detail"]


def test_list_is_newest_first_and_its_pages_join_without_gap(api: httpx.Client, make_credential) -> None:
    names = [f"c{number}" for number in range(5)]
    for name in names:
        make_credential(name=name)
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = api.get("/v1/credentials", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == names[::-1]
    assert cursor is None


def test_surface_made_while_its_credential_is_deleted_waits_and_is_refused(
    api: httpx.Client, engine: Engine, make_credential
) -> None:
    make_credential()
    with engine.connect() as deleting:
        deleting.execute(text("SELECT FROM credential FOR UPDATE"))
        deleting.execute(text("UPDATE credential SET deleted_at = now()"))
        answers: list[httpx.Response] = []
        body = {"name": "s", "channel": "sms", "message_type": "marketing", "sender": "A", "credential": "main"}
        thread = threading.Thread(target=lambda: answers.append(api.post("/v1/surfaces", json=body)))
        thread.start()
        time.sleep(0.3)
        assert not answers
        deleting.commit()
        thread.join()
    assert answers[0].status_code == 422
    assert answers[0].json()["errors"][0]["field"] == "credential"


@pytest.mark.parametrize(
    ("before", "change", "is_another"),
    [
        ("https://abc123.api.infobip.com", {"api_key": "another-key-1234"}, False),
        ("https://abc123.api.infobip.com", {"base_url": "https://xyz789.api.infobip.com"}, True),
        ("https://api.infobip.com", {"api_key": "another-key-1234"}, True),  # the host does not tell whose key it is
        ("https://api.infobip.com", {"api_key": "0123456789abcdef"}, False),
        ("https://api.infobip.com", {"name": "renamed"}, False),
    ],
)
def test_another_account_is_known_from_the_change_on(
    api: httpx.Client, session: Session, make_credential, before, change, is_another
) -> None:
    credential_id = make_credential(base_url=before)["id"]
    assert api.patch(f"/v1/credentials/{credential_id}", json=change).status_code == 200
    row = session.exec(select(Credential)).one()
    assert (row.account_since == row.version) is (is_another or row.version == 1)
    assert (row.account_since > 1) is is_another


@pytest.mark.parametrize(
    "number", ["919876543210", "+919876543210", "00919876543210", "9876543", "56767", "098765", "KITEBK", None]
)
def test_inbound_number_is_kept_as_it_is_written(make_credential, number: str | None) -> None:
    assert make_credential(inbound_number=number)["inbound_number"] == number


def test_inbound_number_in_a_national_form_is_told_what_to_write(api: httpx.Client, make_credential) -> None:
    make_credential()
    body = check_problem(api.patch("/v1/credentials/main", json={"inbound_number": "09876543210"}), 422)
    assert body["errors"][0]["message"].endswith("write it with its country code, such as 919876543210")
