"""Events as a feed: all that happened, in an order that a reader can follow without gaps."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field
from sqlmodel import Session

from api.auth import MayRead
from api.database import Database
from api.fields import Text
from api.paging import FeedPaging
from api.schemas.events import EventFeed
from worker.db import open_session
from worker.event_views import describe
from worker.feeds import Place, end_of_feed, place_of, read_events, write_place
from worker.words import EventType

router = APIRouter(prefix="/v1/events", tags=["Events"])

_END = "end"
_SCAN = 10_000  # events looked at for those of some types, in one request
_KNOWN = (*dict.fromkeys(word.kind for word in EventType), *EventType)


def _types(text: str) -> str:
    for word in text.split(","):
        if word not in _KNOWN:
            raise ValueError(
                f'"{word[:50]}" is no type of events: take of {", ".join(_KNOWN)}, with commas between them'
            )
    return text


class EventSearch(FeedPaging):
    types: Annotated[
        Text | None,
        AfterValidator(lambda text: text if text is None else _types(text)),
        Field(
            max_length=2_000,
            description="Only these, with commas between them: whole types, or the part before the dot.",
            examples=["message,inbound.opt_out"],
        ),
    ] = None


@router.get("", response_model=EventFeed)
def list_events(caller: MayRead, database: Database, search: Annotated[EventSearch, Query()]) -> Response:
    """What happened, oldest first. Keep `cursor` and go on `after` it: at once while there is a `next_cursor`, else a
    little later. `after=end` gives the cursor from which what happens from now on is read."""
    types = search.types.split(",") if search.types else []
    with open_session(database) as session:
        after = _after(session, search.place)
        page = read_events(session, after, types, search.limit, _SCAN)
        cursor = write_place(session, page.through)
        # As it is: to check a page of a thousand would take longer than to read it.
        answer = {
            "items": describe(session, page.rows),
            "cursor": cursor,
            "next_cursor": None if page.is_at_end else cursor,
        }
    return Response(orjson.dumps(answer), media_type="application/json")


def _after(session: Session, place: str | None) -> Place | None:
    """Errors: BadCursor, StaleCursor."""
    if place is None:
        return None
    return end_of_feed(session) if place == _END else place_of(session, place)
