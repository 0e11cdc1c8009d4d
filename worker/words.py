"""The closed sets of words that tables, rules and errors share. Message states have a file of their own: states.py."""

from collections.abc import Iterable
from enum import StrEnum

MOST_WORDS = 500  # characters kept of Infobip's own words


class Channel(StrEnum):
    SMS = "sms"
    MMS = "mms"


class MessageType(StrEnum):
    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class DltPolicy(StrEnum):
    """What a surface does with a text to India that fits none of the registered templates."""

    ENFORCE = "enforce"  # its row is rejected
    WARN = "warn"  # it goes, with a warning
    OFF = "off"  # nothing is looked at


class RateUnit(StrEnum):
    """What a credential's rate counts."""

    MESSAGES = "messages"
    SEGMENTS = "segments"


class Origin(StrEnum):
    API = "api"
    REPLAY = "replay"
    REPLY = "reply"
    VERIFY = "verify"
    FALLBACK = "fallback"


class Scope(StrEnum):
    """What a token of the API allows."""

    SEND = "send"
    READ = "read"
    REPLAY = "replay"
    ADMIN = "admin"  # implies all others


class HoldKind(StrEnum):
    FAULT = "fault"  # Infobip answers badly or not at all: seconds
    ACCOUNT = "account"  # key, address or credit: until a probe passes or the credential changes
    BY_HAND = "by hand"  # until a hand opens it; nothing sets it yet


class AttemptOutcome(StrEnum):
    """How far one attempt came. Null in the table: its submission is open."""

    RELEASED = "released"  # known not to have been sent; the same number goes out again
    IN_DOUBT = "in doubt"
    ABSENT = "absent"  # in doubt, and in Infobip's logs at no look: goes out again before its next one is due
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"


UNSETTLED = (AttemptOutcome.IN_DOUBT, AttemptOutcome.ABSENT)  # nobody knows whether Infobip has it


class SubmissionOutcome(StrEnum):
    """How a submission ended, where no SendError says it. Null in the table: it is open."""

    ANSWERED = "answered"  # each message by its own status
    UNSENT = "unsent"  # the lease or the validity ran out before the request was made
    ABANDONED = "abandoned"  # its process went away, and the lease ran out


class Outcome(StrEnum):
    """What a status of the provider means for an attempt."""

    PENDING = "pending"  # Infobip has it; not final
    DELIVERED = "delivered"
    TRANSIENT = "transient"  # failed for now: follow the retry schedule
    PERMANENT = "permanent"  # the same message would fail again
    EXPIRED = "expired"  # Infobip's validity ran out: transient before our expires_at, expired after it
    UNKNOWN = "unknown"  # nobody knows: unconfirmed
    ACCOUNT = "account"  # the account, not the message: hold the credential's lanes
    DUPLICATE = "duplicate"  # this ID was used before: never moves a message by itself


# The attempt ended without delivery: fates.fail.
FAILURES = frozenset({Outcome.TRANSIENT, Outcome.PERMANENT, Outcome.EXPIRED, Outcome.UNKNOWN, Outcome.ACCOUNT})


class Source(StrEnum):
    """How a delivery report reached us."""

    PUSH = "push"
    PULL = "pull"


class ReportResult(StrEnum):
    """What a report did. Only the first three are stored; a repeated one is the row that stands already."""

    APPLIED = "applied"
    LATE = "late"  # of an attempt that is no longer the current one
    NOTED = "noted"  # it changed nothing
    REPEATED = "repeated"
    UNMATCHED = "unmatched"
    MALFORMED = "malformed"


class ConsentState(StrEnum):
    """What a person has said of marketing from a credential."""

    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"
    PENDING = "pending"  # asked to confirm: double opt-in
    NONE = "none"  # nothing


class ConsentSource(StrEnum):
    KEYWORD = "keyword"  # the person wrote it
    API = "api"
    CONSOLE = "console"
    PROVIDER = "provider"  # Infobip reported that the number is blocked


class Block(StrEnum):
    """What a block that Infobip reports of a number stops."""

    ALL = "all"  # a block list, or the recipient's own word to the carrier
    MARKETING = "marketing"  # a do-not-disturb register, or preferences kept there


class Action(StrEnum):
    """What an inbound message asks for. Stored as it is; of CUSTOM with its word, as `custom:<word>`."""

    OPT_OUT = "opt_out"
    HELP = "help"
    DOUBLE_OPT_IN = "double_opt_in"
    OPT_IN = "opt_in"
    CUSTOM = "custom"
    NEAR_MISS = "near_miss"  # almost an opt-out keyword, or one within a short sentence
    NONE = "none"
    OTHER_NUMBER = "other_number"  # to a number that is not the credential's


class EventType(StrEnum):
    """What is told. The part before the dot says what it happened to: a message, one of its attempts, a lane, an event
    endpoint; or that a handset wrote, and after the dot what that asks for."""

    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_EXPIRED = "message.expired"
    MESSAGE_SUPPRESSED = "message.suppressed"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_UNCONFIRMED = "message.unconfirmed"
    ATTEMPT_FAILED = "attempt.failed"
    INBOUND_OPT_OUT = "inbound.opt_out"
    INBOUND_HELP = "inbound.help"
    INBOUND_DOUBLE_OPT_IN = "inbound.double_opt_in"
    INBOUND_OPT_IN = "inbound.opt_in"
    INBOUND_CUSTOM = "inbound.custom"
    INBOUND_NEAR_MISS = "inbound.near_miss"
    INBOUND_NONE = "inbound.none"
    INBOUND_OTHER_NUMBER = "inbound.other_number"
    LANE_HELD = "lane.held"
    LANE_OPENED = "lane.opened"
    ENDPOINT_DISABLED = "endpoint.disabled"

    @property
    def kind(self) -> str:
        """The part before the dot."""
        return self.partition(".")[0]


def listed(words: Iterable[StrEnum]) -> str:
    """For the IN of a statement."""
    return ", ".join(f"'{word}'" for word in words)
