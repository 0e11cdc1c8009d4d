"""India DLT: what a principal entity ID and a content template ID look like.

The operators' registries issue 19 digits as a rule; older and re-issued ones differ, so that the length is only held
within bounds. A wrong ID is not found out here but by the operator's scrubbing, which refuses the message.
"""

SHORTEST, LONGEST = 12, 25
_COPY_IT = "copy it from the operator's DLT portal"


class BadDltId(ValueError):
    """Not an ID that a DLT registry issues; the text says why, and where to find it."""


def check_dlt_id(text: str) -> str:
    """`text`, if it can be a principal entity ID or a content template ID. Errors: BadDltId."""
    if not (text.isascii() and text.isdigit()):
        raise BadDltId(f"a DLT ID consists of digits only, 19 as a rule: {_COPY_IT}")
    if not SHORTEST <= len(text) <= LONGEST:
        raise BadDltId(
            f"a DLT ID has {SHORTEST} to {LONGEST} digits, 19 as a rule; this one has {len(text)}: {_COPY_IT}"
        )
    return text
