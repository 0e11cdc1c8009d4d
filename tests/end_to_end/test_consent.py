"""What handsets write, from the sandbox to consent and back: through the webhook, the replies' lane and Infobip."""

from typing import Any

from tests.end_to_end.conftest import System
from tests.end_to_end.observing import recipient, recipients, single
from tests.processes import wait_for

OURS = "447491163443"
JOIN = {"double_opt_in_keywords": ["JOIN"], "double_opt_in_message": "Reply YES to join", "opt_in_message": "Welcome"}
CAPPED = 1  # answers to one person for one action within a minute
ROUNDS = 12


class Handset:
    """One phone, which writes to the credential of a surface and keeps what it gets."""

    def __init__(self, system: System, surface: str, number: str) -> None:
        self.system, self.number = system, number
        self.credential = surface.replace("surface", "account")
        self._url = system.get(f"/v1/credentials/{self.credential}")["webhook_urls"]["inbound"]

    def write(self, text: str, to: str = OURS) -> None:
        """Returns once the message is settled: our 200 says so."""
        before = len(self.inbound())
        body = {"from": self.number, "to": to, "text": text, "url": self._url}
        self.system.sandbox.post("/sandbox/inbound", json=body).raise_for_status()
        wait_for(lambda: len(self.inbound()) > before, 10, every=0.02)

    def inbound(self) -> list[dict[str, Any]]:
        """Newest first."""
        return self.system.all("/v1/inbound", **{"from": self.number})

    def got(self) -> list[str]:
        """The texts that reached it, oldest first."""
        return [item["text"] for item in self.system.accepted(to=self.number)]

    def consent(self) -> str | None:
        items = self.system.get(f"/v1/consents/{self.number}")["items"]
        return next((item["state"] for item in items if item["credential"] == self.credential), None)


def configured(system: System, **credential: Any) -> str:
    """A marketing surface whose credential holds these fields besides."""
    surface = system.surface(message_type="marketing", validity_period="PT1M")
    account = surface.replace("surface", "account")
    system.http.patch(f"/v1/credentials/{account}", json=credential).raise_for_status()
    return surface


def test_a_handset_joins_confirms_leaves_and_comes_back(system: System) -> None:
    surface = configured(system, **JOIN, opt_out_message="Goodbye", inbound_number=OURS)
    person, neighbour = recipients(2)
    handset = Handset(system, surface, person)

    handset.write("join!")
    assert handset.consent() == "pending"
    handset.write(" Yes ")
    assert handset.consent() == "opted_in"
    wait_for(lambda: len(handset.got()) == 2, 10, every=0.1)
    assert handset.got() == ["Reply YES to join", "Welcome"]

    handset.write("STOP")
    assert handset.consent() == "opted_out"
    wait_for(lambda: len(handset.got()) == 3, 10, every=0.1)
    sent = system.post(
        "/v1/batches",
        {"surface": surface, "text": "Sale", "messages": [{"to": person}, {"to": neighbour}]},
        202,
    )
    assert (sent["accepted"], sent["suppressed"]) == (1, 1)
    ended = system.finished(sent["id"])
    assert {to: message["state"] for to, message in ended.items()} == {person: "suppressed", neighbour: "delivered"}

    credential = handset.credential
    otp = {"name": f"{surface}-otp", "channel": "sms", "message_type": "transactional", "credential": credential}
    system.post("/v1/surfaces", {**otp, "sender": "KITEBK"})
    system.post("/v1/messages", single(f"{surface}-otp", person), 202)
    wait_for(lambda: len(handset.got()) == 4, 10, every=0.1)
    assert handset.got()[2:] == ["Goodbye", "Your code is 4711"]

    handset.write("START")  # with double opt-in it begins anew
    assert handset.consent() == "pending"
    handset.write("START")
    assert handset.consent() == "opted_in"
    again = system.batch(surface, [person])
    assert system.finished(again)[person]["state"] == "delivered"
    states = [change["state"] for change in system.get(f"/v1/consents/{person}/history")["items"]]
    assert states == ["opted_in", "pending", "opted_out", "opted_in", "pending"]


def test_a_message_and_its_reply_tell_of_each_other(system: System) -> None:
    surface = configured(system, help_message="Call us")
    handset = Handset(system, surface, recipient())
    handset.write("help")
    inbound = handset.inbound()[0]
    reply = system.get(f"/v1/messages/{inbound['reply_id']}")
    assert reply["origin"] == "reply"
    assert reply["timeline"][0]["inbound_id"] == inbound["id"]
    timeline = system.get(f"/v1/inbound/{inbound['id']}")["timeline"]
    assert reply["id"] in [event.get("message_id") for event in timeline]
    wait_for(lambda: handset.got() == ["Call us"], 10, every=0.1)
    accepted = system.accepted(to=handset.number)[0]
    assert accepted["sender"] == OURS


def test_two_auto_responders_exchange_no_more_than_the_cap(system: System) -> None:
    """Each answers whatever comes with a text of its own, as two of our credentials would, number to number."""
    numbers = recipients(2)
    surfaces = [configured(system, default_reply_message=f"We are closed, {n}", inbound_number=n) for n in numbers]
    handsets = [Handset(system, surface, number) for surface, number in zip(surfaces, reversed(numbers), strict=True)]
    handsets[0].write("Hello, are you there?", to=numbers[0])
    delivered = dict.fromkeys(numbers, 0)
    while True:
        is_waiting = _waits(system, numbers)  # asked first: what leaves meanwhile is among the news
        news = {number: system.accepted(to=number)[delivered[number] :] for number in numbers}
        for index, number in enumerate(numbers):
            for item in news[number]:
                delivered[number] += 1
                handsets[index].write(item["text"], to=number)
        if not any(news.values()) and not is_waiting:
            break
        assert sum(delivered.values()) < ROUNDS
    assert 1 <= sum(delivered.values()) <= 2 * CAPPED


def _waits(system: System, numbers: list[str]) -> bool:
    """Whether something to one of them is still on its way."""
    messages = [message for number in numbers for message in system.all("/v1/messages", to=number)]
    return any(message["state"] in ("queued", "sending") for message in messages)
