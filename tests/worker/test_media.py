"""What an MMS refers to among the uploaded files, as an order has it and as it is stored."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import Session

from tests.factories import MadeLane, make_lane
from worker.db import database_now
from worker.media import resolve
from worker.mms import Mms, Part
from worker.models import Media
from worker.places import Place, find_place
from worker.refusals import Refusal
from worker.words import Channel

REFERENCE = "0AF3" * 8


def make_media(session: Session, credential_id: UUID, kept: timedelta = timedelta(days=1)) -> UUID:
    media = Media(
        credential_id=credential_id,
        content_type="image/jpeg",
        byte_count=1_000,
        uploaded_content_id=REFERENCE,
        expires_at=database_now(session) + kept,
    )
    session.add(media)
    session.flush()
    return media.id


@pytest.fixture
def place(session: Session, lane: MadeLane) -> Place:
    return find_place(session, str(lane.surface_id))


@pytest.mark.parametrize("write", [str, lambda media_id: str(media_id).upper(), lambda media_id: media_id.hex])
def test_an_uploaded_file_is_stored_as_infobip_calls_it(session: Session, place: Place, write) -> None:
    media_id = make_media(session, place.credential_id)
    text, link = Part("text", "Look"), Part("url", "https://media.example.com/a.jpg", content_type="image/jpeg")
    given = Part("media", write(media_id), content_id="a.jpg")
    settled = resolve(session, Mms(title="T", parts=(text, given, link, given)), place)
    uploaded = Part("uploaded", REFERENCE, content_id="a.jpg")
    assert settled == Mms(title="T", parts=(text, uploaded, link, uploaded))


def test_a_file_of_another_credential_is_refused(session: Session, place: Place) -> None:
    media_id = make_media(session, make_lane(session, name="other").credential_id)
    assert refused(session, place, str(media_id)).startswith("was not uploaded for the surface's credential")


@pytest.mark.parametrize("value", ["01a22ee6-6f71-72a2-aac1-c5ddacdf0862", "picture.jpg", "0" * 32])
def test_a_file_that_is_not_there_is_refused(session: Session, place: Place, value: str) -> None:
    assert refused(session, place, value).startswith("was not uploaded for the surface's credential")


def test_a_file_that_infobip_keeps_no_longer_is_refused(session: Session, place: Place) -> None:
    media_id = make_media(session, place.credential_id, timedelta(0))
    assert refused(session, place, str(media_id)).startswith("is kept by Infobip no longer")


def refused(session: Session, place: Place, media_id: str) -> str:
    with pytest.raises(Refusal) as raised:
        resolve(session, Mms(parts=(Part("text", "Look"), Part("media", media_id))), place)
    (fault,) = raised.value.faults
    assert fault.field == "mms.parts.1.media"
    return fault.message


@pytest.mark.parametrize(
    ("fallback_text", "fallback_sender", "sender"),
    [(None, "OTHER", None), ("In words", None, "KITEBK"), ("In words", "OTHER", "OTHER")],
)
def test_what_goes_in_its_place_has_its_sender(
    session: Session, place: Place, fallback_text: str | None, fallback_sender: str | None, sender: str | None
) -> None:
    mms = Mms(parts=(Part("text", "Look"),), fallback_text=fallback_text)
    pictures = replace(place, channel=Channel.MMS, fallback_sender=fallback_sender)
    assert resolve(session, mms, pictures).fallback_sender == sender
