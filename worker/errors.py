"""What can go wrong between us and Infobip, each error carrying its own decision.

    SendError
      NotSent               no connection stood: nothing was sent, nothing burnt
      Throttled             429: not sent, nothing burnt, wait
      CredentialRefused     401, 403, 404, 405, 3xx: key or address; the credential's lanes are held, nothing burnt
      RequestRefused        400, 413: someone in the request is at fault; nothing of it was accepted
      OutcomeUncertain      time-out or break after the connection stood, 408, 5xx, an unreadable answer: ask the logs

Each says of itself whether the fate of the messages is known (else nothing is sent again before Infobip was asked), and
what has to wait for it (worker/holds.py).
"""

from dataclasses import dataclass
from typing import ClassVar

from worker import reasons
from worker.words import Channel, HoldKind


def brief(detail: str) -> str:
    """What a log may hold: the part before Infobip's own words, which may quote a number or a text."""
    return detail.partition(":")[0]


class SendError(Exception):
    """A request to Infobip that brought no usable answer."""

    code: ClassVar[str]
    # Whether the messages are known not to have been taken. No default: one that forgot to say would send them twice.
    is_fate_known: ClassVar[bool]
    # What has to wait (holds.note_error): lanes of the credential, held at once; or the lane, where Infobip asks for a
    # pause. Neither: it is counted, and several in a row hold the lane. A RequestRefused is about messages, not lanes.
    hold_kind: ClassVar[HoldKind | None] = None
    only_channel: Channel | None = None  # of the credential's lanes those of this channel
    retry_after_seconds: float | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def brief(self) -> str:
        return brief(self.detail)


class NotSent(SendError):
    """The connection never stood: DNS, TLS, refused."""

    code = reasons.NOT_SENT
    is_fate_known = True


class Throttled(SendError):
    """429: Infobip asks for a pause."""

    code = reasons.TOO_MANY_REQUESTS
    is_fate_known = True

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class CredentialRefused(SendError):
    """Infobip refuses the key, its scope, or the address."""

    code = reasons.CREDENTIAL_REFUSED
    is_fate_known = True
    hold_kind = HoldKind.ACCOUNT

    def __init__(self, detail: str, only_channel: Channel | None = None) -> None:
        super().__init__(detail)
        self.only_channel = only_channel  # 403: a scope is missing for this channel, the others may be well


@dataclass(frozen=True, slots=True)
class Violation:
    """What Infobip says is wrong, and with which message where it names one."""

    index: int | None  # of the message in the order we gave them
    words: str


class RequestRefused(SendError):
    """400 or 413: the request as a whole was refused, for the sake of some message in it."""

    code = reasons.REFUSED
    is_fate_known = True

    def __init__(self, detail: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(detail)
        self.violations = violations


class OutcomeUncertain(SendError):
    """Nobody here knows whether Infobip has the messages."""

    code = reasons.UNKNOWN_FATE
    is_fate_known = False
