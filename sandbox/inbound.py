"""Messages that handsets write to us: what a test says of one, and how it stands on the wire."""

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from sandbox.clock import format_ms, now_ms, parse_ms
from sandbox.pushes import Kind
from sandbox.store import NO_PRICE
from sandbox.text import measure
from sandbox.wire import Text200, is_web_address

KINDS = {"sms": Kind("sms-inbound", is_counted=True), "mms": Kind("mms-inbound", is_counted=True)}

_END_MS = parse_ms("2100-01-01T00:00:00Z")


def _check_web_address(url: str) -> str:
    if not is_web_address(url):
        raise ValueError("must be an http or https URL")
    return url


def _parse_received(text: object) -> int:
    instant_ms = parse_ms(text)
    if not 0 <= instant_ms < _END_MS:
        raise ValueError("must lie between 1970 and 2100")
    return instant_ms


Address = Annotated[str, Field(min_length=1, max_length=64)]


class InboundMessage(BaseModel):
    """`url` is where it is pushed; empty, it waits for the pull. The same `message_id` may be written again: what is
    done with a repetition is the reader's business. `received_ms` is when Infobip got it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sender: Address = Field(alias="from")
    to: Address
    text: str
    url: Annotated[str, AfterValidator(_check_web_address)] = ""
    channel: Literal["sms", "mms"] = "sms"
    message_id: Annotated[Text200, Field(min_length=1)] = Field(default_factory=lambda: str(uuid.uuid4()))
    received_ms: Annotated[int, BeforeValidator(_parse_received)] = Field(alias="received_at", default_factory=now_ms)

    @field_validator("channel")
    @classmethod
    def _check_that_it_can_arrive(cls, channel: str, before: ValidationInfo) -> str:
        if channel == "mms" and before.data.get("url") == "":
            raise ValueError("an MMS is only ever pushed: give the url that it goes to")
        return channel

    @property
    def kind(self) -> Kind:
        return KINDS[self.channel]

    def as_wire(self) -> dict[str, object]:
        """Of the optional fields those that every message has: no keyword is set up for the number, and it belongs to
        no application, entity or campaign."""
        wire: dict[str, object] = {
            "messageId": self.message_id,
            "from": self.sender,
            "to": self.to,
            "receivedAt": format_ms(self.received_ms),
            "price": NO_PRICE,
        }
        if self.channel == "mms":
            return wire | {"message": [{"contentType": "text/plain", "value": self.text}]}
        return wire | {"text": self.text, "cleanText": self.text, "smsCount": measure(self.text)[0]}

    def taken(self) -> None:
        """Nothing follows it."""
