"""What each Infobip status, with its error, means for an attempt. The one table of it; pure, no I/O.

Most statuses decide alone. For the few that only say "it failed" (4, 9, 31, 96, 97, 100) the error decides, and the
status's own outcome is the default. Codes that are not in the tables follow their group and the `permanent` flag.
A block of the recipient counts whichever of the two tells it, but only of an attempt that ended without delivery; that
an MMS is refused as one, only where it failed for good, so that no SMS follows an MMS that may yet arrive.
Source: Infobip's published status code reference; its error codes are in `error_codes.py`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from worker.explanations import TRIED_AGAIN, Explanation
from worker.infobip.error_codes import ERROR_CODES, FLOOD_FILTER, ErrorCode
from worker.words import FAILURES, Block, Outcome


class Decider(StrEnum):
    STATUS = "status"
    ERROR = "error"


class StatusCode(NamedTuple):
    id: int
    group_id: int  # 1 PENDING, 2 UNDELIVERABLE, 3 DELIVERED, 4 EXPIRED, 5 REJECTED
    name: str
    decider: Decider
    outcome: Outcome  # where the error decides: what holds when it does not tell
    explanation: Explanation
    block: Block | None = None  # of the recipient; error_codes.py says what counts as one
    refuses_mms: bool = False  # of an MMS; likewise

    @property
    def sentence(self) -> str:
        return self.explanation.sentence


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is a short stable name for counts and reasons: the error's where the error decided, else the status's."""

    outcome: Outcome
    code: str
    sentence: str  # for a person: what happened, where, and what to do
    block: Block | None  # of the recipient, the stronger of what status and error tell: also a consent fact
    is_known: bool  # False when a status or error is not in the tables
    refuses_mms: bool = False  # of an MMS: the phone or the network takes none, and an SMS may arrive


STATUS: Final = Decider.STATUS
ERROR: Final = Decider.ERROR
PENDING: Final = Outcome.PENDING
DELIVERED: Final = Outcome.DELIVERED
TRANSIENT: Final = Outcome.TRANSIENT
PERMANENT: Final = Outcome.PERMANENT
EXPIRED: Final = Outcome.EXPIRED

SIGNALS = Explanation(
    "Infobip's anti-fraud check (Signals) stopped the message; it is charged where the group is EXPIRED.",
    "Ask Infobip to let it through if the traffic is genuine.",
)
REPORT_AWAITED = "Nothing to do: its delivery report is awaited."

# Two or three lines to a row: the formatter would spread each over a dozen.
# fmt: off
STATUS_CODES: Final[tuple[StatusCode, ...]] = (
    StatusCode(3, 1, "PENDING_WAITING_DELIVERY", STATUS, PENDING,
               Explanation("The operator has the message.", REPORT_AWAITED)),
    StatusCode(7, 1, "PENDING_ENROUTE", STATUS, PENDING,
               Explanation("Infobip has passed the message on towards the operator.", REPORT_AWAITED)),
    StatusCode(26, 1, "PENDING_ACCEPTED", STATUS, PENDING,
               Explanation("Infobip has accepted the message.", REPORT_AWAITED)),

    StatusCode(4, 2, "UNDELIVERABLE_REJECTED_OPERATOR", ERROR, TRANSIENT,
               Explanation("The operator refused the message and gave no usable reason.", TRIED_AGAIN)),
    StatusCode(9, 2, "UNDELIVERABLE_NOT_DELIVERED", ERROR, TRANSIENT,
               Explanation("The operator could not deliver the message and gave no usable reason.", TRIED_AGAIN)),
    StatusCode(31, 2, "UNDELIVERABLE_NOT_SENT", ERROR, TRANSIENT,
               Explanation("The message never left Infobip, and no usable reason was given.", TRIED_AGAIN)),
    StatusCode(96, 2, "NO_ANSWER", ERROR, TRANSIENT,
               Explanation("Nobody answered the call, which is a status for voice.",
                           "Ask Infobip why a message got it; it is tried again.")),
    StatusCode(97, 2, "BUSY", ERROR, TRANSIENT,
               Explanation("The line was busy, which is a status for voice.",
                           "Ask Infobip why a message got it; it is tried again.")),
    StatusCode(98, 2, "CANCELLED", STATUS, PERMANENT,
               Explanation("The call was cancelled before it connected, which is a status for voice.",
                           "Ask Infobip why a message got it.")),

    # Group 3, yet intermediate: the operator has it, the handset may still follow or fail.
    StatusCode(2, 3, "DELIVERED_TO_OPERATOR", STATUS, PENDING,
               Explanation("The operator has the message; whether the phone has it is not told yet.", REPORT_AWAITED)),
    StatusCode(5, 3, "DELIVERED_TO_HANDSET", STATUS, DELIVERED,
               Explanation("The message was delivered to the phone.", "Nothing to do: the recipient has it.")),

    StatusCode(15, 4, "EXPIRED_EXPIRED", STATUS, EXPIRED,
               Explanation("The validity that Infobip was given ran out before delivery.",
                           "Nothing to do: it is tried again if its validity period has time left.")),
    StatusCode(29, 4, "EXPIRED_DLR_UNKNOWN", STATUS, Outcome.UNKNOWN,
               Explanation("No delivery report came in time, so nobody knows whether it arrived.",
                           "Ask the recipient before you send again.")),
    # 87 stands in two groups; only the price differs.
    StatusCode(87, 4, "SIGNALS_BLOCKED", STATUS, PERMANENT, SIGNALS),

    # Of an MMS, 6 and 19 say that MMS does not go there: SMS has routes of its own.
    StatusCode(6, 5, "REJECTED_NETWORK", STATUS, PERMANENT,
               Explanation("Infobip does not cover the recipient's network, or not for this account.",
                           "Ask Infobip to enable it, then replay."), refuses_mms=True),
    StatusCode(8, 5, "REJECTED_PREFIX_MISSING", STATUS, PERMANENT,
               Explanation("Infobip could not tell the network from the number.",
                           "Check its country code and length before sending again.")),
    StatusCode(10, 5, "REJECTED_DND", STATUS, PERMANENT,
               Explanation("The recipient is on a do-not-disturb register, which bars marketing.",
                           "Send no marketing to this number."), Block.MARKETING),
    StatusCode(11, 5, "REJECTED_SOURCE", STATUS, PERMANENT,
               Explanation("The sender is not registered on the Infobip account.",
                           "Register it with Infobip, or name another sender on the surface; then replay.")),
    StatusCode(12, 5, "REJECTED_NOT_ENOUGH_CREDITS", STATUS, Outcome.ACCOUNT,
               Explanation("The Infobip account is out of credit.", "Top it up; its messages wait until then.")),
    StatusCode(13, 5, "REJECTED_SENDER", STATUS, PERMANENT,
               Explanation("The sender is on the account's block list at Infobip.",
                           "Have it taken off, or name another sender on the surface; then replay.")),
    StatusCode(14, 5, "REJECTED_DESTINATION_BLOCKLISTED", STATUS, PERMANENT,
               Explanation("The number is on the operator's block list or the account's own.",
                           "Do not send to this number again, unless it is taken off the list."), Block.ALL),
    StatusCode(17, 5, "REJECTED_PREPAID_PACKAGE_EXPIRED", STATUS, Outcome.ACCOUNT,
               Explanation("The Infobip account's prepaid package has expired.",
                           "Renew it; its messages wait until then.")),
    StatusCode(18, 5, "REJECTED_DESTINATION_NOT_REGISTERED", STATUS, PERMANENT,
               Explanation("A trial account of Infobip's may only send to its registered numbers.",
                           "Register this one, or upgrade the account; then replay.")),
    StatusCode(19, 5, "REJECTED_ROUTE_NOT_AVAILABLE", STATUS, PERMANENT,
               Explanation("The Infobip account has no route for this traffic.",
                           "Ask Infobip to set one up, then replay."), refuses_mms=True),
    StatusCode(20, 5, "REJECTED_FLOODING_FILTER", STATUS, TRANSIENT, FLOOD_FILTER),
    StatusCode(21, 5, "REJECTED_SYSTEM_ERROR", STATUS, TRANSIENT,
               Explanation("Infobip had a fault of its own.", TRIED_AGAIN)),
    StatusCode(23, 5, "REJECTED_DUPLICATE_MESSAGE_ID", STATUS, Outcome.DUPLICATE,
               Explanation("Infobip has already seen this message ID, so an earlier try may have landed.",
                           "Nothing to do: its logs are asked before anything is sent again.")),
    StatusCode(24, 5, "REJECTED_INVALID_UDH", STATUS, PERMANENT,
               Explanation("Infobip found the binary header of the message not valid.",
                           "Correct the content and send again.")),
    StatusCode(25, 5, "REJECTED_MESSAGE_TOO_LONG", STATUS, PERMANENT,
               Explanation("Infobip refused the text: it is longer than 25 parts or 4000 bytes.",
                           "Shorten it and send again.")),
    StatusCode(51, 5, "MISSING_TO", STATUS, PERMANENT,
               Explanation("Infobip was given the message without a recipient.", "Give a number and send again.")),
    StatusCode(52, 5, "REJECTED_DESTINATION", STATUS, PERMANENT,
               Explanation("Infobip found that the number fits no operator.",
                           "Check its country code and length before sending again.")),
    StatusCode(87, 5, "SIGNALS_BLOCKED", STATUS, PERMANENT, SIGNALS),
    StatusCode(99, 5, "REJECTED", STATUS, PERMANENT,
               Explanation("The call was declined, which is a status for voice.", "Ask Infobip why a message got it.")),
    StatusCode(100, 5, "UNDELIVERABLE_REJECTED_PLATFORM", ERROR, TRANSIENT,
               Explanation("Infobip could not serve the request and gave no usable reason.", TRIED_AGAIN)),
    StatusCode(56, 5, "REJECTED_INVALID_NOTIFY_URL", STATUS, PERMANENT,
               Explanation("Infobip refused the MMS for a malformed report address.",
                           "Correct DELIVERY_PUBLIC_URL in the settings, then replay.")),
    StatusCode(77, 5, "REJECTED_MESSAGE_TEXT_TOO_LONG", STATUS, PERMANENT,
               Explanation("Infobip refused the MMS: its text is longer than 1600 characters.",
                           "Shorten it and send again.")),
)
# fmt: on


class _GroupRule(NamedTuple):
    """What a status that is not in the table means, by its group alone."""

    decider: Decider
    outcome: Outcome
    explanation: Explanation


_WAITING = _GroupRule(
    STATUS,
    PENDING,
    Explanation(
        "Infobip gave a status that this system does not know.",
        "Nothing to do: it keeps waiting for one that it knows.",
    ),
)
_BY_GROUP: Final[dict[int, _GroupRule]] = {
    0: _WAITING,  # ACCEPTED: in the API's list of groups, without codes
    1: _WAITING,
    2: _GroupRule(
        ERROR,
        TRANSIENT,
        Explanation("Infobip could not deliver, with a status that this system does not know.", TRIED_AGAIN),
    ),
    3: _GroupRule(
        STATUS,
        DELIVERED,
        Explanation(
            "Infobip calls the message delivered, with a status that this system does not know.",
            "Nothing to do: it counts as delivered.",
        ),
    ),
    4: _GroupRule(
        STATUS,
        EXPIRED,
        Explanation(
            "Infobip calls the message expired, with a status that this system does not know.",
            "Nothing to do: it is tried again if its validity period has time left.",
        ),
    ),
    5: _GroupRule(
        ERROR,
        PERMANENT,
        Explanation(
            "Infobip rejected the message with a status that this system does not know.",
            "Look it up in Infobip's documentation before sending again.",
        ),
    ),
}
_GROUP_IDS: Final = {"ACCEPTED": 0, "PENDING": 1, "UNDELIVERABLE": 2, "DELIVERED": 3, "EXPIRED": 4, "REJECTED": 5}
GROUP_LABELS: Final = {name: name.lower() for name in _GROUP_IDS}  # as metrics call them

_UNKNOWN_ERROR_PERMANENT = Explanation(
    "Infobip gave an error that this system does not know and says that the same message would fail again.",
    "Look it up in Infobip's documentation before sending again.",
)
_UNKNOWN_ERROR_TRANSIENT = Explanation(
    "Infobip gave an error that this system does not know and says that it may pass.", TRIED_AGAIN
)

# Reversed, so that of several rows with one key the first in the table stays.
_STATUS_BY_GROUP_AND_ID: Final = {(row.group_id, row.id): row for row in STATUS_CODES}
_STATUS_BY_ID: Final = {row.id: row for row in reversed(STATUS_CODES)}
_STATUS_BY_NAME: Final = {row.name: row for row in reversed(STATUS_CODES)}
_ERROR_BY_ID: Final = {row.id: row for row in reversed(ERROR_CODES)}
_ERROR_BY_NAME: Final = {row.name: row for row in reversed(ERROR_CODES)}
_SENTENCES: Final = {name: row.sentence for rows in (_STATUS_BY_NAME, _ERROR_BY_NAME) for name, row in rows.items()}

_CODE_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MOST_ID: Final = 999_999


def verdict(
    status_id: int | None,
    group_id: int | None,
    error_id: int | None,
    permanent: bool | None,
    status_name: str | None = None,
    error_name: str | None = None,
    group_name: str | None = None,
) -> Verdict:
    """What one answer, report or log row means for its attempt. `group_id` and `group_name` are the status's group,
    `permanent` the error's flag. Total: any ids, names and None have a verdict; a name counts where its id is missing.
    """
    group = group_id if group_id is not None else _GROUP_IDS.get((group_name or "").strip().upper())
    status = _known_status(status_id, group, status_name)
    error = _known_error(error_id, error_name)
    has_error = error_id is not None or bool(error_name)
    is_known = status is not None and (error is not None or not has_error)
    block = _stronger(status, error)
    refuses_mms = any(row.refuses_mms for row in (status, error) if row is not None)

    def told(outcome: Outcome, code: str, explanation: Explanation) -> Verdict:
        # What went through proves that nothing bars its number; what may yet go through has not been told to the end.
        told_block = block if outcome in FAILURES else None
        return Verdict(outcome, code, explanation.sentence, told_block, is_known, refuses_mms and outcome is PERMANENT)

    if status is not None:
        decider = status.decider
        default = told(status.outcome, status.name, status.explanation)
    else:
        decider, outcome, explanation = _WAITING if group is None else _BY_GROUP.get(group, _WAITING)
        default = told(outcome, _unknown_code("STATUS", status_id, status_name), explanation)

    if decider is STATUS:
        return default
    if error is not None:
        # NO_ERROR has no outcome, and its flag tells of no failure.
        return default if error.outcome is None else told(error.outcome, error.name, error.explanation)
    error_code = _unknown_code("ERROR", error_id, error_name) if has_error else default.code
    if permanent:
        return told(PERMANENT, error_code, _UNKNOWN_ERROR_PERMANENT)
    if permanent is False and default.outcome is PERMANENT:
        return told(TRANSIENT, error_code, _UNKNOWN_ERROR_TRANSIENT)
    return default


def explain(code: str) -> str | None:
    """The sentence for a status's or an error's name; None where the tables do not hold it."""
    return _SENTENCES.get(code)


def _known_status(status_id: int | None, group: int | None, name: str | None) -> StatusCode | None:
    if status_id is None:
        return _STATUS_BY_NAME.get(name or "")
    if group is not None and (group, status_id) in _STATUS_BY_GROUP_AND_ID:
        return _STATUS_BY_GROUP_AND_ID[group, status_id]
    return _STATUS_BY_ID.get(status_id)


def _known_error(error_id: int | None, name: str | None) -> ErrorCode | None:
    return _ERROR_BY_NAME.get(name or "") if error_id is None else _ERROR_BY_ID.get(error_id)


def _stronger(status: StatusCode | None, error: ErrorCode | None) -> Block | None:
    """Of the blocks that the rows tell; a code without a row tells none."""
    blocks = {row.block for row in (status, error) if row is not None}
    return next((block for block in (Block.ALL, Block.MARKETING) if block in blocks), None)


def _unknown_code(kind: str, code_id: int | None, name: str | None) -> str:
    """Infobip's own name where it reads like one and means nothing else here; else one made of the id. Always short."""
    if name is not None and _CODE_NAME.fullmatch(name) and name not in _SENTENCES:
        return name
    if code_id is not None and 0 <= code_id <= _MOST_ID:
        return f"{kind}_{code_id}"
    return f"{kind}_UNKNOWN"
