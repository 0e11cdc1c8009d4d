"""What a command says when it cannot go on."""


class CommandError(Exception):
    """Shown to the person at the terminal as it is, without a traceback; the command exits with 1."""
