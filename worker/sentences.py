"""Reason codes as sentences: ours here, Infobip's in the tables of worker/infobip.

docs/reasons.md is made of both: after a change here or there, `make reasons`.
"""

from typing import Final, NamedTuple

from worker.explanations import TRIED_AGAIN, Explanation
from worker.infobip import statuses
from worker.reasons import (
    ACCOUNT_CHANGED,
    BATCH_CANCELLED,
    CREDENTIAL_REFUSED,
    DELIVERED_LATE,
    FALLBACK,
    NO_REPORT,
    NOT_OPTED_IN,
    NOT_SENT,
    NUMBER_BLOCKED,
    OPTED_OUT,
    REFUSED,
    SOURCE_DELIVERED,
    TOO_MANY_REQUESTS,
    UNKNOWN_FATE,
    VALIDITY_OVER,
    WINDOW_CLOSED,
)
from worker.states import State


class Reason(NamedTuple):
    """`ends_as`: the final states a message may end in for this reason; none where it tells of a request alone."""

    happened: str
    advice: str
    ends_as: tuple[State, ...] = ()

    @property
    def sentence(self) -> str:
        return Explanation(self.happened, self.advice).sentence


REASONS: Final[dict[str, Reason]] = {
    VALIDITY_OVER: Reason(
        "The validity period ended before the message could be sent.",
        "Find what held it (its lane, its batch, or no worker), then replay it if it still matters.",
        (State.EXPIRED,),
    ),
    WINDOW_CLOSED: Reason(
        "The sending window does not open again before the validity period ends.",
        "Give the message more validity or its surface wider hours, then replay it if it still matters.",
        (State.EXPIRED,),
    ),
    REFUSED: Reason(
        "Infobip refused the request for the sake of this message.",
        "Correct what Infobip's words in its timeline name, and send again.",
        (State.FAILED,),
    ),
    NO_REPORT: Reason(
        "Infobip accepted the message, and no final report ever came: the recipient may have it.",
        "Ask the recipient before you send again.",
        (State.UNCONFIRMED,),
    ),
    NOT_SENT: Reason("Infobip could not be reached; nothing was sent.", TRIED_AGAIN),
    UNKNOWN_FATE: Reason(
        "Nobody knows whether Infobip took the request.",
        "Nothing to do while its logs are asked; once it has ended, ask the recipient before you send again.",
        (State.UNCONFIRMED, State.EXPIRED),
    ),
    TOO_MANY_REQUESTS: Reason(
        "Infobip asked for a pause; nothing was sent.",
        "Nothing to do: it goes out when the pause is over. If it happens often, lower the credential's rate.",
    ),
    CREDENTIAL_REFUSED: Reason(
        "Infobip refused the credential's key or address; nothing was sent.",
        "Correct the credential's api_key or base_url: its messages wait until then.",
    ),
    ACCOUNT_CHANGED: Reason(
        "Nobody knows whether Infobip took it, and the credential names another account since, so that nobody can ask: "
        "the recipient may have it.",
        "Ask the recipient before you send again.",
        (State.UNCONFIRMED,),
    ),
    BATCH_CANCELLED: Reason(
        "The batch was cancelled before this message was delivered.",
        "Nothing to do: it is not sent any more. Replay it if that was not meant.",
        (State.CANCELLED,),
    ),
    SOURCE_DELIVERED: Reason(
        "The message that this one replays was delivered after all.",
        "Nothing to do: the recipient has it.",
        (State.CANCELLED,),
    ),
    DELIVERED_LATE: Reason(
        "It was delivered after all, when it had been given up.",
        "Do not send it again: the recipient has it.",
        (State.DELIVERED,),
    ),
    OPTED_OUT: Reason(
        "The recipient has opted out of marketing from this credential.",
        "Send no marketing to this number until it opts in again.",
        (State.SUPPRESSED,),
    ),
    NOT_OPTED_IN: Reason(
        "The surface requires an opt-in, and the recipient has not opted in.",
        "Send again once the recipient has opted in.",
        (State.SUPPRESSED,),
    ),
    NUMBER_BLOCKED: Reason(
        "Infobip reported that the number is blocked.",
        "Do not send to this number again: nothing goes to it until it opts in.",
        (State.SUPPRESSED,),
    ),
    FALLBACK: Reason(
        "The network takes no MMS to this recipient, so its fallback_text went out as an SMS instead.",
        "Nothing to do: follow that SMS, which its timeline names.",
        (State.CANCELLED,),
    ),
}
SENTENCES: Final = {code: reason.sentence for code, reason in REASONS.items()}


def explain(code: str) -> str:
    """The sentence for a code: ours, then Infobip's; a code that nobody knows stands for itself."""
    return SENTENCES.get(code) or statuses.explain(code) or code
