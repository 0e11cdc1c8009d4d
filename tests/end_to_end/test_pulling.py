"""Inbound messages that nobody pushes: fetched from Infobip by a worker, settled and answered."""

import pytest

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import recipient
from tests.processes import wait_for


@pytest.mark.parametrize("channel", ["sms", "mms"])
def test_what_a_handset_writes_is_pulled_changes_consent_and_is_answered(system: System, channel: str) -> None:
    account = f"/v1/credentials/{system.surface().replace('surface', 'account')}"
    person = recipient()
    ours = {"inbound_pull": True, "opt_out_message": "Goodbye", "inbound_number": "447491163443"}
    system.http.patch(account, json=ours).raise_for_status()
    try:
        handset_writes = {"from": person, "to": ours["inbound_number"], "text": "Stop.", "channel": channel}
        system.sandbox.post("/sandbox/inbound", json=handset_writes).raise_for_status()
        (reply,) = wait_for(lambda: system.accepted(to=person), 20, every=0.1)
        assert reply["text"] == "Goodbye"
        (consent,) = system.get(f"/v1/consents/{person}")["items"]
        assert consent["state"] == "opted_out"
    finally:
        # Other tests count the requests that Infobip gets.
        system.http.patch(account, json={"inbound_pull": False}).raise_for_status()
