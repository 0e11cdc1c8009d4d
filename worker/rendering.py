"""Texts with placeholders: `Hello {{name}}`, filled from a row's variables."""

import re
from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class MissingVariables(ValueError):
    """Variables that the text names and the row does not give."""


def placeholders(text: str) -> set[str]:
    """The names in `{{...}}`."""
    return set(_PLACEHOLDER.findall(text)) if "{{" in text else set()


def render(text: str, variables: Mapping[str, str]) -> str:
    """`text` with each `{{name}}` replaced; a value is put in as it is and never read again for placeholders.

    Errors: MissingVariables, naming them.
    """
    if "{{" not in text:
        return text
    missing = sorted(placeholders(text) - variables.keys())
    if missing:
        named = ", ".join(f"{{{{{name}}}}}" for name in missing[:10])
        raise MissingVariables(f"give a value for {named}")
    return _PLACEHOLDER.sub(lambda found: variables[found.group(1)], text)
