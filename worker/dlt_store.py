"""India DLT: the registered templates in the database: created, changed, deleted, and imported by the thousands.

Each change makes `version` grow, and the edition another, by which processes know that what they have compiled is old
(dlt_registry.py). Who changes something holds the edition from before it locks a template until it commits: so changes
wait for each other, and never in a circle. Nothing here commits.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from worker.columns import column, rows_of
from worker.db import database_now
from worker.dlt.columns import Field
from worker.dlt.exports import Export, Key, LeftOut, fault_of
from worker.dlt.templates import Registered
from worker.dlt_registry import registered
from worker.ids import new_id
from worker.models import DltTemplate
from worker.refusals import Conflict, NotFound, Refusal

_GROUP = 2_000  # templates a statement
_HOLD_EDITION = sa.text("SELECT FROM dlt_edition FOR UPDATE")


class Imported(NamedTuple):
    created: int
    changed: int
    unchanged: int


def create(session: Session, template: Registered) -> DltTemplate:
    """Errors: Refusal of a text that cannot be matched; Conflict, where its entity has this ID already."""
    _check(template)
    row = DltTemplate(**_columns(template))
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        if "dlt_template_registered" not in str(error.orig):
            raise
        raise Conflict(
            f"Principal entity {template.entity_id} has a template {template.template_id} already: change that one, "
            "or correct the ID"
        ) from error
    session.refresh(row)
    return row


def find(session: Session, reference: str, *, for_update: bool = False) -> DltTemplate:
    """By its ID here, its content template ID, or else its name. Errors: NotFound; Conflict, where it means several."""
    if for_update:
        session.execute(_HOLD_EDITION)
    rows: Sequence[DltTemplate] = ()
    for is_meant in _meanings(reference):
        query = select(DltTemplate).where(is_meant, col(DltTemplate.deleted_at).is_(None)).limit(2)
        if rows := session.exec(query.with_for_update() if for_update else query).all():
            break
    if not rows:
        raise NotFound("There is no DLT template of this ID or name")
    if len(rows) > 1:
        raise Conflict(
            "Several DLT templates have this name or content template ID: give the `id` of one, from the list"
        )
    return rows[0]


def change(session: Session, row: DltTemplate, changes: Mapping[str, Any]) -> None:
    """By columns. What it says already changes nothing. Errors: Refusal."""
    if all(getattr(row, name) == value for name, value in changes.items()):
        return
    for name, value in changes.items():
        setattr(row, name, value)
    _check(registered(row))
    row.version += 1
    row.updated_at = database_now(session)
    session.flush()


def delete(session: Session, row: DltTemplate) -> None:
    row.deleted_at = database_now(session)
    row.version += 1
    session.flush()


def store_export(session: Session, export: Export) -> Imported:
    """Write what differs from what is here. Of what the file has no column for, a known template keeps what it has."""
    statement = _statement(export.fields)
    # In one order, so that two imports wait for each other once.
    templates = [export.templates[key] for key in sorted(export.templates)]
    created = changed = 0
    for start in range(0, len(templates), _GROUP):
        written = session.execute(statement, _parameters(templates[start : start + _GROUP])).scalars().all()
        created += sum(written)
        changed += len(written) - sum(written)
    return Imported(created, changed, len(templates) - created - changed)


def still_here(session: Session, left_out: Sequence[LeftOut]) -> set[Key]:
    """Of templates that are not in use on the portal, those that are registered here all the same."""
    keys = {each.key for each in left_out if each.key is not None}
    found = session.execute(_HERE, _key_parameters(keys)).all() if keys else []
    return {(row.principal_entity_id, row.content_template_id) for row in found}


def _check(template: Registered) -> None:
    if (fault := fault_of(template)) is not None:
        raise Refusal.of_field(*fault)


def _meanings(reference: str) -> list[sa.ColumnElement[bool]]:
    """What it may be, the first that there is: a name never stands before an ID."""
    try:
        return [col(DltTemplate.id) == UUID(reference)]
    except ValueError:
        return [col(DltTemplate.content_template_id) == reference, col(DltTemplate.name) == reference]


def _columns(template: Registered) -> dict[str, Any]:
    return {
        "content_template_id": template.template_id,
        "principal_entity_id": template.entity_id,
        "name": template.name,
        "headers": list(template.headers),
        "category": str(template.category),
        "text": template.text,
        "language": template.language,
        "url_allow_list": list(template.url_allow_list),
    }


_LISTS = ("headers", "url_allow_list")
_TYPES = {
    "id": "uuid",
    "content_template_id": "text",
    "principal_entity_id": "text",
    "name": "text",
    "headers": "jsonb",
    "category": "text",
    "text": "text",
    "language": "text",
    "url_allow_list": "jsonb",
}
_KEYS = ("principal_entity_id", "content_template_id")
_HERE = sa.text(f"""
    SELECT t.principal_entity_id, t.content_template_id
    FROM {rows_of(principal_entity_id="text", content_template_id="text")} AS v
    JOIN dlt_template t USING (principal_entity_id, content_template_id)
    WHERE t.deleted_at IS NULL
""")


def _statement(fields: Collection[Field]) -> sa.TextClause:
    """It answers for each template that was not as given, whether it is new."""
    given = [f"ARRAY(SELECT jsonb_array_elements_text(v.{name}))" if name in _LISTS else f"v.{name}" for name in _TYPES]
    told = [name for name in _TYPES if name in fields and name not in _KEYS]
    here = ", ".join(f"t.{name}" for name in told)
    there = ", ".join(f"excluded.{name}" for name in told)
    return sa.text(f"""
        INSERT INTO dlt_template AS t ({", ".join(_TYPES)}, version)
        SELECT {", ".join(given)}, 1 FROM {rows_of(**_TYPES)} AS v
        ORDER BY v.principal_entity_id, v.content_template_id
        ON CONFLICT (principal_entity_id, content_template_id) WHERE deleted_at IS NULL DO UPDATE
        SET ({", ".join(told)}) = ROW({there}), version = t.version + 1, updated_at = now()
        WHERE ({here}) IS DISTINCT FROM ({there})
        RETURNING t.xmax = 0
    """)


def _parameters(templates: Sequence[Registered]) -> dict[str, str]:
    rows = [{"id": new_id(), **_columns(template)} for template in templates]
    return {name: column(row[name] for row in rows) for name in _TYPES}


def _key_parameters(keys: Collection[Key]) -> dict[str, str]:
    return {name: column(key[place] for key in keys) for place, name in enumerate(_KEYS)}
