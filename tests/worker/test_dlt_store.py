"""DLT templates in the database: what an import writes, what it leaves alone, and that processes hear of it."""

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from tests.factories import ENTITY, TEMPLATE
from worker import dlt_registry, dlt_store
from worker.dlt.exports import read_export
from worker.dlt.templates import Category, Pattern, Registered, compile_template
from worker.dlt_registry import read_templates, templates_if_compiled
from worker.dlt_store import Imported
from worker.models import DltTemplate
from worker.refusals import Conflict, NotFound, Refusal

OTHER = "1207160000000000002"
TEXT = "Order {#var#} is on its way. -KITEBK"
ORDER_SENT = Registered(
    TEMPLATE, ENTITY, "order-sent", ("KITEBK",), Category.SERVICE_IMPLICIT, TEXT, "English", ("a.in",)
)


def imported(session: Session, head: str, rows: Iterable[str]) -> Imported:
    file = "\n".join([head, *rows]).encode()
    counts = dlt_store.store_export(session, read_export(BytesIO(file), ENTITY))
    session.commit()
    session.expire_all()
    return counts


def live(session: Session) -> list[DltTemplate]:
    session.expire_all()
    query = select(DltTemplate).where(col(DltTemplate.deleted_at).is_(None))
    return list(session.exec(query.order_by(DltTemplate.content_template_id)))


def known_text(session: Session) -> str | None:
    """As whoever sends would find it now."""
    pattern = read_templates(session).registered(ENTITY, TEMPLATE)
    return pattern and pattern.template.text


# One by one


def test_template_exists_once_for_an_entity(session: Session) -> None:
    dlt_store.create(session, ORDER_SENT)
    dlt_store.create(session, replace(ORDER_SENT, entity_id="1201150000000000002"))
    session.commit()
    with pytest.raises(Conflict, match=f"{ENTITY} has a template {TEMPLATE} already"):
        dlt_store.create(session, ORDER_SENT)


def test_deleted_template_can_be_created_again(session: Session) -> None:
    dlt_store.delete(session, dlt_store.create(session, ORDER_SENT))
    dlt_store.create(session, ORDER_SENT)
    session.commit()
    assert [row.name for row in live(session)] == ["order-sent"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"text": "Order {#VAR#}"}, "text"), ({"text": ""}, "text"), ({"url_allow_list": ["nowhere"]}, "url_allow_list")],
)
def test_what_cannot_be_matched_is_refused_and_names_the_field(
    session: Session, changes: dict[str, object], field: str
) -> None:
    row = dlt_store.create(session, ORDER_SENT)
    session.commit()
    with pytest.raises(Refusal) as refused:
        dlt_store.change(session, row, changes)
    assert [fault.field for fault in refused.value.faults] == [field]
    session.rollback()
    assert live(session)[0].text == TEXT


@pytest.mark.parametrize("reference", ["order-sent", TEMPLATE, "id"])
def test_template_is_found_by_id_content_template_id_and_name(session: Session, reference: str) -> None:
    row = dlt_store.create(session, ORDER_SENT)
    assert dlt_store.find(session, str(row.id) if reference == "id" else reference).id == row.id


def test_reference_that_means_none_or_several_is_told(session: Session) -> None:
    with pytest.raises(NotFound):
        dlt_store.find(session, "order-sent")
    for template_id in (TEMPLATE, OTHER):
        dlt_store.create(session, replace(ORDER_SENT, template_id=template_id))
    with pytest.raises(Conflict, match="Several"):
        dlt_store.find(session, "order-sent")


def test_id_comes_before_a_name_that_is_the_same(session: Session) -> None:
    dlt_store.create(session, replace(ORDER_SENT, template_id=OTHER, name=TEMPLATE))
    assert dlt_store.find(session, TEMPLATE).content_template_id == OTHER
    dlt_store.create(session, ORDER_SENT)
    for for_update in (False, True):
        assert dlt_store.find(session, TEMPLATE, for_update=for_update).content_template_id == TEMPLATE


# Who sends hears of each change


def test_each_change_is_known_to_who_sends_next(session: Session) -> None:
    row = dlt_store.create(session, ORDER_SENT)
    assert known_text(session) == TEXT
    dlt_store.change(session, row, {"text": "A {#var#}"})
    assert known_text(session) == "A {#var#}"
    imported(session, "Template ID,Type,Content", [f"{TEMPLATE},SI,B {{#var#}}"])
    assert known_text(session) == "B {#var#}"
    dlt_store.delete(session, dlt_store.find(session, TEMPLATE))
    assert known_text(session) is None
    dlt_store.create(session, ORDER_SENT)
    assert known_text(session) == TEXT


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dlt_template SET text = 'By hand {#var#}'",
        "DELETE FROM dlt_template",
        "TRUNCATE dlt_template",
        "INSERT INTO dlt_template (id, content_template_id, principal_entity_id, name, category, text, version) "
        f"VALUES (gen_random_uuid(), '{OTHER}', '{ENTITY}', 'a', 'promotional', 'B', 1)",
    ],
)
def test_change_made_by_hand_is_known_too(session: Session, statement: str) -> None:
    dlt_store.create(session, ORDER_SENT)
    session.commit()
    before = read_templates(session)
    session.execute(sa.text(statement))
    session.commit()
    assert templates_if_compiled(session) is None
    assert read_templates(session).of_entity(ENTITY) != before.of_entity(ENTITY)


def test_change_that_is_not_committed_is_known_to_nobody_else(session: Session, engine: Engine) -> None:
    """Nor what was compiled of it to anybody, once it is rolled back and another takes its place."""
    row = dlt_store.create(session, ORDER_SENT)
    session.commit()
    dlt_store.change(session, row, {"text": "A {#var#}"})
    assert known_text(session) == "A {#var#}"
    with Session(engine) as other:
        assert known_text(other) == TEXT
    session.rollback()
    dlt_store.change(session, row, {"text": "B {#var#}"})
    session.commit()
    assert known_text(session) == "B {#var#}"


def test_one_change_compiles_one_template(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def compile_one(template: Registered) -> Pattern:
        compiled.append(template.text)
        return compile_template(template)

    imported(session, "Template ID,Type,Content", [f"12071600000000{n:05},SI,Text {n}" for n in range(50)])
    read_templates(session)
    monkeypatch.setattr(dlt_registry, "compile_template", compile_one)
    dlt_store.change(session, live(session)[0], {"text": "New"})
    assert len(read_templates(session).of_entity(ENTITY)) == 50
    assert compiled == ["New"]


def test_many_who_need_what_changed_wait_for_one_who_compiles_it(
    session: Session, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    known: list[str | None] = []

    def compile_slowly(template: Registered) -> Pattern:
        compiled.append(template.text)
        time.sleep(0.1)
        return compile_template(template)

    def read() -> None:
        with Session(engine) as own:
            known.append(known_text(own))

    dlt_store.create(session, ORDER_SENT)
    session.commit()
    monkeypatch.setattr(dlt_registry, "compile_template", compile_slowly)
    threads = [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (compiled, known) == ([TEXT], [TEXT] * 5)


def test_change_to_what_stands_leaves_the_template_untouched(session: Session) -> None:
    row = dlt_store.create(session, ORDER_SENT)
    dlt_store.change(session, row, {"text": TEXT, "headers": ["KITEBK"]})
    assert row.version == 1


# Imports


def test_change_and_import_of_the_same_templates_wait_for_each_other_in_turn(session: Session, engine: Engine) -> None:
    """Each would else hold what the other waits for: the one a template, the other the edition."""
    imported(session, "Template ID,Type,Content", [f"{TEMPLATE},SI,A", f"{OTHER},SI,A"])
    row = dlt_store.find(session, OTHER, for_update=True)
    found: list[Imported] = []

    def work() -> None:
        with Session(engine) as own:
            found.append(imported(own, "Template ID,Type,Content", [f"{TEMPLATE},SI,B", f"{OTHER},SI,B"]))

    thread = threading.Thread(target=work)
    thread.start()
    with engine.connect() as watcher:
        while not watcher.execute(sa.text("SELECT FROM pg_locks WHERE NOT granted")).all():
            assert thread.is_alive()
    dlt_store.change(session, row, {"text": "C"})
    session.commit()
    thread.join()
    assert found == [(0, 2, 0)]
    assert [row.text for row in live(session)] == ["B", "B"]


def test_import_creates_changes_and_leaves_alone(session: Session) -> None:
    head = "Template ID,Name,Type,Content"
    rows = [f"{TEMPLATE},a,SI,{TEXT}", f"{OTHER},b,SI,{TEXT}"]
    assert imported(session, head, rows) == (2, 0, 0)
    before = [row.model_dump() for row in live(session)]
    assert imported(session, head, rows) == (0, 0, 2)
    assert [row.model_dump() for row in live(session)] == before
    rows = [rows[0].replace("is on", "was on"), rows[1], f"1207160000000000003,c,SI,{TEXT}"]
    assert imported(session, head, rows) == (1, 1, 1)
    assert [(row.name, row.version) for row in live(session)] == [("a", 2), ("b", 1), ("c", 1)]
    assert live(session)[0].text == TEXT.replace("is on", "was on")
    assert live(session)[0].updated_at > before[0]["updated_at"]


@pytest.mark.parametrize(
    ("column", "cell", "attribute", "value"),
    [
        ("Name", "new", "name", "new"),
        ("Header", "A|B", "headers", ["A", "B"]),
        ("Header", "", "headers", []),
        ("Type", "Promo", "category", "promotional"),
        ("Content", "New", "text", "New"),
        ("Language", "Hindi", "language", "Hindi"),
        ("Language", "", "language", None),
        ("URL", "b.in c.in", "url_allow_list", ["b.in", "c.in"]),
        ("URL", "", "url_allow_list", []),
    ],
)
def test_import_changes_the_fields_that_it_has_columns_for_and_no_other(
    session: Session, column: str, cell: str, attribute: str, value: object
) -> None:
    dlt_store.create(session, ORDER_SENT)
    session.commit()
    (before,) = [row.model_dump() for row in live(session)]
    cells = {"Template ID": TEMPLATE, "Type": "SI", "Content": TEXT, column: cell}
    assert imported(session, ",".join(cells), [",".join(cells.values())]) == (0, 1, 0)
    (row,) = live(session)
    changed = {attribute: value, "version": 2, "updated_at": row.updated_at}
    assert row.model_dump() == {**before, **changed}


def test_new_template_has_what_the_file_says_nothing_of_empty(session: Session) -> None:
    imported(session, "Template ID,Type,Content", [f"{TEMPLATE},SI,{TEXT}"])
    (row,) = live(session)
    assert (row.name, row.headers, row.language, row.url_allow_list) == (TEMPLATE, [], None, [])


def test_import_registers_a_deleted_template_anew(session: Session) -> None:
    dlt_store.delete(session, dlt_store.create(session, ORDER_SENT))
    session.commit()
    assert imported(session, "Template ID,Type,Content", [f"{TEMPLATE},SI,{TEXT}"]) == (1, 0, 0)


def test_thousands_are_written_whatever_stands_between_them(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlt_store, "_GROUP", 100)
    rows = [f"12071600000000{number:05},SI,Text {number}" for number in range(250)]
    assert imported(session, "Template ID,Type,Content", rows) == (250, 0, 0)
    assert imported(session, "Template ID,Type,Content", [*rows[:-1], rows[-1] + "!"]) == (0, 1, 249)
    assert len(live(session)) == 250


def test_imports_at_once_lose_nothing(session: Session, engine: Engine) -> None:
    """In the opposite order of each other's file."""
    rows = [f"12071600000000{number:05},SI,Text {number}" for number in range(500)]
    found: list[Imported] = []

    def work(lines: list[str]) -> None:
        with Session(engine) as own:
            found.append(imported(own, "Template ID,Type,Content", lines))

    threads = [threading.Thread(target=work, args=(lines,)) for lines in (rows, rows[::-1], rows, rows[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(0, 0, 500)] * 3 + [(500, 0, 0)]


def test_template_that_is_no_longer_in_use_on_the_portal_is_known_to_be_here(session: Session) -> None:
    dlt_store.create(session, ORDER_SENT)
    file = f"Template ID,Type,Content,Status\n{TEMPLATE},SI,{TEXT},Blocked\n{OTHER},SI,{TEXT},Blocked\n,SI,a,Blocked\n"
    export = read_export(BytesIO(file.encode()), ENTITY)
    assert len(export.left_out) == 3
    assert dlt_store.still_here(session, export.left_out) == {(ENTITY, TEMPLATE)}
