"""Texts with placeholders."""

import pytest

from worker.rendering import MissingVariables, Template, TooLong, placeholders

MOST = 10**8


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("plain", set()),
        ("{{a}}{{ b }}{{a}}", {"a", "b"}),
        ("{{first name}}", {"first name"}),
        ("{{}}", {""}),
        ("{a} {{a} {{{b}}} }}", {"b"}),
        ("{{a\n}}", {"a"}),
        ("{{\t\u00a0a b\x1f\u2003}}", {"a b"}),
        ("{{a{{b}}", {"b"}),
        ("{{ a", set()),
    ],
)
def test_placeholders_are_names_in_double_braces(content: str, names: set[str]) -> None:
    assert placeholders(content) == names


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(MissingVariables, match=r"\{\{a\}\}, \{\{c\}\}"):
        Template("{{c}} {{b}} {{a}}").render({"b": "x"}, MOST)


def test_blanks_around_a_name_are_no_part_of_it() -> None:
    template = Template("{{ a }}, {{a\n}} and {{\u00a0b c\u00a0}}")
    assert template.render({"a": "x", "b c": " y "}, MOST) == "x, x and  y "


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", [" ", "{{", "{{x ", "{{ ", "{{\t}", "{", "a\u2003"])
def test_a_long_text_takes_no_longer_than_its_length(part: str) -> None:
    hostile = "{{" + part * 500_000
    assert placeholders(hostile) == set()
    assert Template(hostile).render({}, MOST) == hostile


def test_text_that_would_be_too_long_is_not_made() -> None:
    template = Template("Hi {{a}}" + "{{a}}" * 799)
    with pytest.raises(TooLong) as refused:
        template.render({"a": "x" * 100_000}, 4_000)
    assert refused.value.count == 80_000_003
    assert len(template.render({"a": "x"}, 803)) == 803
