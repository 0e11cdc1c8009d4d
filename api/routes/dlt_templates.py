"""DLT templates: what is registered at the operators, kept here so that texts can be held against it before they go."""

from io import BytesIO
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from sqlalchemy import Engine
from sqlmodel import Session, col
from starlette.concurrency import run_in_threadpool

from api.auth import MayAdmin, MayRead
from api.bodies import MEBIBYTE, JsonBody, Posted, check_encoding, media_type_of, place_among, read_in_time
from api.database import Database
from api.fields import Text
from api.once import Done, once
from api.paging import Paging, newest_first
from api.problems import UnsupportedBody
from api.schemas.dlt_templates import (
    MOST_LISTED,
    FaultOut,
    ImportOut,
    ImportQuery,
    LeftOutTemplate,
    MatchIn,
    MatchOut,
    RejectedTemplate,
    TemplateChanges,
    TemplateIn,
    TemplateList,
    TemplateNamed,
    TemplateOut,
)
from worker import dlt_store
from worker.csv_records import BadFile
from worker.db import open_session
from worker.dlt.exports import Export, Key, read_export
from worker.dlt.templates import Category, Registered, compile_template
from worker.dlt.verdict import Judge, Question, Verdict
from worker.dlt_registry import read_templates, registered
from worker.dlt_store import Imported
from worker.models import DltTemplate
from worker.places import find_place
from worker.refusals import Fault, Refusal
from worker.settings import settings
from worker.words import MessageType

router = APIRouter(prefix="/v1/dlt-templates", tags=["DLT templates"])

MOST_BYTES = 20 * MEBIBYTE
_CSV = "text/csv"
_FILE: dict[str, Any] = {_CSV: {"schema": {"type": "string"}}}


class TemplateQuery(Paging):
    principal_entity_id: Text | None = None
    content_template_id: Text | None = None
    header: Annotated[Text | None, Field(description="Those that are linked to it.")] = None
    category: Category | None = None
    name: Annotated[Text | None, Field(description="Exactly.")] = None


@router.post("", status_code=201, response_model=TemplateOut)
def create_template(caller: MayAdmin, posted: Annotated[Posted[TemplateIn], Depends(JsonBody(TemplateIn))]) -> Response:
    """Register a template here as the operator's portal has it, character by character."""
    body = posted.body
    template = Registered(
        template_id=body.content_template_id,
        entity_id=body.principal_entity_id,
        name=body.name,
        headers=tuple(body.headers),
        category=body.category,
        text=body.text,
        language=body.language,
        url_allow_list=tuple(body.url_allow_list),
    )
    return once(posted, lambda session: Done(_out(dlt_store.create(session, template)), 201))


@router.get("")
def list_templates(caller: MayRead, database: Database, query: Annotated[TemplateQuery, Query()]) -> TemplateList:
    """Templates, newest first. All filters combine."""
    with open_session(database) as session:
        rows, cursor = newest_first(
            session,
            sa.select(DltTemplate).where(col(DltTemplate.deleted_at).is_(None), *_filters(query)),
            col(DltTemplate.id),
            query,
            lambda row: row[0].id,
        )
        items = [_out(row) for (row,) in rows]
        return TemplateList(items=items, next_cursor=cursor, variable_length=settings().dlt_variable_length)


@router.post("/match", response_model=MatchOut)
def match_text(caller: MayRead, posted: Annotated[Posted[MatchIn], Depends(JsonBody(MatchIn))]) -> MatchOut:
    """Hold a text against the templates as scrubbing would, without sending it: which one it fits, with the values of
    its placeholders; or where it departs, from which template, and with which error an operator would refuse it. With
    a surface, its sender, message type and DLT IDs count, whatever its `dlt` says."""
    with open_session(posted.engine) as session:
        question = _question(session, posted.body)
        session.rollback()  # the surface was locked
        return _match_out(Judge(read_templates(session)).judge(posted.body.text, question))


@router.post("/import", openapi_extra={"requestBody": {"required": True, "content": _FILE}})
async def import_templates(
    request: Request, caller: MayAdmin, database: Database, query: Annotated[ImportQuery, Query()]
) -> ImportOut:
    """A CSV as an operator's portal exports it, of at most 20 MiB and 50,000 rows. Columns are found by the names that
    portals give them, else named with `map`. Templates are created or changed by entity and content template ID, all
    in one transaction; what the file has no column for stays as it is, and templates that it does not hold stay too.
    Rows that are not approved are left out. The same file again changes nothing.
    """
    check_encoding(request)
    if media_type_of(request) != _CSV:
        raise UnsupportedBody(f"Send the file with Content-Type: {_CSV}")
    named = _columns_named(query.map)
    with place_among(request.app.state.large_bodies, request, "large bodies"):
        body = await read_in_time(request, MOST_BYTES)
        return await run_in_threadpool(_import, database, body, query, named)


@router.get("/{template}")
def get_template(caller: MayRead, database: Database, template: Text) -> TemplateOut:
    """One template, by id, content template ID or name."""
    with open_session(database) as session:
        return _out(dlt_store.find(session, template))


@router.patch("/{template}", response_model=TemplateOut)
def change_template(
    caller: MayAdmin, template: Text, posted: Annotated[Posted[TemplateChanges], Depends(JsonBody(TemplateChanges))]
) -> TemplateOut:
    """Change what is given; null clears. It applies to later sends: accepted messages keep what they were given."""
    with open_session(posted.engine) as session:
        row = dlt_store.find(session, template, for_update=True)
        dlt_store.change(session, row, posted.body.model_dump(exclude_unset=True))
        session.commit()
        session.refresh(row)
        return _out(row)


@router.delete("/{template}", status_code=204)
def delete_template(caller: MayAdmin, database: Database, template: Text) -> None:
    """Delete a template: later texts are not held against it."""
    with open_session(database) as session:
        dlt_store.delete(session, dlt_store.find(session, template, for_update=True))
        session.commit()


def _filters(query: TemplateQuery) -> list[sa.ColumnElement[bool]]:
    columns = ("principal_entity_id", "content_template_id", "category", "name")
    given = {name: value for name in columns if (value := getattr(query, name)) is not None}
    conditions = [getattr(DltTemplate, name) == value for name, value in given.items()]
    if query.header is not None:
        conditions.append(col(DltTemplate.headers).contains([query.header]))
    return conditions


def _question(session: Session, body: MatchIn) -> Question:
    """Errors: Refusal."""
    if body.surface is None:
        assert body.principal_entity_id is not None  # one of the two is given
        return Question(
            entity_id=body.principal_entity_id,
            sender=body.sender,
            message_type=body.message_type,
            template_id=body.content_template_id,
        )
    place = find_place(session, body.surface)
    entity_id = place.values.principal_entity_id
    if entity_id is None:
        raise Refusal.of_field(
            "surface", "has no principal_entity_id, which every text to India needs: set it there, or on its credential"
        )
    return Question(
        entity_id=entity_id,
        sender=place.text_sender,
        message_type=MessageType(place.message_type),
        template_id=body.content_template_id or place.values.content_template_id,
    )


def _columns_named(pairs: list[str]) -> dict[str, str]:
    """Errors: Refusal."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals:
            raise Refusal.of_field("map", f"{pair!r} is not of the form field=Column name")
        if name in named:
            raise Refusal.of_field("map", f"names two columns for {name}")
        named[name] = column.strip()
    return named


def _import(database: Engine, body: bytes, query: ImportQuery, named: dict[str, str]) -> ImportOut:
    """Errors: Refusal."""
    try:
        export = read_export(BytesIO(body), query.principal_entity_id, named)
    except BadFile as error:
        raise Refusal.of_field("body", str(error)) from error
    if export.rejected and query.on_invalid == "reject" and not query.dry_run:
        raise _refusal_of_rows(export)
    with open_session(database) as session:
        counts = dlt_store.store_export(session, export)
        here = dlt_store.still_here(session, export.left_out)
        if not query.dry_run:
            session.commit()
    return _import_out(export, counts, here, is_dry=query.dry_run)


def _refusal_of_rows(export: Export) -> Refusal:
    count, first = len(export.rejected), export.rejected[0]
    them = "it" if count == 1 else "them"
    return Refusal(
        f"{count:,} row{' is' if count == 1 else 's are'} wrong, and nothing was stored: correct {them}, or send "
        f"on_invalid=skip to leave {them} out. Line {first.line}, {first.field}: {first.reason}",
        [Fault(field, f"line {line}: {reason}") for line, field, reason in export.rejected[:MOST_LISTED]],
    )


def _import_out(export: Export, counts: Imported, here: set[Key], *, is_dry: bool) -> ImportOut:
    still = "; it is registered here all the same: delete it, unless it is used"
    left_out = [
        LeftOutTemplate(line=line, reason=reason + (still if key in here else ""))
        for line, reason, key in export.left_out[:MOST_LISTED]
    ]
    return ImportOut(
        dry_run=is_dry,
        rows=export.rows,
        created=counts.created,
        changed=counts.changed,
        unchanged=counts.unchanged,
        left_out_count=len(export.left_out),
        left_out=left_out,
        rejected_count=len(export.rejected),
        rejected=[RejectedTemplate(**row._asdict()) for row in export.rejected[:MOST_LISTED]],
    )


def _out(row: DltTemplate) -> TemplateOut:
    kinds = compile_template(registered(row)).kinds
    return TemplateOut.model_validate({**row.model_dump(), "placeholders": [kind.value for kind in kinds]})


def _match_out(verdict: Verdict) -> MatchOut:
    misfit, fault = verdict.misfit, verdict.fault
    return MatchOut(
        fits=verdict.fits,
        template=_named(verdict.template),
        values=list(verdict.values),
        position=misfit and misfit.position,
        expected=misfit and misfit.expected,
        found=misfit and misfit.found,
        fault=None if fault is None else FaultOut(id=fault.number, name=fault),
        sentence=verdict.sentence,
        nearest=_named(verdict.nearest),
    )


def _named(template: Registered | None) -> TemplateNamed | None:
    if template is None:
        return None
    return TemplateNamed(
        content_template_id=template.template_id,
        principal_entity_id=template.entity_id,
        name=template.name,
        headers=list(template.headers),
        category=template.category,
        text=template.text,
    )
