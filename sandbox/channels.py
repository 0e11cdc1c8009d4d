"""The channels that the sandbox speaks. An account has one set of message IDs, whatever the channel."""

from enum import StrEnum


class Channel(StrEnum):
    SMS = "sms"
    MMS = "mms"
