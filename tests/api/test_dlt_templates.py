"""DLT templates over HTTP: registered, asked about, imported; and that sends are held to them."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from api import bodies
from api.routes import dlt_templates as routes
from tests.api.conftest import Make, check_problem, created
from tests.factories import ENTITY, TEMPLATE
from tests.paging import items
from worker.dlt import exports

PATH = "/v1/dlt-templates"
CSV = {"Content-Type": "text/csv"}
OTHER = "1207160000000000002"
INDIAN = "+919876543210"
BODY = {
    "content_template_id": TEMPLATE,
    "principal_entity_id": ENTITY,
    "name": "order-sent",
    "category": "service_implicit",
    "text": "Order {#var#} of {#numeric#} books is on its way. -KITEBK",
    "headers": ["KITEBK"],
}
SENT = "Order A-1 of 3 books is on its way. -KITEBK"
WRONG = "Order A-1 of 3 books is on it's way. -KITEBK"
PLACE = WRONG.index("'")
HEAD = "Template ID,Template Name,Header,Template Type,Template Content\n"


def make(api: httpx.Client, **fields: Any) -> dict[str, Any]:
    return created(api.post(PATH, json={**BODY, **fields}))


def send_file(api: httpx.Client, file: str | bytes, **query: Any) -> httpx.Response:
    query = {"principal_entity_id": ENTITY, **query}
    return api.post(f"{PATH}/import", content=file, headers=CSV, params=query)


def report_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def match(api: httpx.Client, words: str, **fields: Any) -> dict[str, Any]:
    return report_of(api.post(f"{PATH}/match", json={"text": words, **fields}))


# The resource


def test_every_field_is_kept_and_given_back(api: httpx.Client) -> None:
    fields = {**BODY, "headers": ["KITEBK", "KITEBO"], "language": "English", "url_allow_list": ["kite.in/books"]}
    made = make(api, **fields)
    assert {name: made[name] for name in fields} == fields
    assert (made["placeholders"], made["version"]) == (["var", "numeric"], 1)
    for reference in (made["id"], TEMPLATE, "order-sent"):
        assert api.get(f"{PATH}/{reference}").json() == made
    assert api.get(PATH).json()["items"] == [made]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content_template_id": "12"}, "content_template_id"),
        ({"content_template_id": 1207160000000000001}, "content_template_id"),
        ({"principal_entity_id": "twelve"}, "principal_entity_id"),
        ({"name": " "}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"category": "service"}, "category"),
        ({"headers": ["x" * 21]}, "headers.0"),
        ({"headers": "KITEBK"}, "headers"),
        ({"text": ""}, "text"),
        ({"text": "Order {#VAR#}"}, "text"),
        ({"text": "é" * 2_001}, "text"),
        ({"url_allow_list": ["nowhere"]}, "url_allow_list"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_value_that_a_field_cannot_hold_is_422_naming_it(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    answer = api.post(PATH, json={**BODY, **change})
    assert [error["field"] for error in check_problem(answer, 422)["errors"]] == [field]
    assert api.get(PATH).json()["items"] == []


def test_second_template_of_an_id_is_a_conflict(api: httpx.Client) -> None:
    make(api)
    assert "already" in check_problem(api.post(PATH, json={**BODY, "name": "other"}), 409)["detail"]
    make(api, principal_entity_id="1201150000000000002")


def test_template_is_created_once_for_a_key(api: httpx.Client) -> None:
    answers = [api.post(PATH, json=BODY, headers={"Idempotency-Key": "t-1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_template_is_changed_cleared_and_deleted(api: httpx.Client) -> None:
    made = make(api, language="English", url_allow_list=["kite.in"])
    given = {"name": "sent", "text": "Sent {#var#}", "language": None, "url_allow_list": [], "headers": []}
    changed = api.patch(f"{PATH}/{TEMPLATE}", json=given).json()
    assert changed == {**made, **given, "placeholders": ["var"], "version": 2, "updated_at": changed["updated_at"]}
    assert api.patch(f"{PATH}/{TEMPLATE}", json=given).json() == changed
    assert api.delete(f"{PATH}/{TEMPLATE}").status_code == 204
    for answer in (api.get(f"{PATH}/{made['id']}"), api.delete(f"{PATH}/sent"), api.patch(f"{PATH}/sent", json={})):
        check_problem(answer, 404)
    assert api.get(PATH).json()["items"] == []


@pytest.mark.parametrize("change", [{"content_template_id": OTHER}, {"principal_entity_id": ENTITY}, {"text": "{#x#}"}])
def test_change_that_cannot_be_made_changes_nothing(api: httpx.Client, change: dict[str, Any]) -> None:
    made = make(api)
    check_problem(api.patch(f"{PATH}/{TEMPLATE}", json={"name": "new", **change}), 422)
    assert api.get(f"{PATH}/{TEMPLATE}").json() == made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["c", "b", "a"]),
        ({"principal_entity_id": ENTITY}, ["b", "a"]),
        ({"content_template_id": OTHER}, ["b"]),
        ({"header": "KITEBO"}, ["c", "b"]),
        ({"category": "promotional"}, ["c"]),
        ({"name": "a"}, ["a"]),
        ({"header": "KITEBO", "principal_entity_id": ENTITY}, ["b"]),
        ({"name": "nobody"}, []),
    ],
)
def test_list_is_filtered_and_paged(api: httpx.Client, query: dict[str, str], names: list[str]) -> None:
    make(api, name="a")
    make(api, name="b", content_template_id=OTHER, headers=["KITEBK", "KITEBO"])
    make(api, name="c", principal_entity_id="1201150000000000002", category="promotional", headers=["KITEBO"])
    assert [item["name"] for item in items(api, PATH, limit=1, **query)] == names


# Asking


def test_text_that_fits_is_told_its_template_and_values(api: httpx.Client, make_surface: Make) -> None:
    make(api)
    make_surface(sender="KITEBK", principal_entity_id=ENTITY)
    for asked in ({"surface": "otp"}, {"principal_entity_id": ENTITY}):
        answer = match(api, SENT, **asked)
        assert answer["fits"]
        assert (answer["template"]["content_template_id"], answer["values"]) == (TEMPLATE, ["A-1", "3"])
        assert {answer[name] for name in ("position", "expected", "found", "fault", "sentence", "nearest")} == {None}


def test_text_that_departs_is_told_where_and_from_which(api: httpx.Client) -> None:
    make(api)
    answer = match(api, WRONG, principal_entity_id=ENTITY, sender="KITEBK", message_type="transactional")
    assert not answer["fits"]
    assert (answer["template"], answer["nearest"]["name"]) == (None, "order-sent")
    assert (answer["position"], answer["expected"], answer["found"]) == (PLACE, "s way. -KITEBK", "'s way. -KITEBK")
    assert answer["fault"] == {"id": 4129, "name": "EC_TEMPLATE_NOT_MATCHED"}
    assert f"At character {PLACE + 1}" in answer["sentence"]


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"sender": "OTHER"}, 4130),
        ({"message_type": "marketing"}, 4136),
        ({"sender": "OTHER", "content_template_id": TEMPLATE}, 4130),
    ],
)
def test_template_that_fits_and_may_not_be_used_is_told_with_the_rule(
    api: httpx.Client, asked: dict[str, str], fault: int
) -> None:
    make(api)
    answer = match(api, SENT, principal_entity_id=ENTITY, **asked)
    assert (answer["fits"], answer["fault"]["id"], answer["position"]) == (False, fault, None)
    assert answer["template"]["name"] == "order-sent"


def test_text_is_held_against_the_one_that_is_named(api: httpx.Client) -> None:
    make(api)
    make(api, name="other", content_template_id=OTHER, text="Something else")
    answer = match(api, SENT, principal_entity_id=ENTITY, content_template_id=OTHER)
    assert (answer["fits"], answer["template"]["name"], answer["position"]) == (False, "other", 0)
    assert match(api, SENT, principal_entity_id=ENTITY, content_template_id=TEMPLATE)["fits"]


def test_surface_that_names_a_template_is_held_to_it(api: httpx.Client, make_surface: Make) -> None:
    make(api)
    make_surface(sender="KITEBK", principal_entity_id=ENTITY, content_template_id=OTHER)
    assert "is known here" in match(api, SENT, surface="otp")["sentence"]
    assert match(api, SENT, surface="otp", content_template_id=TEMPLATE)["fits"]


@pytest.mark.parametrize("asked", [{}, {"content_template_id": OTHER}])
def test_entity_or_template_that_is_not_known_is_told_so(api: httpx.Client, asked: dict[str, str]) -> None:
    answer = match(api, SENT, principal_entity_id=ENTITY, **asked)
    assert (answer["fits"], answer["fault"]) == (False, None)
    assert "is known here" in answer["sentence"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "body"),
        ({"surface": "otp", "principal_entity_id": ENTITY}, "body"),
        ({"surface": "otp", "sender": "A"}, "body"),
        ({"surface": "nobody"}, "surface"),
        ({"surface": "otp"}, "surface"),
        ({"principal_entity_id": ENTITY, "text": " "}, "text"),
        ({"principal_entity_id": ENTITY, "text": "x" * 4_001}, "text"),
    ],
)
def test_question_that_cannot_be_answered_is_422(
    api: httpx.Client, make_surface: Make, asked: dict[str, str], field: str
) -> None:
    make_surface()  # without an entity
    problem = check_problem(api.post(f"{PATH}/match", json={"text": SENT, **asked}), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


# Imports


def test_export_is_imported_and_imported_again(api: httpx.Client) -> None:
    file = HEAD + f"{TEMPLATE},order-sent,KITEBK,Service Implicit,{BODY['text']}\n"
    report = report_of(send_file(api, file))
    assert report == {
        "dry_run": False,
        "rows": 1,
        "created": 1,
        "changed": 0,
        "unchanged": 0,
        "left_out_count": 0,
        "left_out": [],
        "rejected_count": 0,
        "rejected": [],
    }
    (item,) = api.get(PATH).json()["items"]
    assert {name: item[name] for name in BODY} == BODY
    assert report_of(send_file(api, file))["unchanged"] == 1
    assert report_of(send_file(api, file.replace("books", "novels")))["changed"] == 1
    assert api.get(f"{PATH}/{TEMPLATE}").json()["version"] == 2


def test_a_header_that_is_named_twice_is_kept_once(api: httpx.Client) -> None:
    twice = ["KITEBO", "KITEBK", "KITEBO"]
    assert created(api.post(PATH, json={**BODY, "headers": twice}))["headers"] == ["KITEBO", "KITEBK"]
    answer = api.patch(f"{PATH}/{TEMPLATE}", json={"headers": [*twice, "KITEBN"]})
    assert answer.json()["headers"] == ["KITEBO", "KITEBK", "KITEBN"]


def test_one_bad_row_stores_nothing_and_is_named(api: httpx.Client) -> None:
    file = HEAD + f"{TEMPLATE},a,,SI,Fine\n1.20716E+18,b,,SI,Fine\n"
    problem = check_problem(send_file(api, file), 422)
    assert "1 row is wrong, and nothing was stored" in problem["detail"]
    assert "Line 3, content_template_id" in problem["detail"]
    (error,) = problem["errors"]
    assert error["field"] == "content_template_id"
    assert error["message"].startswith("line 3: 1.20716E+18 is what a spreadsheet made")
    assert api.get(PATH).json()["items"] == []


def test_bad_rows_are_left_out_and_told_where_that_is_asked_for(api: httpx.Client) -> None:
    file = HEAD + f"{TEMPLATE},a,,SI,Fine\n{OTHER},b,,Nonsense,Fine\n"
    report = report_of(send_file(api, file, on_invalid="skip"))
    assert (report["created"], report["rejected_count"]) == (1, 1)
    (rejected,) = report["rejected"]
    assert (rejected["line"], rejected["field"]) == (3, "category")


def test_dry_run_says_all_of_it_and_stores_nothing(api: httpx.Client) -> None:
    make(api, text="Fine")
    before = api.get(PATH).json()
    file = HEAD + f"{TEMPLATE},a,,SI,Better\n{OTHER},b,,SI,Fine\n,c,,SI,Fine\n"
    report = report_of(send_file(api, file, dry_run=True))
    assert [report[name] for name in ("dry_run", "created", "changed", "rejected_count")] == [True, 1, 1, 1]
    assert api.get(PATH).json() == before


def test_rows_that_are_not_approved_are_left_out_and_told(api: httpx.Client) -> None:
    make(api)
    file = f"Template ID,Type,Content,Status\n{TEMPLATE},SI,Fine,Blocked\n{OTHER},SI,Fine,Pending\n"
    report = report_of(send_file(api, file))
    assert (report["left_out_count"], report["unchanged"]) == (2, 0)
    here, elsewhere = report["left_out"]
    assert (here["line"], elsewhere["line"]) == (2, 3)
    assert "delete it" in here["reason"]
    assert "delete it" not in elsewhere["reason"]


def test_columns_and_the_entity_are_named_by_the_request(api: httpx.Client) -> None:
    file = f"Nr,Kind,Template Content\n{TEMPLATE},SI,Fine\n"
    named = ["content_template_id=Nr", "category=Kind"]
    assert report_of(send_file(api, file, map=named))["created"] == 1
    assert api.get(f"{PATH}/{TEMPLATE}").json()["principal_entity_id"] == ENTITY


@pytest.mark.parametrize(
    ("file", "query", "field"),
    [
        ("", {}, "body"),
        ("a,b\n1,2\n", {}, "body"),
        (HEAD, {"map": ["text"]}, "map"),
        (HEAD, {"map": ["text=a", "text=b"]}, "map"),
        (HEAD, {"map": ["text=Nowhere"]}, "body"),
        (HEAD, {"principal_entity_id": "12"}, "principal_entity_id"),
        (HEAD, {"colour": "red"}, "colour"),
        (HEAD, {"on_invalid": "ignore"}, "on_invalid"),
    ],
)
def test_import_that_cannot_be_read_is_422(api: httpx.Client, file: str, query: dict[str, Any], field: str) -> None:
    problem = check_problem(send_file(api, file, **query), 422)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_import_of_another_type_or_compressed_or_too_large_is_refused(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_problem(api.post(f"{PATH}/import", json={}), 415)
    check_problem(api.post(f"{PATH}/import", content=HEAD, headers={**CSV, "Content-Encoding": "gzip"}), 415)
    monkeypatch.setattr(routes, "MOST_BYTES", 100)
    check_problem(send_file(api, HEAD + "x" * 100), 413)


def test_import_that_does_not_come_in_time_is_told_to_come_again(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one of a few places, and keeps others out meanwhile."""
    monkeypatch.setattr(bodies, "LARGE_SECONDS", 0.1)

    def slowly() -> Iterator[bytes]:
        yield HEAD.encode()
        time.sleep(1)
        yield f"{TEMPLATE},a,,SI,Fine\n".encode()

    problem = check_problem(api.post(f"{PATH}/import", content=slowly(), headers=CSV), 408)
    assert "nothing was stored" in problem["detail"]
    assert api.get(PATH).json()["items"] == []


def test_lists_of_an_answer_end_and_its_counts_do_not(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_LISTED", 2)
    report = report_of(send_file(api, HEAD + ",a,,SI,Fine\n" * 3, on_invalid="skip"))
    assert (report["rejected_count"], len(report["rejected"])) == (3, 2)
    assert len(check_problem(send_file(api, HEAD + ",a,,SI,Fine\n" * 3), 422)["errors"]) == 2


def test_as_many_rows_as_are_promised_fit(api: httpx.Client) -> None:
    most = exports.MOST_ROWS
    rows = (f"12071600000000{number:05},t{number},KITEBK,SI,Order {{#var#}} of {number}\n" for number in range(most))
    assert report_of(send_file(api, HEAD + "".join(rows)))["created"] == most == 50_000


# Sending


@pytest.fixture
def surface(api: httpx.Client, make_surface: Make) -> dict[str, Any]:
    """Held to an imported template and to one more."""
    file = (
        HEAD + f"{TEMPLATE},order-sent,KITEBK,SI,{BODY['text']}\n{OTHER},code,,Transactional,{{#var#}} is your code\n"
    )
    assert report_of(send_file(api, file))["created"] == 2
    return make_surface(name="orders", sender="KITEBK", principal_entity_id=ENTITY, dlt="enforce")


def send(api: httpx.Client, *rows: dict[str, Any], **fields: Any) -> httpx.Response:
    body = {"surface": "orders", "messages": [{"to": INDIAN, **row} for row in rows], **fields}
    return api.post("/v1/batches", json=body)


def stored(engine: Engine) -> list[tuple[str | None, ...]]:
    """Of all messages: text, template and warning, their own or their batch's."""
    query = """
        SELECT coalesce(m.text, b.text), coalesce(m.content_template_id, b.content_template_id), m.warning
        FROM message m LEFT JOIN batch b ON b.id = m.batch_id ORDER BY m.id
    """
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_imported_template_is_chosen_for_each_row_by_its_text(
    api: httpx.Client, engine: Engine, surface: dict[str, Any]
) -> None:
    of_batch = SENT.replace("A-1", "{{n}}")
    answer = send(api, {"text": SENT}, {"text": "4711 is your code"}, {"variables": {"n": "A-2"}}, text=of_batch)
    assert answer.status_code == 202, answer.text
    assert stored(engine) == [
        (SENT, TEMPLATE, None),
        ("4711 is your code", OTHER, None),
        (SENT.replace("A-1", "A-2"), TEMPLATE, None),
    ]


def test_row_that_fits_no_template_is_rejected_with_its_place_and_the_nearest(
    api: httpx.Client, engine: Engine, surface: dict[str, Any]
) -> None:
    answer = send(api, {"text": SENT}, {"text": WRONG}, on_invalid="skip")
    assert answer.status_code == 202, answer.text
    (rejected,) = answer.json()["rejected"]
    assert (rejected["index"], rejected["field"]) == (1, "text")
    for said in (f"At character {PLACE + 1}", "4129", f"the nearest template is order-sent ({TEMPLATE})"):
        assert said in rejected["reason"]
    assert len(stored(engine)) == 1


def test_warn_sends_what_fits_no_template_with_a_warning(
    api: httpx.Client, engine: Engine, surface: dict[str, Any]
) -> None:
    assert api.patch("/v1/surfaces/orders", json={"dlt": "warn"}).status_code == 200
    answer = send(api, {"text": SENT}, {"text": WRONG})
    assert (answer.status_code, answer.json()["rejected"]) == (202, [])
    fitting, departing = stored(engine)
    assert fitting == (SENT, TEMPLATE, None)
    assert departing[:2] == (WRONG, None)
    assert "4129" in (departing[2] or "")


def test_off_looks_at_nothing(api: httpx.Client, engine: Engine, surface: dict[str, Any]) -> None:
    assert api.patch("/v1/surfaces/orders", json={"dlt": "off"}).status_code == 200
    assert send(api, {"text": SENT}, {"text": WRONG}).status_code == 202
    assert stored(engine) == [(SENT, None, None), (WRONG, None, None)]


def test_number_outside_india_is_not_looked_at(api: httpx.Client, engine: Engine, surface: dict[str, Any]) -> None:
    assert send(api, {"to": "+14155550101", "text": WRONG}).status_code == 202
    assert stored(engine) == [(WRONG, None, None)]


@pytest.mark.parametrize("reference", ["order-sent", TEMPLATE])
@pytest.mark.parametrize("dlt", ["enforce", "warn", "off"])
def test_text_is_made_by_a_template_that_is_named(
    api: httpx.Client, engine: Engine, surface: dict[str, Any], reference: str, dlt: str
) -> None:
    assert api.patch("/v1/surfaces/orders", json={"dlt": dlt}).status_code == 200
    made = {"template": reference, "template_variables": ["A-1", 3]}
    single = api.post("/v1/messages", json={"surface": "orders", "to": INDIAN, **made})
    assert single.status_code == 202, single.text
    for answer in (
        send(api, made),
        send(api, {}, **made),
        send(api, {"template_variables": ["A-1", 3]}, template=reference, template_variables=["B", 4]),
    ):
        assert answer.status_code == 202, answer.text
    assert stored(engine) == [(SENT, TEMPLATE, None)] * 4


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ({"template": "nobody", "template_variables": []}, "template", "no template"),
        ({"template": "order-sent", "template_variables": ["A-1"]}, "template_variables", "2 placeholders, and 1"),
        ({"template": "order-sent", "template_variables": ["A", "three"]}, "template_variables", "digits only"),
        ({"template": "order-sent", "template_variables": ["A" * 41, 3]}, "template_variables", "at most 40"),
        ({"template": "order-sent", "text": SENT}, "template", "give one of the two"),
    ],
)
def test_template_that_cannot_make_the_text_rejects_the_row_with_the_reason(
    api: httpx.Client, surface: dict[str, Any], row: dict[str, Any], field: str, said: str
) -> None:
    for answer in (send(api, row), api.post("/v1/messages", json={"surface": "orders", "to": INDIAN, **row})):
        (error,) = check_problem(answer, 422)["errors"]
        assert error["field"] == field
        assert said in error["message"]


def test_change_counts_for_the_next_send(api: httpx.Client, surface: dict[str, Any]) -> None:
    assert send(api, {"text": SENT}).status_code == 202
    api.patch(f"{PATH}/{TEMPLATE}", json={"text": BODY["text"] + " Bye"})
    assert send(api, {"text": SENT}).status_code == 422
    assert send(api, {"text": SENT + " Bye"}).status_code == 202
    api.delete(f"{PATH}/{TEMPLATE}")
    assert send(api, {"text": SENT + " Bye"}).status_code == 422
