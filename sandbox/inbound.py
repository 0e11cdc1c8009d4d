"""Messages that handsets write to us: what a test says of one, and how it stands on the wire."""

import uuid
from typing import Annotated

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from sandbox.channels import Channel
from sandbox.clock import format_ms, now_ms, parse_ms
from sandbox.pushes import Kind
from sandbox.store import NO_PRICE
from sandbox.text import measure
from sandbox.wire import Text200, is_web_address

KINDS = {
    Channel.SMS: Kind("sms-inbound", is_counted=True),
    Channel.MMS: Kind("mms-inbound", is_counted=True),
}

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


WebAddress = Annotated[str, AfterValidator(_check_web_address)]
Address = Annotated[str, Field(min_length=1, max_length=64)]


_SHAPE = ConfigDict(extra="forbid", strict=True, frozen=True)


class Medium(BaseModel):
    model_config = _SHAPE

    content_type: Annotated[str, Field(min_length=1)]
    url: WebAddress


class InboundMessage(BaseModel):
    """`url` is where it is pushed; empty, it waits for the pull. The same `message_id` may be written again: what is
    done with a repetition is the reader's business. `received_ms` is when Infobip got it."""

    model_config = _SHAPE

    sender: Address = Field(alias="from")
    to: Address
    text: str
    url: WebAddress = ""
    channel: Channel = Channel.SMS
    message_id: Annotated[Text200, Field(min_length=1)] = Field(default_factory=lambda: str(uuid.uuid4()))
    received_ms: Annotated[int, BeforeValidator(_parse_received)] = Field(alias="received_at", default_factory=now_ms)

    media: list[Medium] = []
    subject: str | None = None

    @field_validator("media", "subject")
    @classmethod
    def _check_that_it_is_an_mms(cls, value: object, before: ValidationInfo) -> object:
        if value and before.data.get("channel") is Channel.SMS:
            raise ValueError("only an MMS has it")
        return value

    @property
    def kind(self) -> Kind:
        return KINDS[self.channel]

    def as_wire(self) -> dict[str, object]:
        """As it is pushed. Infobip's form names no subject. Of the optional fields those that every message has: no
        keyword is set up for the number, and it belongs to no application, entity or campaign."""
        if self.channel is Channel.SMS:
            return self._head() | {"text": self.text, "cleanText": self.text, "smsCount": measure(self.text)[0]}
        parts: list[dict[str, str]] = [{"contentType": medium.content_type, "url": medium.url} for medium in self.media]
        if self._has_text:
            parts.append({"contentType": "text/plain", "value": self.text})
        return self._head() | {"message": parts}

    def as_pulled(self) -> dict[str, object]:
        """As it is asked for: an SMS as it is pushed, an MMS with its parts as JSON within a string. How a medium
        stands there is not documented; its address is its value here."""
        if self.channel is Channel.SMS:
            return self.as_wire()
        parts = [("link", medium.content_type, medium.url) for medium in self.media]
        if self._has_text:
            parts.append(("text", "text/plain; charset=utf-8", self.text))
        message = {
            "mms_parts": [
                {"origin": origin, "contentType": content_type, "contentId": f"content{index}", "value": value}
                for index, (origin, content_type, value) in enumerate(parts)
            ],
            "userAgent": None,
            "priority": None,
            "subject": self.subject,
        }
        return self._head() | {"message": orjson.dumps(message).decode(), "mmsCount": 1}

    def _head(self) -> dict[str, object]:
        return {
            "messageId": self.message_id,
            "from": self.sender,
            "to": self.to,
            "receivedAt": format_ms(self.received_ms),
            "price": NO_PRICE,
        }

    @property
    def _has_text(self) -> bool:
        """A message has at least one part, be it an empty text."""
        return bool(self.text) or not self.media

    def taken(self) -> None:
        """Nothing follows it."""
