"""Texts with placeholders: `Hello {{name}}`, filled from a row's variables."""

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class MissingVariables(ValueError):
    """Variables that the text names and the row does not give."""


def placeholders(text: str) -> set[str]:
    """The names in `{{...}}`."""
    return set(_PLACEHOLDER.findall(text)) if "{{" in text else set()


class Template:
    """A text that is rendered many times."""

    def __init__(self, text: str) -> None:
        self._parts = _PLACEHOLDER.split(text)  # what stands around the placeholders, and between these their names
        self._names = self._parts[1::2]

    def render(self, variables: Mapping[str, str]) -> str:
        """The text with each `{{name}}` replaced; a value is put in as it is and never read again for placeholders.

        Errors: MissingVariables, naming them.
        """
        parts = self._parts.copy()
        try:
            parts[1::2] = [variables[name] for name in self._names]
        except KeyError:
            missing = sorted(set(self._names) - variables.keys())
            named = ", ".join(f"{{{{{name}}}}}" for name in missing[:10])
            raise MissingVariables(f"give a value for {named}") from None
        return "".join(parts)


def render(text: str, variables: Mapping[str, str]) -> str:
    """A text that is rendered once. Errors: MissingVariables."""
    return Template(text).render(variables) if "{{" in text else text
