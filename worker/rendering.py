"""Texts with placeholders: `Hello {{name}}`, filled from a row's variables."""

import re
from collections.abc import Mapping

# Possessive, and the blanks around a name are its own: whatever a text holds, each character is looked at once.
_PLACEHOLDER = re.compile(r"\{\{([^{}]*+)\}\}")


class MissingVariables(ValueError):
    """Variables that the text names and the row does not give."""


class TooLong(ValueError):
    """More characters would come of it than may; `count` says how many."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def placeholders(text: str) -> set[str]:
    """The names in `{{...}}`, without the blanks around them."""
    return {name.strip() for name in _PLACEHOLDER.findall(text)} if "{{" in text else set()


class Template:
    """A text that is rendered many times."""

    def __init__(self, text: str) -> None:
        self._parts = _PLACEHOLDER.split(text)  # what stands around the placeholders, and between these their names
        self._names = [name.strip() for name in self._parts[1::2]]

    def render(self, variables: Mapping[str, str], most_characters: int) -> str:
        """The text with each `{{name}}` replaced; a value is put in as it is and never read again for placeholders.

        Errors: MissingVariables, naming them; TooLong, before anything of that length is made.
        """
        parts = self._parts.copy()
        try:
            parts[1::2] = [variables[name] for name in self._names]
        except KeyError:
            missing = sorted(set(self._names) - variables.keys())
            named = ", ".join(f"{{{{{name}}}}}" for name in missing[:10])
            raise MissingVariables(f"give a value for {named}") from None
        if (count := sum(map(len, parts))) > most_characters:
            raise TooLong(count)
        return "".join(parts)
