"""The validity period: how long a message may be worth sending, wherever that is given."""

from datetime import timedelta

from worker.durations import format_duration

SHORTEST, LONGEST = timedelta(seconds=10), timedelta(hours=48)


class BadValidity(ValueError):
    """Not a validity period; the text says what one is."""


def check_validity(span: timedelta) -> timedelta:
    """`span`, if it can be a validity period. Errors: BadValidity."""
    if not SHORTEST <= span <= LONGEST or span.microseconds:
        raise BadValidity(f"must be whole seconds from {format_duration(SHORTEST)} to {format_duration(LONGEST)}")
    return span
