"""The journey that a batch says it belongs to: free JSON, of which an ID is read for searches. Pure."""

from typing import Any

LONGEST_ID = 200
_MEMBERS = ("id", "journey_id", "journeyId")


def journey_id(journey: Any) -> str | None:
    """The ID in it: the first of its members `id`, `journey_id`, `journeyId` that is text or a whole number, or the
    journey itself, if it is text. None where there is none, it is blank, or longer than `LONGEST_ID`: cut, it would be
    that of another."""
    given = [journey.get(name) for name in _MEMBERS] if isinstance(journey, dict) else [journey]
    return next((str(value) for value in given if _is_id(value, is_member=isinstance(journey, dict))), None)


def _is_id(value: Any, *, is_member: bool) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and len(value) <= LONGEST_ID
    return is_member and isinstance(value, int) and not isinstance(value, bool)
