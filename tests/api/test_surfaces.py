import httpx
import pytest
from sqlalchemy import Engine, text

BODY = {"name": "otp", "channel": "sms", "message_type": "transactional", "sender": "ACME", "credential": "main"}


def test_every_field_is_kept_and_given_back(api: httpx.Client, make_credential) -> None:
    credential = make_credential()
    fields = {
        **BODY,
        "description": "One-time passwords",
        "principal_entity_id": "1234567890123456789",
        "content_template_id": "9876543210987654321",
        "callback_data": "otp",
        "validity_period": "PT5M",
        "default_country": "IN",
        "sending_window": "off",
        "window_off_reason": "people wait for it",
    }
    made = api.post("/v1/surfaces", json=fields)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in fields} == fields
    assert made.json()["credential_id"] == credential["id"]
    assert api.get(f"/v1/surfaces/{made.json()['id']}").json() == made.json()
    assert api.get("/v1/surfaces/otp").json() == made.json()
    assert api.get("/v1/surfaces").json()["items"] == [made.json()]


def test_credential_may_be_named_by_id(api: httpx.Client, make_credential) -> None:
    credential = make_credential()
    assert api.post("/v1/surfaces", json={**BODY, "credential": credential["id"]}).json()["credential"] == "main"


@pytest.mark.parametrize(("given", "kept"), [("PT10S", "PT10S"), ("P2D", "PT48H"), ("PT90M", "PT1H30M")])
def test_validity_period_is_given_back_in_its_shortest_form(make_surface, given: str, kept: str) -> None:
    assert make_surface(validity_period=given)["validity_period"] == kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "1st"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a1a20415-6a96-7532-87e0-8f945c115ef7"}, "name"),
        ({"channel": "rcs"}, "channel"),
        ({"message_type": "spam"}, "message_type"),
        ({"credential": "nobody"}, "credential"),
        ({"sender": ""}, "sender"),
        ({"sender": "x" * 21}, "sender"),
        ({"sender": " A"}, "sender"),
        ({"sender": "A\n"}, "sender"),
        ({"validity_period": "PT1S"}, "validity_period"),
        ({"default_country": "India"}, "default_country"),
        ({"default_country": "ZZ"}, "default_country"),
        ({"window_off_reason": "why"}, "window_off_reason"),
        ({"sending_window": "off"}, "window_off_reason"),
    ],
)
def test_value_that_a_field_cannot_hold_is_422_naming_it(
    api: httpx.Client, make_credential, change: dict, field: str
) -> None:
    make_credential()
    answer = api.post("/v1/surfaces", json={**BODY, **change})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("change", [{"countries": ["IN"]}], ids=str)
def test_promise_that_is_not_kept_yet_is_refused(api: httpx.Client, make_surface, change: dict) -> None:
    make_surface()
    for answer in (
        api.post("/v1/surfaces", json={**BODY, "name": "other", **change}),
        api.patch("/v1/surfaces/otp", json=change),
    ):
        assert answer.status_code == 422
        assert "not available in this release" in answer.json()["errors"][0]["message"]


def test_surface_that_requires_opt_in_is_for_marketing(api: httpx.Client, make_surface) -> None:
    assert make_surface(name="offers", message_type="marketing", require_opt_in=True)["require_opt_in"]
    for given in (False, True):
        assert api.patch("/v1/surfaces/offers", json={"require_opt_in": given}).json()["require_opt_in"] is given


def test_opt_in_for_transactional_messages_is_refused_and_changes_nothing(api: httpx.Client, make_surface) -> None:
    before = make_surface()
    for answer in (
        api.post("/v1/surfaces", json={**BODY, "name": "other", "require_opt_in": True}),
        api.patch("/v1/surfaces/otp", json={"require_opt_in": True, "sender": "NEW"}),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == "require_opt_in"
        assert "transactional messages need no opt-in" in error["message"]
    assert api.get("/v1/surfaces").json()["items"] == [before]


@pytest.mark.parametrize("given", [None, "yes", 1])
def test_opt_in_is_true_or_false(api: httpx.Client, make_surface, given: object) -> None:
    make_surface(name="offers", message_type="marketing")
    assert api.patch("/v1/surfaces/offers", json={"require_opt_in": given}).status_code == 422


def test_values_that_change_nothing_are_accepted(make_surface) -> None:
    make_surface(
        require_opt_in=False, dlt="off", countries=[], transliteration=None, language=None, sending_window=None
    )


def test_patch_changes_what_is_given_and_null_clears(api: httpx.Client, make_surface) -> None:
    before = make_surface(callback_data="x", validity_period="PT1H", default_country="IN")
    changes = {"callback_data": None, "validity_period": None, "sender": "NEW", "default_country": "US"}
    after = api.patch("/v1/surfaces/otp", json=changes).json()
    assert after.pop("updated_at") > before.pop("updated_at")
    assert after == {**before, **changes}


@pytest.mark.parametrize("change", [{"channel": "mms"}, {"message_type": "marketing"}, {"credential": "other"}])
def test_what_makes_the_lane_cannot_be_changed(api: httpx.Client, make_surface, change: dict) -> None:
    make_surface()
    answer = api.patch("/v1/surfaces/otp", json=change)
    assert answer.status_code == 422
    assert "cannot be changed" in answer.json()["detail"]


def test_name_is_unique_until_deleted(api: httpx.Client, make_surface) -> None:
    make_surface()
    assert api.post("/v1/surfaces", json=BODY).status_code == 409
    make_surface(name="other")
    assert api.patch("/v1/surfaces/other", json={"name": "otp"}).status_code == 409
    assert api.delete("/v1/surfaces/otp").status_code == 204
    assert api.get("/v1/surfaces/otp").status_code == 404
    assert api.post("/v1/surfaces", json=BODY).status_code == 201


def test_surface_with_messages_on_their_way_is_not_deleted(api: httpx.Client, engine: Engine, make_surface) -> None:
    make_surface()
    api.post("/v1/messages", json={"surface": "otp", "to": "+919876543210", "text": "hi"})
    answer = api.delete("/v1/surfaces/otp")
    assert answer.status_code == 409
    assert "1 message" in answer.json()["detail"]
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'delivered'"))
    assert api.delete("/v1/surfaces/otp").status_code == 204


def test_batch_of_a_deleted_surface_stays_readable(api: httpx.Client, engine: Engine, make_surface) -> None:
    make_surface()
    rows = [{"to": "+919876543210"}]
    batch = api.post("/v1/batches", json={"surface": "otp", "text": "hi", "messages": rows}).json()["id"]
    with engine.begin() as connection:
        connection.execute(text("UPDATE message SET state = 'delivered'"))
    assert api.delete("/v1/surfaces/otp").status_code == 204
    assert api.get(f"/v1/batches/{batch}").json()["surface"] == "otp"


def test_mms_surface_takes_no_text_and_an_sms_surface_no_mms(api: httpx.Client, make_surface) -> None:
    make_surface(name="pictures", channel="mms")
    make_surface()
    mms = {"parts": [{"text": "hi"}]}
    for surface, content, words in (
        ("pictures", {"text": "hi"}, "the surface sends MMS"),
        ("pictures", {}, "is missing: the surface sends MMS"),
        ("otp", {"mms": mms}, "the surface sends SMS"),
        ("otp", {}, "is missing: give a text or a template"),
    ):
        answer = api.post("/v1/messages", json={"surface": surface, "to": "+14155550123", **content})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    answer = api.post("/v1/messages", json={"surface": "pictures", "to": "+14155550123", "mms": mms})
    assert answer.status_code == 202


WINDOW = {"from": "09:00", "to": "18:30", "time_zone": "recipient", "days": ["MONDAY", "FRIDAY"]}


def test_content_settings_come_back_as_they_were_given(api: httpx.Client, make_surface) -> None:
    given = {"dlt": "warn", "transliteration": "TURKISH", "sending_window": WINDOW}
    made = make_surface(**given, language={"code": "TR", "single_shift": True})
    assert {name: made[name] for name in given} == given
    assert made["language"] == {"code": "TR", "single_shift": True, "locking_shift": False}
    changed = api.patch("/v1/surfaces/otp", json={"sending_window": None, "language": "ES"}).json()
    assert changed["sending_window"] is None
    assert changed["language"]["code"] == "ES"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"dlt": "maybe"}, "dlt", "enforce"),
        ({"transliteration": "KLINGON"}, "transliteration", "TURKISH"),
        ({"language": "HI"}, "language", "NONE, TR, ES, PT, AUTODETECT"),
        ({"sending_window": {"from": "09:00", "until": "21:00"}}, "sending_window", "until"),
        ({"sending_window": {"from": "09:00", "to": "09:30", "time_zone": "UTC"}}, "sending_window", "one hour"),
        ({"sending_window": {"from": "09:00", "to": "21:00", "time_zone": "Mars/Base"}}, "sending_window", "time_zone"),
        ({"sending_window": "sometimes"}, "sending_window", "object"),
        ({"fallback_sender": "KITEBK"}, "fallback_sender", "mms"),
    ],
    ids=str,
)
def test_bad_content_setting_is_named_with_what_to_write(
    api: httpx.Client, make_surface, change: dict, field: str, words: str
) -> None:
    make_surface()
    answer = api.patch("/v1/surfaces/otp", json=change)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], words in error["message"]) == (field, True), error
