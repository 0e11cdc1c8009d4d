"""Reason codes as sentences: ours here, Infobip's in the tables of worker/infobip."""

from worker.infobip import statuses
from worker.reasons import (
    ACCOUNT_CHANGED,
    BATCH_CANCELLED,
    CREDENTIAL_REFUSED,
    DELIVERED_LATE,
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
)

SENTENCES = {
    VALIDITY_OVER: "The validity period ended before the message could be sent.",
    REFUSED: "Infobip refused the request for the sake of this message.",
    NO_REPORT: "Infobip accepted the message, and no final report ever came: the recipient may have it.",
    NOT_SENT: "Infobip could not be reached; nothing was sent.",
    UNKNOWN_FATE: "Nobody knows whether Infobip took the request; its logs are asked before anything is sent again.",
    TOO_MANY_REQUESTS: "Infobip asked for a pause; nothing was sent.",
    CREDENTIAL_REFUSED: "Infobip refused the credential's key or address; nothing was sent.",
    ACCOUNT_CHANGED: (
        "Nobody knows whether Infobip took it, and the credential names another account since, so that nobody can ask: "
        "the recipient may have it."
    ),
    BATCH_CANCELLED: "The batch was cancelled before this message was delivered.",
    SOURCE_DELIVERED: "The message that this one replays was delivered after all.",
    DELIVERED_LATE: "It was delivered after all, when it had been given up.",
    OPTED_OUT: "The recipient has opted out of marketing from this credential.",
    NOT_OPTED_IN: "The surface requires an opt-in, and the recipient has not opted in.",
    NUMBER_BLOCKED: "Infobip reported that the number is blocked: nothing is sent to it until it opts in.",
}


def explain(code: str) -> str:
    """The sentence for a code: ours, then Infobip's; a code that nobody knows stands for itself."""
    return SENTENCES.get(code) or statuses.explain(code) or code
