"""A surface to send through, and rows to send."""

from sqlmodel import Session

from worker.models import Credential, Lane, Surface
from worker.orders import Row

TO = "+919876543210"


def configure(session: Session, *, credential: dict | None = None, surface: dict | None = None) -> Surface:
    account = Credential(
        name="main", base_url="x", api_key=b"", api_key_hint="", webhook_token=b"", **(credential or {})
    )
    session.add(account)
    session.flush()
    given = {"name": "otp", "channel": "sms", "message_type": "transactional", "sender": "ACME", **(surface or {})}
    made = Surface(credential_id=account.id, **given)
    for channel in ("sms", "mms"):
        for kind in ("transactional", "marketing"):
            session.add(Lane(credential_id=account.id, channel=channel, message_type=kind))
    session.add(made)
    session.commit()
    return made


def rows(*given: Row | str) -> list[Row]:
    return [Row(index=n, to=TO, text=row) if isinstance(row, str) else row for n, row in enumerate(given)]
