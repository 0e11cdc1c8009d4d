"""Texts with placeholders."""

import pytest

from worker.rendering import MissingVariables, placeholders, render


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("plain", set()),
        ("{{a}}{{ b }}{{a}}", {"a", "b"}),
        ("{{first name}}", {"first name"}),
        ("{{}}", {""}),
        ("{a} {{a} {{{b}}} }}", {"b"}),
        ("{{a\n}}", {"a"}),
    ],
)
def test_placeholders_are_names_in_double_braces(content: str, names: set[str]) -> None:
    assert placeholders(content) == names


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(MissingVariables, match=r"\{\{a\}\}, \{\{c\}\}"):
        render("{{c}} {{b}} {{a}}", {"b": "x"})
