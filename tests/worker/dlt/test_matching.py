"""India DLT templates: a table of texts, and what holds for any template, any values and any text."""

import re
import sys
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.worker.dlt.cases import FITS, MARK, MISFITS, MOST, Fitting, Misfitting
from worker.dlt.composing import BadValues, compose
from worker.dlt.faults import DltFault
from worker.dlt.matching import Fit, Misfit, fit
from worker.dlt.templates import (
    MOST_BYTES,
    MOST_PLACEHOLDERS,
    BadTemplate,
    Category,
    Kind,
    Pattern,
    Registered,
    compile_template,
    is_of_kind,
)
from worker.infobip.error_codes import ERROR_CODES


def pattern(text: str, allow_list: tuple[str, ...] = ()) -> Pattern:
    return compile_template(
        Registered(
            "1107160000000012345",
            "1101100000000098765",
            "Sample",
            headers=(),
            category=Category.SERVICE_IMPLICIT,
            text=text,
            url_allow_list=allow_list,
        )
    )


# The table


@pytest.mark.parametrize("case", FITS, ids=lambda case: ascii(case.text)[1:40])
def test_a_text_of_the_template_is_read_value_by_value(case: Fitting) -> None:
    assert fit(pattern(case.template, case.allow_list), case.text, MOST) == Fit(case.values)


@pytest.mark.parametrize("case", MISFITS, ids=lambda case: ascii(case.marked)[1:40])
def test_a_misfit_is_told_its_place_its_fault_and_what_to_do(case: Misfitting) -> None:
    text = case.marked.replace(MARK, "")
    outcome = fit(pattern(case.template, case.allow_list), text, MOST)
    assert isinstance(outcome, Misfit)
    assert (outcome.position, outcome.fault) == (case.marked.index(MARK), case.fault)
    assert case.said in outcome.sentence
    assert text[outcome.position :].startswith(outcome.found)


@pytest.mark.parametrize(
    ("template", "text", "expected", "found"),
    [
        ("Dear {#var#}, pay now", "Dear Ram pay now", ", pay now", " pay now"),
        ("Shop closed", "Shop closed!", "the end of the text", "!"),
        ("Shop closed", "Shop", " closed", ""),
        ("{#var#}", "a" * 31, "{#var#} (at most 30 characters)", "a"),
        ("{#cbn#}", "x", "{#cbn#} (a phone number: digits, +, - and spaces only, at most 30 characters)", "x"),
    ],
)
def test_a_misfit_quotes_what_stands_there_and_what_should(template: str, text: str, expected: str, found: str) -> None:
    outcome = fit(pattern(template), text, MOST)
    assert isinstance(outcome, Misfit)
    assert (outcome.expected, outcome.found) == (expected, found)


def test_how_long_a_value_may_be_is_the_callers_word() -> None:
    assert isinstance(fit(pattern("{#var#}"), "a" * 40, 40), Fit)
    assert isinstance(fit(pattern("{#var#}"), "a" * 40, 39), Misfit)


def test_each_fault_has_the_providers_name_and_number() -> None:
    codes = {code.name: code.id for code in ERROR_CODES}
    assert {fault.value: fault.number for fault in DltFault} == {fault.value: codes[fault.value] for fault in DltFault}


# Registration


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no text"),
        (" \n", "no text"),
        ("Hi {#Var#}", "{#Var#} is no placeholder: write {#var#}"),
        ("Hi {# var #}", "write {#var#}"),
        ("Hi {#name#}", "{#var#}, {#numeric#}, {#number#}, {#alpha#}, {#alphanumeric#}, {#url#}"),
        ("Hi {##}", "no placeholder that is known"),
        ("Hi {#var}", "not closed"),
        ("Hi {#var#} {#", "not closed"),
        ("अ" * 1_334, "at most 4,000 bytes; this one has 4,002"),
        ("{#var#}" * 101, "at most 100 placeholders; this one has 101"),
    ],
    ids=lambda value: ascii(value)[1:30],
)
def test_a_template_that_cannot_be_matched_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadTemplate, match=re.escape(said)):
        pattern(text)


@pytest.mark.parametrize(
    "text", ["a" * MOST_BYTES, "{#var#}" * MOST_PLACEHOLDERS, "Hi {var} #var# {{name}} }#"], ids=["long", "many", "odd"]
)
def test_a_template_up_to_the_bounds_is_taken(text: str) -> None:
    assert pattern(text).template.text == text


@pytest.mark.parametrize("entry", ["", "acme", "https://", "acme.in:81", "acme.in /x", "*.acme.in"])
def test_an_allow_list_holds_hosts(entry: str) -> None:
    with pytest.raises(BadTemplate, match="allow list"):
        pattern("Hi", (entry,))


def test_ids_that_no_registry_issues_are_refused() -> None:
    with pytest.raises(BadTemplate, match="principal entity ID: a DLT ID consists of digits only"):
        Registered("1" * 19, "ACME", "Sample", (), Category.PROMOTIONAL, "Hi")


# Composing


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("Hi {#var#}", [], "the template has 1 placeholder, and 0 values are given"),
        ("Hi {#var#} {#var#}", ["a"], "2 placeholders, and 1 values"),
        ("Hi", ["a"], "0 placeholders"),
        ("Hi {#var#} {#var#}", ["a", ""], "placeholder 2, {#var#}: the value is empty"),
        ("Hi {#var#}", ["a" * 31], "placeholder 1, {#var#}: the value has 31 characters; at most 30"),
        ("Hi {#var#} {#numeric#}", ["a", "1a"], 'placeholder 2, {#numeric#}: "1a" is of the wrong type'),
        ("Hi {#email#}", ["acme.in"], "an e-mail address"),
        ("Hi {#url#}", ["https://evil.in"], 'placeholder 1, {#url#}: The address "https://evil.in"'),
        ("Hi {#var#} {#var#}", ["a", "evil.in"], "placeholder 2, {#var#}: The address"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_their_placeholder(template: str, values: list[str], said: str) -> None:
    with pytest.raises(BadValues, match=re.escape(said)):
        compose(pattern(template, ("acme.in",)), values, MOST)


# Laws. Short texts of few characters meet more often what is hard: values that hold what the fixed text holds.

CHARACTERS = "ab1.@ "
short = st.text(alphabet=CHARACTERS, max_size=4)
kind = st.sampled_from(list(Kind))
templates = st.builds(
    lambda first, rest: first + "".join(kind.placeholder + literal for kind, literal in rest),
    short,
    st.lists(st.tuples(kind, short), max_size=4),
).filter(str.strip)


def fits_by_trying(template: Pattern, text: str, most: int) -> bool:
    """The plainest way there is: each length of each value, one after the other."""

    @cache
    def goes(number: int, at: int) -> bool:
        literal = template.literals[number]
        if not text.startswith(literal, at):
            return False
        at += len(literal)
        if number == len(template.kinds):
            return at == len(text)
        return any(
            is_of_kind(text[at:end], template.kinds[number]) and goes(number + 1, end)
            for end in range(at + 1, min(at + most, len(text)) + 1)
        )

    return goes(0, 0)


@given(templates, st.text(alphabet=CHARACTERS, max_size=14), st.integers(1, 6))
def test_it_agrees_with_trying_all_values_one_by_one(template: str, text: str, most: int) -> None:
    compiled = pattern(template)
    assert isinstance(fit(compiled, text, most), Fit) == fits_by_trying(compiled, text, most)


@st.composite
def composed(draw: st.DrawFn) -> tuple[Pattern, list[str], int]:
    """Any template with values of its types; addresses and digits are drawn from few, so that none is thrown away."""
    compiled, most = pattern(draw(templates)), draw(st.integers(3, 8))
    drawn: dict[Kind, st.SearchStrategy[str]] = {
        Kind.URL: st.sampled_from(["a.b", "1.a.b", "a.in/1"]),
        Kind.URLOTT: st.sampled_from(["a.b", "b.b.b"]),
        Kind.EMAIL: st.sampled_from(["a@b", "a.a@b", "b@b@a"]),
        Kind.NUMERIC: st.text("1234", min_size=1, max_size=most),
        Kind.NUMBER: st.text("1234", min_size=1, max_size=most),
        Kind.ALPHA: st.text("ab é", min_size=1, max_size=most),
        Kind.ALPHANUMERIC: st.text("ab 1", min_size=1, max_size=most),
        Kind.CBN: st.text("+1 -", min_size=1, max_size=most),
        Kind.VAR: st.text(st.one_of(st.sampled_from(CHARACTERS), st.characters()), min_size=1, max_size=most),
    }
    return compiled, [draw(drawn[kind])[:most] for kind in compiled.kinds], most


@given(composed())
def test_what_is_composed_fits(given_: tuple[Pattern, list[str], int]) -> None:
    compiled, values, most = given_
    assume(all(map(is_of_kind, values, compiled.kinds)))
    outcome = fit(compiled, compose(compiled, values, most), most)
    assert isinstance(outcome, Fit)
    assert compose(compiled, outcome.values, most) == compose(compiled, values, most)


FIXED = "19-:"  # what {#alpha#} never takes, so that a text has one reading
fixed = st.text(alphabet=FIXED, min_size=1, max_size=5)


@st.composite
def slips(draw: st.DrawFn) -> tuple[Pattern, str, int, str]:
    """A template, a text of it, a place within the fixed text, and what stands there instead of one character."""
    literals = draw(st.lists(fixed, min_size=1, max_size=4))
    text, places = literals[0], list(range(len(literals[0])))
    for literal in literals[1:]:
        text += draw(st.text(alphabet="abc", min_size=1, max_size=MOST))
        places += range(len(text), len(text) + len(literal))
        text += literal
    position = draw(st.sampled_from(places))
    instead = draw(st.text(alphabet=FIXED, max_size=2).filter(lambda it: it != text[position]))
    return pattern("{#alpha#}".join(literals)), text, position, instead


@given(slips())
def test_a_slip_in_fixed_text_that_no_value_can_take_up_never_fits(slip: tuple[Pattern, str, int, str]) -> None:
    """Beside {#var#} it may: what was put in there can be part of a value. Then it is another text of the template."""
    compiled, text, position, instead = slip
    assert isinstance(fit(compiled, text, MOST), Fit)
    outcome = fit(compiled, text[:position] + instead + text[position + 1 :], MOST)
    assert isinstance(outcome, Misfit)
    if len(instead) < 2 or text[position] in instead:  # one character, and no more
        assert outcome.position >= position


@given(fixed, st.data())
def test_in_a_template_without_placeholders_the_place_is_the_first_that_differs(text: str, data: st.DataObject) -> None:
    other = data.draw(st.text(alphabet=FIXED, max_size=7).filter(lambda it: it != text))
    outcome = fit(pattern(text), other, MOST)
    assert isinstance(outcome, Misfit)
    same = next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    assert outcome.position == same


# Hostile input


def lines_run(call: Callable[[], Any]) -> int:
    """How many lines of Python it takes. Operations on masks count as one: they move 30 positions at a time."""
    count = 0

    def tracer(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("literal", "text"),
    [("a", "a"), ("aab", "aaa"), ("a", "b"), ("ab", "ab"), (" a", "a "), ("{#email#}a", "a@"), ("{#url#}", "a.")],
)
def test_a_hostile_text_takes_time_linear_in_it(literal: str, text: str) -> None:
    """`a{#var#}a{#var#}...` against `aaaa...`: what a naive matcher never ends on."""
    compiled = pattern(literal + ("{#var#}" + literal) * 40, ("acme.in",))
    for length in (1_000, 2_000, 4_000):
        whole = (text * length)[:length]
        assert lines_run(lambda whole=whole: fit(compiled, whole, MOST)) < 25 * length


def test_a_long_text_is_told_its_place_as_fast() -> None:
    """The longest template, and a text that departs from it at its very end."""
    compiled, text = pattern("ab" * 1_900 + "{#var#}" * 20), "ab" * 1_900
    assert lines_run(lambda: fit(compiled, text, MOST)) < 40 * len(text)
