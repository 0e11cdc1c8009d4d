"""Who a message comes from: a number or an alphanumeric name; in India a header, as its DLT registry calls it. Pure."""

import re

_SENDER = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,18}[\x21-\x7e])?")


class BadSender(ValueError):
    """Not what a sender may be; the text says what it must be."""


def check_sender(text: str) -> str:
    """`text`, if messages can come from it. Errors: BadSender."""
    if _SENDER.fullmatch(text) is None:
        raise BadSender("must be 1 to 20 printable ASCII characters")
    return text
