"""Signatures of what is pushed, by the scheme Standard Webhooks: the receiver knows that it comes from us, and when."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from math import floor

from standardwebhooks import Webhook

SECRET_BYTES = 32  # Standard Webhooks: between 24 and 64


def make_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(keys: Sequence[str], webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks. One signature for each of `keys`, so that a receiver may know any of
    them; `at` is the instant of this try, since receivers refuse what is older than some minutes."""
    text = body.decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(floor(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(webhook_id, at, text) for key in keys),
    }
