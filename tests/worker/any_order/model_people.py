"""A model of the people: what each has said to the credential, what Infobip has told of them, who gets nothing more.

All that they get is marketing. Instants are seconds from the beginning.
"""

from worker.words import ConsentState

WORDS = {"stop": ConsentState.OPTED_OUT, "join": ConsentState.PENDING, "start": ConsentState.OPTED_IN}


class ModelPeople:
    """By their numbers. `unwilling`: nothing may go to them; `named`: once they were, or Infobip said so."""

    def __init__(self) -> None:
        self.unwilling: set[str] = set()
        self.named: set[str] = set()
        self._opted_in_at: dict[str, float] = {}

    def say(self, recipient: str, word: str, now: float) -> None:
        """Who has stopped and asks to come back is out until they have confirmed it."""
        self._opted_in_at.pop(recipient, None)
        if word == "stop":
            self.unwilling.add(recipient)
            self.named.add(recipient)
        elif word == "start":
            self.unwilling.discard(recipient)
            self._opted_in_at[recipient] = now

    def block(self, recipient: str, told_at: float) -> None:
        """A report of it was stored. It does not undo a newer opt-in."""
        if self._opted_in_at.get(recipient, told_at) <= told_at:
            self._opted_in_at.pop(recipient, None)
            self.unwilling.add(recipient)
