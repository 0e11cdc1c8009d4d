"""Content through all processes: MMS beside SMS, DLT templates before anything leaves, hours that are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.end_to_end.conftest import System
from tests.processes import wait_for

ENTITY = "1201150000000000077"
HEADERS = {"Content-Type": "text/csv"}
EXPORT = (
    "Template ID,Template Name,Header,Template Type,Template Content,Status\n"
    "1207160000000000071,otp,KITEBK,Service Implicit,{#var#} is your code. -KITEBK,Approved\n"
    '1207160000000000072,ready,"KITEBK,KITEXX",Transactional,"Dear {#var#}, order {#numeric#} is ready.",Approved\n'
)


def picture(system: System, name: str = "picture.jpg") -> dict[str, Any]:
    url = f"{system.stack.sandbox_url}/sandbox/media/{name}"
    return {"title": "Your parcel", "parts": [{"text": "Here it is."}, {"url": url, "content_type": "image/jpeg"}]}


def mms_surface(system: System, **changes: Any) -> str:
    return system.surface(channel="mms", sender="447700900001", fallback_sender="KITEBK", **changes)


def message_of(system: System, message_id: str) -> dict[str, Any]:
    wait_for(lambda: system.get(f"/v1/messages/{message_id}")["state"] in ("delivered", "failed", "cancelled"), 30)
    return system.get(f"/v1/messages/{message_id}")


def test_mms_is_delivered_reported_and_its_failed_part_replayed(system: System) -> None:
    surface = mms_surface(system)
    fine, failing = "447700900301", "447700909003"
    messages = [{"to": fine}, {"to": failing}]
    batch = system.post("/v1/batches", {"surface": surface, "mms": picture(system), "messages": messages}, 202)["id"]
    ended = system.finished(batch)
    assert {to: message["state"] for to, message in ended.items()} == {fine: "delivered", failing: "failed"}
    (accepted,) = system.accepted(to=fine)
    assert (accepted["channel"], accepted["title"], accepted["text"]) == ("mms", "Your parcel", "Here it is.")
    assert [part["type"] for part in accepted["content"]] == ["TEXT", "LINK"]
    feed = system.all("/v1/reports", message=ended[fine]["id"])
    assert [report["status"]["group"] for report in feed] == ["DELIVERED"]
    replayed = system.post(f"/v1/batches/{batch}/replay", {})
    assert replayed["accepted"] == 1
    assert system.finished(replayed["id"])[failing]["state"] == "failed"
    assert [item["title"] for item in system.accepted(to=failing)] == ["Your parcel", "Your parcel"]


def test_sms_goes_in_the_place_of_an_mms_that_does_not_reach_the_handset_and_both_say_so(system: System) -> None:
    surface = mms_surface(system)
    for person, attempts in (("919900000302", []), ("447700909011", ["mms"])):
        mms = {**picture(system), "fallback_text": "Your parcel is here. -KITEBK"}
        sent = system.post(
            "/v1/messages", {"surface": surface, "to": person, "mms": mms, "callback_data": "parcel-7"}, 202
        )
        ended = message_of(system, sent["id"])
        assert ended["state"] == "cancelled"
        assert "fallback_text went out as an SMS" in ended["reason"]
        sms = message_of(system, ended["fallback"])
        assert (sms["state"], sms["origin"], sms["fallback_of"]) == ("delivered", "fallback", sent["id"])
        assert sms["callback_data"] == "parcel-7"
        *earlier, accepted = sorted(system.accepted(to=person), key=lambda item: item["accepted_at"])
        assert [item["channel"] for item in earlier] == attempts
        assert (accepted["channel"], accepted["sender"]) == ("sms", "KITEBK")
        assert accepted["text"] == "Your parcel is here. -KITEBK"
        ids = (accepted["principal_entity_id"], accepted["content_template_id"])
        assert ids == ("1201150000000000001", "1207160000000000001")


def test_sms_in_an_mms_place_is_counted_and_replayed_with_its_batch(system: System) -> None:
    surface = mms_surface(system)
    fine, failing = "919900000304", "919900009003"
    mms = {**picture(system), "fallback_text": "Your parcel is here. -KITEBK"}
    body = {"surface": surface, "mms": mms, "messages": [{"to": fine}, {"to": failing}]}
    accepted = system.post("/v1/batches", body, 202)
    batch = accepted["id"]
    assert (accepted["accepted"], accepted["total"]) == (2, 2)
    system.finished(batch)
    view = system.get(f"/v1/batches/{batch}")
    assert (view["total"], view["counts"]) == (4, {"delivered": 1, "failed": 1, "cancelled": 2})
    assert {"reason": "fallback", "count": 2} in view["reasons"]
    sms = system.all("/v1/messages", batch=batch, origin="fallback")
    assert {one["to"]: one["state"] for one in sms} == {fine: "delivered", failing: "failed"}
    replayed = system.post(f"/v1/batches/{batch}/replay", {})
    assert replayed["accepted"] == 1
    system.finished(replayed["id"])
    again = {one["origin"]: one["state"] for one in system.all("/v1/messages", batch=replayed["id"])}
    assert again == {"replay": "cancelled", "fallback": "failed"}
    assert [item["channel"] for item in system.accepted(to=failing)] == ["sms", "sms"]


def test_uploaded_file_goes_out_by_its_reference(system: System) -> None:
    surface = mms_surface(system)
    credential = system.get(f"/v1/surfaces/{surface}")["credential"]
    bytes_of = system.sandbox.get("/sandbox/media/picture.png").content
    answer = system.http.post(
        "/v1/media", params={"credential": credential}, content=bytes_of, headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 201, answer.text
    person = "447700900303"
    mms = {"parts": [{"media": answer.json()["id"], "content_id": "pic.png"}]}
    sent = system.post("/v1/messages", {"surface": surface, "to": person, "mms": mms}, 202)
    assert message_of(system, sent["id"])["state"] == "delivered"
    (accepted,) = system.accepted(to=person)
    assert [part["type"] for part in accepted["content"]] == ["UPLOADED_REFERENCE"]


def test_text_finds_its_dlt_template_and_a_misfit_is_told_before_anything_leaves(system: System) -> None:
    answer = system.http.post(
        "/v1/dlt-templates/import", params={"principal_entity_id": ENTITY}, content=EXPORT, headers=HEADERS
    )
    assert (answer.status_code, answer.json()["created"]) == (200, 2), answer.text
    surface = system.surface(dlt="enforce", principal_entity_id=ENTITY, content_template_id=None)
    rows = [
        {"to": "+919900000311", "text": "Dear Asha, order 5512 is ready."},
        {"to": "+919900000312", "text": "Dear Ravi, order 5513  is ready."},
        {"to": "+447700900313", "text": "Whatever, abroad."},
        {"to": "+919900000314", "template": "otp", "template_variables": ["4711"]},
    ]
    body = {"surface": surface, "messages": rows, "on_invalid": "skip"}
    accepted = system.post("/v1/batches", body, 202)
    (rejected,) = accepted["rejected"]
    assert (rejected["index"], rejected["field"]) == (1, "text")
    assert "4129 EC_TEMPLATE_NOT_MATCHED" in rejected["reason"]
    assert "character 23" in rejected["reason"]
    assert "the nearest template is ready (1207160000000000072)" in rejected["reason"]
    ended = system.finished(accepted["id"])
    assert {message["state"] for message in ended.values()} == {"delivered"}
    went = {to: system.accepted(to=to)[0] for to in ("919900000311", "919900000314")}
    assert went["919900000311"]["content_template_id"] == "1207160000000000072"
    assert went["919900000314"]["text"] == "4711 is your code. -KITEBK"
    assert went["919900000314"]["content_template_id"] == "1207160000000000071"


def closed_now(opens_in: timedelta) -> dict[str, str]:
    opens = datetime.now(UTC) + opens_in
    return {"from": f"{opens:%H:%M}", "to": f"{opens + timedelta(hours=2):%H:%M}", "time_zone": "UTC"}


def test_hours_keep_marketing_back_and_what_cannot_wait_for_them_ends_at_once(system: System) -> None:
    window = {"sending_window": closed_now(timedelta(hours=3)), "window_off_reason": None}
    surface = system.surface(message_type="marketing", validity_period="PT6H", **window)
    waits = system.batch(surface, ["447700900321"])
    ends = system.batch(surface, ["447700900322"], validity_period="PT1H")
    goes = system.batch(system.surface(), ["447700900323"])
    assert system.finished(goes)["447700900323"]["state"] == "delivered"
    ended = system.finished(ends)["447700900322"]
    assert ended["state"] == "expired"
    assert "sending window" in ended["reason"]
    assert system.get(f"/v1/batches/{ends}")["reasons"] == [{"reason": "window_closed", "count": 1}]
    (waiting,) = system.all("/v1/messages", batch=waits)
    assert waiting["state"] == "queued"
    assert "sending window" in waiting["reason"]
    opens = datetime.fromisoformat(waiting["next_attempt_at"]) - datetime.now(UTC)
    assert timedelta(hours=2, minutes=57) < opens < timedelta(hours=3)
    assert system.accepted(to="447700900321") == []
    system.post(f"/v1/batches/{waits}/cancel", {}, 200)


def test_promotional_hours_of_india_hold_unless_they_are_switched_off(system: System) -> None:
    """In the preview, so that it holds at any hour."""
    body = {"text": "Sale", "messages": [{"to": "+919900000331"}, {"to": "+447700900332"}]}
    for window, keeps in (({}, True), ({"sending_window": "off", "window_off_reason": "a test"}, False)):
        given = {"sending_window": None, "window_off_reason": None, **window}
        surface = system.surface(message_type="marketing", validity_period="PT48H", **given)
        india, abroad = system.post("/v1/preview", {"surface": surface, **body}, 200)["items"]
        assert (india["leaves_before"] is not None) == keeps
        assert abroad["leaves_before"] is None
        if keeps:
            leaves = datetime.fromisoformat(india["leaves_before"]).astimezone(UTC)
            assert (leaves.hour, leaves.minute) == (15, 30)


def test_link_into_the_network_is_refused(system: System) -> None:
    surface = mms_surface(system)
    mms = {"parts": [{"url": "https://127.0.0.1:1/picture.jpg"}]}
    answer: httpx.Response = system.http.post(
        "/v1/messages", json={"surface": surface, "to": "+447700900341", "mms": mms}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "mms.parts.0.url"
