"""Media: a file up to Infobip, and what was uploaded."""

import math
from functools import partial
from tempfile import TemporaryFile
from typing import Annotated, Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Engine
from sqlmodel import Session, col

from api.auth import MayRead, MaySend
from api.bodies import Posted, key_of, place_among
from api.database import Database
from api.documentation import KEY_HEADER
from api.once import Done, first_answer, once
from api.paging import Paging, newest_first
from api.problems import Unavailable
from api.references import is_referred
from api.schemas.media import MediaList, MediaOut, MediaQuery
from api.uploads import FileBody, read_file
from worker.db import open_session
from worker.errors import CredentialRefused, RequestRefused, SendError
from worker.media_rules import TYPES, size_warnings
from worker.models import Credential, Media
from worker.refusals import Conflict, NotFound, Refusal
from worker.uploading import Upload, hand_over, keep

router = APIRouter(prefix="/v1/media", tags=["Media"])

_AGAIN_SECONDS = 5  # where Infobip names no time
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in TYPES},
    },
    "parameters": [KEY_HEADER],
}


@router.post("", status_code=201, response_model=MediaOut, openapi_extra=_BODY)
async def upload_media(
    request: Request, caller: MaySend, database: Database, query: Annotated[MediaQuery, Query()]
) -> Response:
    """Upload a file for MMS: its bytes are the body, its type the Content-Type. Parts of an MMS then name its `id` as
    `media`, through the surfaces of this credential.

    The file goes on to Infobip before the answer. Where Infobip refuses the credential that is a 409, where it refuses
    the file a 422; where it does not answer or asks for a pause a 503: repeat it after Retry-After, with the same
    Idempotency-Key.
    """
    key_of(request, caller, b"")  # a name that cannot be one is told before the file has come
    with place_among(request.app.state.uploads, request, "files"), TemporaryFile() as file:
        body = await read_file(request, file)
        said = orjson.dumps([query.model_dump(), body.media_type])
        key = key_of(request, caller, body.hash_with(said))
        posted = Posted(query, caller, database, key)
        return await to_thread.run_sync(partial(_upload, posted, body))


@router.get("")
def list_media(caller: MayRead, database: Database, paging: Annotated[Paging, Query()]) -> MediaList:
    """What was uploaded, newest first, also what Infobip does not keep any more."""
    with open_session(database) as session:
        rows, cursor = newest_first(session, _WITH_CREDENTIAL, col(Media.id), paging, lambda row: row[0].id)
        return MediaList(items=[_out(*row) for row in rows], next_cursor=cursor)


@router.get("/{media_id}")
def get_media(caller: MayRead, database: Database, media_id: UUID) -> MediaOut:
    """One uploaded file."""
    with open_session(database) as session:
        row = session.execute(_WITH_CREDENTIAL.where(col(Media.id) == media_id)).one_or_none()
        if row is None:
            raise NotFound("There is no uploaded file under this ID")
        return _out(*row)


_WITH_CREDENTIAL = sa.select(Media, col(Credential.name)).join(
    Credential, col(Credential.id) == col(Media.credential_id)
)


def _upload(posted: Posted[MediaQuery], body: FileBody) -> Response:
    """No transaction is open while the file goes up. So two requests with one key at the same time may hand it over
    twice, but one answer is given, and one row kept. Errors: Refusal."""
    answer = first_answer(posted)
    if answer is not None:
        return answer
    upload = Upload(
        _find_credential(posted.engine, posted.body.credential),
        body.file,
        body.byte_count,
        body.media_type,
        posted.body.name,
        posted.body.content_id,
    )
    try:
        uploaded = hand_over(posted.engine, upload)
    except SendError as error:
        raise _refusal_of(error) from error

    def work(session: Session) -> Done:
        credential = keep(session, uploaded)
        return Done(_out(uploaded.media, credential.name), 201)

    return once(posted, work)


def _find_credential(database: Engine, reference: str) -> UUID:
    with open_session(database) as session:
        found: UUID | None = session.scalar(sa.select(col(Credential.id)).where(is_referred(Credential, reference)))
    if found is None:
        raise Refusal.of_field("credential", "there is no credential of this name or id: create it first")
    return found


def _refusal_of(error: SendError) -> Refusal:
    """Whether to correct something, or to repeat."""
    if isinstance(error, CredentialRefused):
        return Conflict(
            f"Infobip refuses the credential ({error.detail}): correct its key or base_url, or have MMS allowed for "
            "it, then upload again"
        )
    if isinstance(error, RequestRefused):
        return Refusal.of_field("body", f"is refused by Infobip ({error.detail}): send another file")
    return Unavailable(
        f"The file could not be handed over ({error.detail}): repeat it, with its Idempotency-Key if it has one",
        retry_after_seconds=math.ceil(error.retry_after_seconds or _AGAIN_SECONDS),
    )


def _out(media: Media, credential_name: str) -> MediaOut:
    return MediaOut(
        id=media.id,
        credential=credential_name,
        name=media.name,
        content_type=media.content_type,
        bytes=media.byte_count,
        expires_at=media.expires_at,
        warnings=size_warnings(media.byte_count),
    )
