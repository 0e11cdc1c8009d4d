"""What becomes of a message: the last four digits of its recipient choose.

| Ends in | Infobip says |
|---|---|
| 9001 | first attempt: status 9, error 27 (absent subscriber); from the second on: delivered |
| 9002 | status 9, error 27, on every attempt |
| 9003 | status 9, error 1 (unknown subscriber, permanent) |
| 9004 | delivered, and the report is never pushed: the logs and the pull know it |
| 9005 | refused in the answer to the send, status 52 |
| 9006 | delivered, the report pushed twice |
| 9007 | delivered, then an older pending report |
| 9008 | an SMS: DLT scrub failure, status 9, error 4129; an MMS: delivered, since DLT knows no MMS |
| 9009 | the whole request is answered 400, with no violations |
| 9010 | accepted, and never heard of again |
| 9011 | an MMS: status 9, error 15019 (handset does not support MMS, permanent); an SMS: delivered |
| other | delivered |
"""

import re
from dataclasses import dataclass, replace

from sandbox import codes
from sandbox.channels import Channel
from sandbox.codes import MessageError, RefusedStatus, Status

POISON_SUFFIX = "9009"  # One such recipient makes Infobip refuse the request that names it.

_NUMBER = re.compile(r"\+?[1-9]\d{6,14}")

# Mobile networks by the start of the number; the pair of Infobip's `mccMnc` is mcc and mnc.
_NETWORKS = (("91", ("404", "10")), ("44", ("234", "10")), ("41", ("228", "01")), ("1", ("310", "260")))
_OTHER_NETWORK = ("901", "01")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`final` is None where no report and no final log ever comes."""

    final: Status | None
    error: MessageError
    is_pushed: bool = True
    is_repeated: bool = False
    is_followed_by_older: bool = False


DELIVERED = Outcome(codes.DELIVERED_TO_HANDSET, codes.NO_ERROR)
_ABSENT = Outcome(codes.NOT_DELIVERED, codes.ABSENT_SUBSCRIBER)

_BY_SUFFIX = {
    "9001": _ABSENT,
    "9002": _ABSENT,
    "9003": Outcome(codes.NOT_DELIVERED, codes.UNKNOWN_SUBSCRIBER),
    "9004": replace(DELIVERED, is_pushed=False),
    "9006": replace(DELIVERED, is_repeated=True),
    "9007": replace(DELIVERED, is_followed_by_older=True),
    "9010": Outcome(None, codes.NO_ERROR),
}
_BY_CHANNEL = {
    Channel.SMS: _BY_SUFFIX | {"9008": Outcome(codes.NOT_DELIVERED, codes.TEMPLATE_NOT_MATCHED)},
    Channel.MMS: _BY_SUFFIX | {"9011": Outcome(codes.NOT_DELIVERED, codes.NO_MMS_ON_HANDSET)},
}


def outcome_of(to: str, attempt: int, channel: Channel = Channel.SMS) -> Outcome:
    """`attempt` counts the acceptances of this recipient, this one included."""
    if attempt > 1 and to.endswith("9001"):
        return DELIVERED
    return _BY_CHANNEL[channel].get(to[-4:], DELIVERED)


def refusal_of(to: str) -> RefusedStatus | None:
    """The status with which a recipient is refused in the answer to the send; None where it is good."""
    if not to:
        return codes.MISSING_TO
    if to.endswith("9005") or not _NUMBER.fullmatch(to):
        return codes.BAD_DESTINATION
    return None


def network_of(to: str) -> tuple[str, str]:
    """Mobile country code and mobile network code of a recipient."""
    digits = to.removeprefix("+")
    for prefix, network in _NETWORKS:
        if digits.startswith(prefix):
            return network
    return _OTHER_NETWORK
