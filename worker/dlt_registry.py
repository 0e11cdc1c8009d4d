"""India DLT: the registered templates as they stand in the database, compiled once for as long as none is changed."""

from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from worker.dlt.screen import Screen, Templates
from worker.dlt.templates import Category, Registered, compile_template
from worker.models import DltTemplate
from worker.places import Place
from worker.settings import settings
from worker.words import DltPolicy, MessageType

# Differs whenever one was added, changed or deleted: each adds to the sum, in which those that are deleted stay.
_EDITION = text("SELECT count(*), sum(version), max(CAST(id AS text)) FROM dlt_template")
_compiled: tuple[tuple[Any, ...], Templates] | None = None  # of this process, the newest


def screen_of(session: Session, place: Place) -> Screen:
    """By which the texts of a surface are judged."""
    return Screen(read_templates(session), place.text_sender, MessageType(place.message_type), DltPolicy(place.dlt))


def read_templates(session: Session) -> Templates:
    """All of them."""
    global _compiled
    most = settings().dlt_variable_length
    edition = (*session.execute(_EDITION).one(), most)
    if _compiled is None or _compiled[0] != edition:
        rows = session.exec(select(DltTemplate).where(col(DltTemplate.deleted_at).is_(None))).all()
        _compiled = edition, Templates([compile_template(registered(row)) for row in rows], most)
    return _compiled[1]


def registered(row: DltTemplate) -> Registered:
    return Registered(
        template_id=row.content_template_id,
        entity_id=row.principal_entity_id,
        name=row.name,
        headers=tuple(row.headers),
        category=Category(row.category),
        text=row.text,
        language=row.language,
        url_allow_list=tuple(row.url_allow_list),
    )
