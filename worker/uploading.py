"""Files handed over to Infobip, for MMS to refer to. No transaction is open while one is on its way up."""

from dataclasses import dataclass
from datetime import timedelta
from typing import IO
from uuid import UUID

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from worker.db import database_now, open_session
from worker.infobip.account import Account
from worker.infobip.client import Infobip
from worker.models import Credential, Media
from worker.refusals import Conflict
from worker.secrets import decrypt
from worker.settings import settings

KEPT = timedelta(days=48)  # at Infobip, which keeps files so long unless it is told otherwise
_LONGEST_CONTENT_ID = 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was checked (media_rules.py), and what is known of it."""

    credential_id: UUID
    file: IO[bytes]  # at its beginning
    byte_count: int
    media_type: str
    name: str | None = None
    content_id: str | None = None  # of letters, digits and dots; None: one is made


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that Infobip has, and its row, which `keep` stores."""

    media: Media
    account_since: int  # of the credential, when its account was read


def hand_over(bind: Engine, upload: Upload) -> Uploaded:
    """Send the file up, within the request time-out. Errors: SendError; Conflict where the credential is gone.

    A crash, or whatever keeps the row from being stored, leaves a file at Infobip that nobody refers to, until KEPT.
    """
    with open_session(bind) as session:
        credential = _credential(session, upload.credential_id)
        expires_at = database_now(session) + KEPT
    media = Media(
        credential_id=upload.credential_id,
        name=upload.name,
        content_type=upload.media_type,
        byte_count=upload.byte_count,
        expires_at=expires_at,
    )
    account = Account(credential.base_url, decrypt(credential.api_key))
    content_id = upload.content_id or media.id.hex[-_LONGEST_CONTENT_ID:]
    with Infobip(settings().request_timeout_seconds) as infobip:
        media.uploaded_content_id = infobip.upload(
            account, upload.file, content_id, upload.media_type, upload.byte_count, KEPT
        )
    return Uploaded(media, credential.account_since)


def keep(session: Session, uploaded: Uploaded) -> Credential:
    """Store the row; the credential that it belongs to. Does not commit. Errors: Conflict where that has become another
    account's meanwhile, which does not have the file."""
    credential = _credential(session, uploaded.media.credential_id, is_locked=True)
    if credential.account_since != uploaded.account_since:
        raise Conflict("The credential was given another account while the file went up: upload it again")
    session.add(uploaded.media)
    session.flush()
    return credential


def _credential(session: Session, credential_id: UUID, *, is_locked: bool = False) -> Credential:
    query = select(Credential).where(Credential.id == credential_id, col(Credential.deleted_at).is_(None))
    if is_locked:
        query = query.with_for_update(key_share=True, read=True)
    found = session.exec(query).one_or_none()
    if found is None:
        raise Conflict("The credential was deleted meanwhile: name another")
    return found
