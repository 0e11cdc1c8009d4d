"""Media of MMS: files that were uploaded to Infobip, and what an order refers to."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlmodel import Session, col, select

from worker.db import database_now
from worker.mms import Mms, Part
from worker.models import Media
from worker.places import Place
from worker.refusals import Refusal


def resolve(session: Session, mms: Mms, place: Place) -> Mms:
    """An MMS as it is stored: its uploaded files by Infobip's own references, and who sends what goes in its place.

    Errors: Refusal of a file that is not there for this credential, or not any more.
    """
    sender = None if mms.fallback_text is None else place.text_sender
    return replace(mms, parts=_uploaded(session, mms.parts, place.credential_id), fallback_sender=sender)


def _uploaded(session: Session, parts: Sequence[Part], credential_id: UUID) -> tuple[Part, ...]:
    named = {number: _id_of(part.value) for number, part in enumerate(parts) if part.kind == "media"}
    if not named:
        return tuple(parts)
    ids = {media_id for media_id in named.values() if media_id is not None}
    files = {file.id: file for file in session.exec(select(Media).where(col(Media.id).in_(ids)))}
    now = database_now(session)
    settled = list(parts)
    for number, media_id in named.items():
        file, field = files.get(media_id) if media_id else None, f"mms.parts.{number}.media"
        if file is None or file.credential_id != credential_id:
            raise Refusal.of_field(field, "was not uploaded for the surface's credential: do it with POST /v1/media")
        if file.expires_at <= now:
            raise Refusal.of_field(field, "is kept by Infobip no longer: upload it again with POST /v1/media")
        settled[number] = replace(parts[number], kind="uploaded", value=file.uploaded_content_id)
    return tuple(settled)


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
