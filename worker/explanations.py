"""What a code means for a person, in two parts: what happened, and what to do."""

from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """Both parts are whole sentences. `happened` is one alone: short views show it without the other."""

    happened: str  # and who refused: the phone, the operator, Infobip, the DLT registry, or we
    advice: str  # also where there is nothing to do

    @property
    def sentence(self) -> str:
        return f"{self.happened} {self.advice}"


TRIED_AGAIN: Final = "Nothing to do: it is tried again until the validity period ends."
