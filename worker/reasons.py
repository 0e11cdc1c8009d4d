"""Reason codes as sentences. A message's `reason` is one of our own codes below, or the name of an Infobip status or
error, whose sentences stand in worker/infobip."""

from worker.infobip import statuses

VALIDITY_OVER = "validity_over"
REFUSED = "refused_by_infobip"
NO_REPORT = "no_final_report"
NOT_SENT = "connection_failed"
UNKNOWN_FATE = "unknown_fate"
TOO_MANY_REQUESTS = "too_many_requests"
CREDENTIAL_REFUSED = "credential_refused"
BATCH_CANCELLED = "batch_cancelled"
ACCOUNT_CHANGED = "account_changed"

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
}


def explain(code: str) -> str:
    """The sentence for a code: ours, then Infobip's; a code that nobody knows stands for itself."""
    return SENTENCES.get(code) or statuses.explain(code) or code
