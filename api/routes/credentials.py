"""Credentials: the Infobip accounts that messages go through."""

import secrets
from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session, col, select

from api.auth import Caller, MayAdmin, MayRead
from api.bodies import JsonBody, Posted
from api.database import Database
from api.fields import Text
from api.once import Done, once
from api.paging import Paging, newest_first
from api.references import flush_name, is_referred
from api.schemas.credentials import (
    CredentialChanges,
    CredentialIn,
    CredentialList,
    CredentialOut,
    LaneOut,
    WebhookUrls,
)
from worker import holds, tally
from worker.db import database_now, open_session
from worker.infobip.account import Account
from worker.keywords import FIELDS, Keywords, faults
from worker.models import Credential, Lane, Surface
from worker.refusals import Conflict, Fault, NotFound, Refusal
from worker.secrets import decrypt, encrypt
from worker.settings import settings
from worker.states import LIVE
from worker.words import Channel, MessageType, Scope

router = APIRouter(prefix="/v1/credentials", tags=["Credentials"])

_HINT_FROM = 5  # characters: of a shorter key the hint would be all


@router.post("", status_code=201, response_model=CredentialOut)
def create_credential(
    caller: MayAdmin, posted: Annotated[Posted[CredentialIn], Depends(JsonBody(CredentialIn))]
) -> Response:
    """Store an Infobip account. Its key is checked only when it is first used."""

    def work(session: Session) -> Done:
        fields = posted.body.model_dump(exclude={"api_key"})
        _refuse_keywords(Keywords.of(fields))
        credential = Credential(
            **fields, **_sealed(posted.body.api_key), webhook_token=encrypt(secrets.token_urlsafe(24))
        )
        session.add(credential)
        flush_name(session, credential)
        for channel in Channel:
            session.add_all(
                Lane(credential_id=credential.id, channel=channel, message_type=kind) for kind in MessageType
            )
        session.flush()
        session.refresh(credential)
        return Done(_out(session, [credential], caller)[0], 201)

    return once(posted, work, is_secret=True)


@router.get("")
def list_credentials(caller: MayRead, database: Database, paging: Annotated[Paging, Query()]) -> CredentialList:
    """Credentials, newest first."""
    with open_session(database) as session:
        query = sa.select(Credential).where(col(Credential.deleted_at).is_(None))
        rows, cursor = newest_first(session, query, col(Credential.id), paging, lambda row: row[0].id)
        return CredentialList(items=_out(session, [row[0] for row in rows], caller), next_cursor=cursor)


@router.get("/{credential}")
def get_credential(caller: MayRead, database: Database, credential: Text) -> CredentialOut:
    """One credential, by id or name, with its lanes: whether each is held, and why."""
    with open_session(database) as session:
        return _out(session, [find_credential(session, credential)], caller)[0]


@router.patch("/{credential}", response_model=CredentialOut)
def change_credential(
    caller: MayAdmin,
    credential: Text,
    posted: Annotated[Posted[CredentialChanges], Depends(JsonBody(CredentialChanges))],
) -> CredentialOut:
    """Change what is given; null clears. A new key or address counts from the next request on, and ends holds."""
    with open_session(posted.engine) as session:
        found = find_credential(session, credential, for_update=True)
        before = Account(found.base_url, decrypt(found.api_key))
        changes = posted.body.model_dump(exclude_unset=True, exclude={"api_key"})
        if "api_key" in posted.body.model_fields_set:
            changes |= _sealed(posted.body.api_key)
        if not changes.keys().isdisjoint(FIELDS.values()):
            _refuse_keywords(Keywords.of(found.model_dump() | changes), changes)
        is_moved = "api_key" in changes or changes.get("base_url", found.base_url) != found.base_url
        changes["updated_at"] = database_now(session)
        for name, value in changes.items():
            setattr(found, name, value)
        found.version += is_moved
        if Account(found.base_url, posted.body.api_key or before.api_key).identity != before.identity:
            found.account_since = found.version
        flush_name(session, found)
        if is_moved:
            holds.release(session, found.id)
        session.refresh(found)
        answer = _out(session, [found], caller)[0]
        session.commit()
        return answer


@router.delete("/{credential}", status_code=204)
def delete_credential(caller: MayAdmin, database: Database, credential: Text) -> None:
    """Delete a credential that nothing uses any more. What it sent stays readable."""
    with open_session(database) as session:
        found = find_credential(session, credential, for_update=True)
        _refuse_used(session, found)
        found.deleted_at = database_now(session)
        session.commit()


@router.post("/{credential}/resume", response_model=CredentialOut)
def resume_credential(caller: MayAdmin, database: Database, credential: Text) -> CredentialOut:
    """End the holds of all lanes of the credential, now."""
    with open_session(database) as session:
        found = find_credential(session, credential, for_update=True)
        holds.release(session, found.id)
        answer = _out(session, [found], caller)[0]
        session.commit()
        return answer


def find_credential(session: Session, reference: str, *, for_update: bool = False) -> Credential:
    """By id or name. Errors: NotFound."""
    query = select(Credential).where(is_referred(Credential, reference))
    found = session.exec(query.with_for_update() if for_update else query).one_or_none()
    if found is None:
        raise NotFound("There is no credential of this name or id")
    return found


def _sealed(api_key: str) -> dict[str, Any]:
    return {"api_key": encrypt(api_key), "api_key_hint": api_key[-4:] if len(api_key) >= _HINT_FROM else ""}


def _refuse_keywords(keywords: Keywords, given: Collection[str] = ()) -> None:
    """Where the lists contradict each other or the law. `given`: the fields of a change."""
    found = [Fault(field, message) for field, message in faults(keywords, given)]
    if found:
        named = "; ".join(f"{fault.field}: {fault.message}" for fault in found[:3])
        raise Refusal(named + ("; and more" if len(found) > 3 else ""), found)


def _refuse_used(session: Session, credential: Credential) -> None:
    in_use = (Surface.credential_id == credential.id, col(Surface.deleted_at).is_(None))
    names = session.exec(select(Surface.name).where(*in_use).order_by(Surface.name)).all()
    if names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        raise Conflict(f"The credential is used by {len(names)} surface(s): {shown}. Delete them first")
    lane_ids = session.exec(select(Lane.id).where(Lane.credential_id == credential.id)).all()
    counted = tally.counts(session, lane_ids).values()
    live = sum(n for counts in counted for (state, _), n in counts.items() if state in LIVE)
    if live:
        raise Conflict(f"{live:,} message(s) are still on their way through this credential: wait for their end")


def _out(session: Session, credentials: list[Credential], caller: Caller) -> list[CredentialOut]:
    ids = [credential.id for credential in credentials]
    by_credential: dict[UUID, list[LaneOut]] = {credential_id: [] for credential_id in ids}
    query = (
        select(Lane).where(col(Lane.credential_id).in_(ids)).order_by(col(Lane.channel).desc(), col(Lane.message_type))
    )
    # Read anew: a release just before went past the session's objects.
    for lane in session.exec(query.execution_options(populate_existing=True)).all():
        by_credential[lane.credential_id].append(LaneOut.model_validate(lane, from_attributes=True))
    return [
        CredentialOut.model_validate(
            {
                **credential.model_dump(),
                "lanes": by_credential[credential.id],
                "webhook_urls": _webhook_urls(credential) if caller.may(Scope.ADMIN) else None,
            }
        )
        for credential in credentials
    ]


def _webhook_urls(credential: Credential) -> WebhookUrls:
    token, address = decrypt(credential.webhook_token), settings().webhook_url
    return WebhookUrls(
        reports=address(credential.id, token, "reports"), inbound=address(credential.id, token, "inbound")
    )
