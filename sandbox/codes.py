"""Infobip's statuses and errors, as they stand on the wire; only those that the sandbox ever says."""

from typing import TypedDict


class Status(TypedDict):
    groupId: int
    groupName: str
    id: int
    name: str
    description: str


class RefusedStatus(Status):
    action: str


class MessageError(TypedDict):
    groupId: int
    groupName: str
    id: int
    name: str
    description: str
    permanent: bool


GENERAL_STATUSES = ("ACCEPTED", "PENDING", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED")


def _status(group_id: int, status_id: int, name: str, description: str) -> Status:
    group_name = GENERAL_STATUSES[group_id]
    return {"groupId": group_id, "groupName": group_name, "id": status_id, "name": name, "description": description}


def _refused(status_id: int, name: str, description: str, action: str) -> RefusedStatus:
    return {**_status(5, status_id, name, description), "action": action}


def _error(group_id: int, error_id: int, name: str, description: str, permanent: bool) -> MessageError:
    group_name = ("OK", "HANDSET_ERRORS", "USER_ERRORS", "OPERATOR_ERRORS")[group_id]
    return {
        "groupId": group_id,
        "groupName": group_name,
        "id": error_id,
        "name": name,
        "description": description,
        "permanent": permanent,
    }


PENDING_ACCEPTED = _status(1, 26, "PENDING_ACCEPTED", "Message sent to next instance")
PENDING_ENROUTE = _status(1, 7, "PENDING_ENROUTE", "Message sent to next instance")
DELIVERED_TO_OPERATOR = _status(3, 2, "DELIVERED_TO_OPERATOR", "Message delivered to operator")
DELIVERED_TO_HANDSET = _status(3, 5, "DELIVERED_TO_HANDSET", "Message delivered to handset")
NOT_DELIVERED = _status(2, 9, "UNDELIVERABLE_NOT_DELIVERED", "Message sent not delivered")

NOT_ENOUGH_CREDITS = _refused(12, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits", "Top up the account")
DUPLICATE_MESSAGE_ID = _refused(
    23, "REJECTED_DUPLICATE_MESSAGE_ID", "Message id was used before", "Send again with a new message id"
)
MESSAGE_TOO_LONG = _refused(25, "REJECTED_MESSAGE_TOO_LONG", "Message is too long", "Shorten the message")
MISSING_TO = _refused(51, "MISSING_TO", "Recipient is missing", "Give a recipient")
BAD_DESTINATION = _refused(52, "REJECTED_DESTINATION", "Destination is not valid", "Correct the destination")
TEXT_TOO_LONG = _refused(
    77, "REJECTED_MESSAGE_TEXT_TOO_LONG", "Message text is too long", "Shorten the text of the message"
)

NO_ERROR = _error(0, 0, "NO_ERROR", "No Error", False)
UNKNOWN_SUBSCRIBER = _error(1, 1, "EC_UNKNOWN_SUBSCRIBER", "Unknown Subscriber", True)
ABSENT_SUBSCRIBER = _error(1, 27, "EC_ABSENT_SUBSCRIBER", "Absent Subscriber", False)
# Infobip's table gives neither group nor permanence for DLT errors. The scrub is done on the operator's side, and the
# same text under the same template would fail again.
TEMPLATE_NOT_MATCHED = _error(3, 4129, "EC_TEMPLATE_NOT_MATCHED", "Template Not Matched", True)
# Infobip gives no group for MMS errors; this one lies with the phone.
NO_MMS_ON_HANDSET = _error(1, 15019, "EC_HANDSET_DOES_NOT_SUPPORT_MMS", "Handset does not support MMS", True)
