"""India DLT: the registered templates as they stand in the database, compiled once a process and change.

Whether they changed is asked each time, by one row. What a change leaves as it was is not compiled again; while one
thread compiles, others wait for it, rather than send by what is old or compile the same.
"""

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session

from worker.columns import column, rows_of
from worker.dlt.known import Templates
from worker.dlt.screen import Screen
from worker.dlt.templates import Category, Pattern, Registered, compile_template
from worker.places import Place
from worker.settings import settings
from worker.words import DltPolicy, MessageType

_Edition = tuple[UUID | None, int]  # the database's, and how long values may be
_State = tuple[UUID, int, str]  # of a row: xmin is another for each transaction that writes it

_EDITION = sa.text("SELECT edition FROM dlt_edition")
_STATE = "t.id, t.version, CAST(t.xmin AS text) AS xmin"
_STATES = sa.text(f"SELECT {_STATE} FROM dlt_template t WHERE t.deleted_at IS NULL ORDER BY t.id")
_ROWS = sa.text(f"""
    SELECT {_STATE}, t.content_template_id, t.principal_entity_id, t.name, t.headers, t.category, t.text, t.language,
           t.url_allow_list
    FROM dlt_template t JOIN {rows_of(id="uuid")} AS v ON v.id = t.id
    WHERE t.deleted_at IS NULL
    ORDER BY t.id
""")


class _Compiled(NamedTuple):
    edition: _Edition | None
    patterns: Mapping[_State, Pattern]
    templates: Templates


_compiled = _Compiled(None, {}, Templates((), 1))  # of this process, the newest
_compiling = threading.Lock()


def screen_of(session: Session, place: Place) -> Screen:
    """By which the texts of a surface are judged. To be asked while nothing is locked: it may take seconds."""
    return screen_by(read_templates(session), place)


def screen_by(templates: Templates, place: Place) -> Screen:
    return Screen(templates, place.text_sender, MessageType(place.message_type), DltPolicy(place.dlt))


def read_templates(session: Session) -> Templates:
    """All of them. Waits for who compiles them."""
    global _compiled
    if (templates := templates_if_compiled(session)) is not None:
        return templates
    with _compiling:
        edition = _read_edition(session)  # before the rows: what changes in between is read again next time
        if _compiled.edition != edition:
            _compiled = _compile(session, edition, _compiled)
        return _compiled.templates


def templates_if_compiled(session: Session) -> Templates | None:
    """The same for who holds a lock; None: they changed, and nobody has read them here since."""
    compiled = _compiled
    return compiled.templates if compiled.edition == _read_edition(session) else None


def _read_edition(session: Session) -> _Edition:
    return session.execute(_EDITION).scalar_one_or_none(), settings().dlt_variable_length


def _compile(session: Session, edition: _Edition, former: _Compiled) -> _Compiled:
    states: list[_State] = [(row.id, row.version, row.xmin) for row in session.execute(_STATES)]
    patterns = {state: pattern for state in states if (pattern := former.patterns.get(state)) is not None}
    if new := [state[0] for state in states if state not in patterns]:
        for row in session.execute(_ROWS, {"id": column(new)}):
            patterns[row.id, row.version, row.xmin] = compile_template(registered(row))
    return _Compiled(edition, patterns, Templates(patterns.values(), edition[1], former.templates))


def registered(row: Any) -> Registered:
    """`row`: with the columns of a DltTemplate."""
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
