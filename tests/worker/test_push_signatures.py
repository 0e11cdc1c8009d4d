"""Signatures as a receiver checks them, with the library `standardwebhooks`."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from worker.push_signatures import make_secret, signed_headers

BODY = '{"type":"events","data":[{"text":"ünïcode"}]}'.encode()


def test_each_secret_verifies_and_no_other() -> None:
    first, second = make_secret(), make_secret()
    headers = signed_headers([first, second], "id-1", datetime.now(UTC), BODY)
    for secret in (first, second):
        assert Webhook(secret).verify(BODY, headers)["type"] == "events"
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "body"])
def test_what_is_changed_on_the_way_does_not_verify(changed: str) -> None:
    secret = make_secret()
    headers = signed_headers([secret], "id-1", datetime.now(UTC), BODY)
    body = BODY + b" " if changed == "body" else BODY
    if changed != "body":
        headers[changed] += "0"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_an_old_push_does_not_verify() -> None:
    secret = make_secret()
    headers = signed_headers([secret], "id-1", datetime.now(UTC) - timedelta(minutes=10), BODY)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, headers)
