"""India DLT: what operators' scrubbing would refuse a message for, as far as we can tell before it. Pure."""

from enum import StrEnum


class DltFault(StrEnum):
    """The provider's name for it. `number` is its error code."""

    TEMPLATE_NOT_MATCHED = "EC_TEMPLATE_NOT_MATCHED"  # 4129
    HEADER_NOT_REGISTERED = "EC_HEADER_NOT_REGISTERED_FOR_TEMPLATE"  # 4130
    VARIABLE_TOO_LONG = "EC_TEMPLATE_VARIABLE_EXCEEDED_MAX_LENGTH"  # 4131
    OF_ANOTHER_ENTITY = "EC_TEMPLATE_NOT_REGISTERED_TO_ENTITY"  # 4134
    WRONG_CATEGORY = "EC_INVALID_TEMPLATE_TYPE"  # 4136
    LINK_NOT_ALLOWED = "EC_CTA_NOT_WHITELISTED"  # 4153

    @property
    def number(self) -> int:
        return _NUMBERS[self]


_NUMBERS = {
    DltFault.TEMPLATE_NOT_MATCHED: 4129,
    DltFault.HEADER_NOT_REGISTERED: 4130,
    DltFault.VARIABLE_TOO_LONG: 4131,
    DltFault.OF_ANOTHER_ENTITY: 4134,
    DltFault.WRONG_CATEGORY: 4136,
    DltFault.LINK_NOT_ALLOWED: 4153,
}
