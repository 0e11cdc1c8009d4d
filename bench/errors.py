"""What can go wrong with a measure."""


class MeasureFailed(Exception):
    """The measure could not be taken: one sentence, for a person."""
