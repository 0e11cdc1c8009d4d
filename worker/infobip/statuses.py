"""What each Infobip status, with its error, means for an attempt. The one table of it; pure, no I/O.

Most statuses decide alone. For the few that only say "it failed" (4, 9, 31, 96, 97, 100) the error decides, and the
status's own outcome is the default. Codes that are not in the tables follow their group and the `permanent` flag.
A block of the recipient counts whichever of the two tells it, but only of an attempt that ended without delivery.
Source: Infobip's published status code reference; its error codes are in `error_codes.py`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from worker.infobip.error_codes import ERROR_CODES, ErrorCode
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
    sentence: str
    block: Block | None = None  # of the recipient; error_codes.py says what counts as one


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is a short stable name for counts and reasons: the error's where the error decided, else the status's."""

    outcome: Outcome
    code: str
    sentence: str  # for a person: what happened, where, and what to do
    block: Block | None  # of the recipient, the stronger of what status and error tell: also a consent fact
    is_known: bool  # False when a status or error is not in the tables


STATUS: Final = Decider.STATUS
ERROR: Final = Decider.ERROR
PENDING: Final = Outcome.PENDING
DELIVERED: Final = Outcome.DELIVERED
TRANSIENT: Final = Outcome.TRANSIENT
PERMANENT: Final = Outcome.PERMANENT
EXPIRED: Final = Outcome.EXPIRED

SIGNALS = (
    "Infobip's anti-fraud check (Signals) stopped the message; it is charged where the group is EXPIRED, "
    "not where it is REJECTED. Ask Infobip if the traffic is genuine."
)

# Two lines to a row: the formatter would spread each over nine.
# fmt: off
STATUS_CODES: Final[tuple[StatusCode, ...]] = (
    StatusCode(3, 1, "PENDING_WAITING_DELIVERY", STATUS, PENDING,
               "The operator has the message; its delivery report is awaited."),
    StatusCode(7, 1, "PENDING_ENROUTE", STATUS, PENDING,
               "Infobip has passed the message on towards the operator; a delivery report is awaited."),
    StatusCode(26, 1, "PENDING_ACCEPTED", STATUS, PENDING,
               "Infobip has accepted the message; a delivery report is awaited."),

    StatusCode(4, 2, "UNDELIVERABLE_REJECTED_OPERATOR", ERROR, TRANSIENT,
               "The operator refused the message and gave no usable reason. It is tried again while valid."),
    StatusCode(9, 2, "UNDELIVERABLE_NOT_DELIVERED", ERROR, TRANSIENT,
               "The operator could not deliver the message and gave no usable reason. It is tried again while valid."),
    StatusCode(31, 2, "UNDELIVERABLE_NOT_SENT", ERROR, TRANSIENT,
               "The message never left Infobip, and no usable reason was given. It is tried again while valid."),
    StatusCode(96, 2, "NO_ANSWER", ERROR, TRANSIENT,
               "Nobody answered the call. A voice status: ask Infobip why a message got it. It is tried again."),
    StatusCode(97, 2, "BUSY", ERROR, TRANSIENT,
               "The line was busy. A voice status: ask Infobip why a message got it. It is tried again."),
    StatusCode(98, 2, "CANCELLED", STATUS, PERMANENT,
               "The call was cancelled before it connected. A voice status: ask Infobip why a message got it."),

    # Group 3, yet intermediate: the operator has it, the handset may still follow or fail.
    StatusCode(2, 3, "DELIVERED_TO_OPERATOR", STATUS, PENDING,
               "The operator has the message; delivery to the phone is not confirmed yet."),
    StatusCode(5, 3, "DELIVERED_TO_HANDSET", STATUS, DELIVERED,
               "The message was delivered to the phone."),

    StatusCode(15, 4, "EXPIRED_EXPIRED", STATUS, EXPIRED,
               "Infobip's validity ran out before delivery. It is tried again only if time is left on our side."),
    StatusCode(29, 4, "EXPIRED_DLR_UNKNOWN", STATUS, Outcome.UNKNOWN,
               "No delivery report came in time, so nobody knows whether it arrived. Weigh that before a replay."),
    # 87 stands in two groups; only the price differs.
    StatusCode(87, 4, "SIGNALS_BLOCKED", STATUS, PERMANENT, SIGNALS),

    StatusCode(6, 5, "REJECTED_NETWORK", STATUS, PERMANENT,
               "The recipient's network is not covered or not enabled on the account. Ask Infobip to enable it."),
    StatusCode(8, 5, "REJECTED_PREFIX_MISSING", STATUS, PERMANENT,
               "Infobip could not tell the network from the number. Check its country code and length."),
    StatusCode(10, 5, "REJECTED_DND", STATUS, PERMANENT,
               "The recipient is on a do-not-disturb register, which bars marketing. Send none to the number.",
               Block.MARKETING),
    StatusCode(11, 5, "REJECTED_SOURCE", STATUS, PERMANENT,
               "The sender is not registered on the Infobip account. Register it with Infobip or use another."),
    StatusCode(12, 5, "REJECTED_NOT_ENOUGH_CREDITS", STATUS, Outcome.ACCOUNT,
               "The Infobip account is out of credit. Top it up; its messages wait until then."),
    StatusCode(13, 5, "REJECTED_SENDER", STATUS, PERMANENT,
               "The sender is on the account's block list. Have it taken off, or use another sender."),
    StatusCode(14, 5, "REJECTED_DESTINATION_BLOCKLISTED", STATUS, PERMANENT,
               "The number is on the operator's block list or the account's own. Leave it out, or have it taken off.",
               Block.ALL),
    StatusCode(17, 5, "REJECTED_PREPAID_PACKAGE_EXPIRED", STATUS, Outcome.ACCOUNT,
               "The Infobip account's prepaid package has expired. Renew it; its messages wait until then."),
    StatusCode(18, 5, "REJECTED_DESTINATION_NOT_REGISTERED", STATUS, PERMANENT,
               "A trial account may only send to its registered numbers. Register this one, or upgrade the account."),
    StatusCode(19, 5, "REJECTED_ROUTE_NOT_AVAILABLE", STATUS, PERMANENT,
               "The Infobip account has no route for this traffic. Ask Infobip to set one up, then replay."),
    StatusCode(20, 5, "REJECTED_FLOODING_FILTER", STATUS, TRANSIENT,
               "Infobip's flood filter: too many messages to this number within an hour. It is tried again later."),
    StatusCode(21, 5, "REJECTED_SYSTEM_ERROR", STATUS, TRANSIENT,
               "Infobip had a fault of its own. It is tried again while the message is valid."),
    StatusCode(23, 5, "REJECTED_DUPLICATE_MESSAGE_ID", STATUS, Outcome.DUPLICATE,
               "Infobip has already seen this message ID, so an earlier try may have landed. Its logs are asked."),
    StatusCode(24, 5, "REJECTED_INVALID_UDH", STATUS, PERMANENT,
               "The binary header of the message is not valid. Correct the content and send again."),
    StatusCode(25, 5, "REJECTED_MESSAGE_TOO_LONG", STATUS, PERMANENT,
               "The text is longer than 25 parts or 4000 bytes. Shorten it and send again."),
    StatusCode(51, 5, "MISSING_TO", STATUS, PERMANENT,
               "The message had no recipient. Give a number and send again."),
    StatusCode(52, 5, "REJECTED_DESTINATION", STATUS, PERMANENT,
               "The number fits no operator. Check its country code and length before sending again."),
    StatusCode(87, 5, "SIGNALS_BLOCKED", STATUS, PERMANENT, SIGNALS),
    StatusCode(99, 5, "REJECTED", STATUS, PERMANENT,
               "The call was declined. A voice status: ask Infobip why a message got it."),
    StatusCode(100, 5, "UNDELIVERABLE_REJECTED_PLATFORM", ERROR, TRANSIENT,
               "Infobip could not serve the request and gave no usable reason. It is tried again while valid."),
    StatusCode(56, 5, "REJECTED_INVALID_NOTIFY_URL", STATUS, PERMANENT,
               "The MMS had a malformed report address. Check the public address in the settings, then replay."),
    StatusCode(77, 5, "REJECTED_MESSAGE_TEXT_TOO_LONG", STATUS, PERMANENT,
               "The text of the MMS is longer than 1600 characters. Shorten it and send again."),
)
# fmt: on


class _GroupRule(NamedTuple):
    """What a status that is not in the table means, by its group alone."""

    decider: Decider
    outcome: Outcome
    sentence: str


_WAITING = _GroupRule(
    STATUS, PENDING, "Infobip gave a status this system does not know. It keeps waiting for one that it knows."
)
_BY_GROUP: Final[dict[int, _GroupRule]] = {
    0: _WAITING,  # ACCEPTED: in the API's list of groups, without codes
    1: _WAITING,
    2: _GroupRule(
        ERROR, TRANSIENT, "Infobip could not deliver, with a status this system does not know. It is tried again."
    ),
    3: _GroupRule(STATUS, DELIVERED, "Infobip calls the message delivered, with a status this system does not know."),
    4: _GroupRule(
        STATUS,
        EXPIRED,
        "Infobip calls the message expired, with a status this system does not know. "
        "It is tried again only if time is left on our side.",
    ),
    5: _GroupRule(
        ERROR,
        PERMANENT,
        "Infobip rejected the message with a status this system does not know. "
        "Look it up in Infobip's documentation before sending again.",
    ),
}
_GROUP_IDS: Final = {"ACCEPTED": 0, "PENDING": 1, "UNDELIVERABLE": 2, "DELIVERED": 3, "EXPIRED": 4, "REJECTED": 5}
GROUP_LABELS: Final = {name: name.lower() for name in _GROUP_IDS}  # as metrics call them

_UNKNOWN_ERROR_PERMANENT = (
    "Infobip gave an error this system does not know and says that the same message would fail again. "
    "Look it up in Infobip's documentation before sending again."
)
_UNKNOWN_ERROR_TRANSIENT = (
    "Infobip gave an error this system does not know and says that it may pass. "
    "It is tried again while the message is valid."
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

    def told(outcome: Outcome, code: str, sentence: str) -> Verdict:
        # What went through proves that nothing bars its number; what may yet go through has not been told to the end.
        return Verdict(outcome, code, sentence, block if outcome in FAILURES else None, is_known)

    if status is not None:
        decider = status.decider
        default = told(status.outcome, status.name, status.sentence)
    else:
        decider, outcome, sentence = _WAITING if group is None else _BY_GROUP.get(group, _WAITING)
        default = told(outcome, _unknown_code("STATUS", status_id, status_name), sentence)

    if decider is STATUS:
        return default
    if error is not None:
        # NO_ERROR has no outcome, and its flag tells of no failure.
        return default if error.outcome is None else told(error.outcome, error.name, error.sentence)
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
