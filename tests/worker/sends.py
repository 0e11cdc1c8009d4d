"""A surface to send through, and rows to send."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from worker.enqueue import Accepted
from worker.enqueue_batch import enqueue_audience, open_audience
from worker.models import Credential, Lane, Surface
from worker.orders import USUAL_MANNER, BatchOrder, Row, Values
from worker.places import Place
from worker.words import Channel

TO = "+919876543210"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def configure(session: Session, *, credential: dict | None = None, surface: dict | None = None) -> Surface:
    account = Credential(
        name="main", base_url="x", api_key=b"", api_key_hint="", webhook_token=b"", **(credential or {})
    )
    session.add(account)
    session.flush()
    given = {"name": "otp", "channel": "sms", "message_type": "transactional", "sender": "ACME", **(surface or {})}
    if "sending_window" not in given:  # marketing would wait for India's hours, at whatever hour this runs
        given |= {"sending_window": "off", "window_off_reason": "A test runs at any hour"}
    made = Surface(credential_id=account.id, **given)
    for channel in ("sms", "mms"):
        for kind in ("transactional", "marketing"):
            session.add(Lane(credential_id=account.id, channel=channel, message_type=kind))
    session.add(made)
    session.commit()
    return made


def rows(*given: Row | str) -> list[Row]:
    return [Row(index=n, to=TO, text=row) if isinstance(row, str) else row for n, row in enumerate(given)]


def place(**given: object) -> Place:
    """As at NOW, with a validity of an hour."""
    values = {
        "now": NOW,
        "surface_id": UUID(int=1),
        "credential_id": UUID(int=3),
        "lane_id": UUID(int=2),
        "channel": Channel.SMS,
        "message_type": "transactional",
        "sender": "ACME",
        "needs_opt_in": False,
        "default_country": None,
        "values": Values(),
        "validity": timedelta(hours=1),
        "manner": USUAL_MANNER,
        "dlt": "off",
        "fallback_sender": None,
    }
    return Place(**{**values, **given})  # type: ignore[arg-type]


def enqueue_batch(session: Session, order: BatchOrder) -> Accepted:
    """With its rows in hand, as the API takes a JSON body. Ends the transaction before; does not commit its own."""
    order, audience = open_audience(session, order)
    with audience:
        audience.add_all(order)
        return enqueue_audience(session, order, audience)
