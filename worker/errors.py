"""What can go wrong between us and Infobip, each error carrying its own decision.

    SendError
      NotSent               no connection stood: nothing was sent, nothing burnt
      Throttled             429: not sent, nothing burnt, wait
      CredentialRefused     401, 403, 404, 405, 3xx: key or address; the credential's lanes are held, nothing burnt
      RequestRefused        400, 413: someone in the request is at fault; nothing of it was accepted
      OutcomeUncertain      time-out or break after the connection stood, 408, 5xx, an unreadable answer: ask the logs

`is_fate_known` false means: do not send again before Infobip was asked. Which lanes wait for it: worker/answers.py.
"""

from dataclasses import dataclass
from typing import ClassVar

from worker import reasons
from worker.words import Channel


class SendError(Exception):
    """A request to Infobip that brought no usable answer."""

    code: ClassVar[str]
    is_fate_known: ClassVar[bool] = True

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def brief(self) -> str:
        """What a log may hold: the part before Infobip's own words, which may quote a number or a text."""
        return self.detail.partition(":")[0]


class NotSent(SendError):
    """The connection never stood: DNS, TLS, refused."""

    code = reasons.NOT_SENT


class Throttled(SendError):
    """429: Infobip asks for a pause."""

    code = reasons.TOO_MANY_REQUESTS

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class CredentialRefused(SendError):
    """Infobip refuses the key, its scope, or the address."""

    code = reasons.CREDENTIAL_REFUSED

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

    def __init__(self, detail: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(detail)
        self.violations = violations


class OutcomeUncertain(SendError):
    """Nobody here knows whether Infobip has the messages."""

    code = reasons.UNKNOWN_FATE
    is_fate_known = False
