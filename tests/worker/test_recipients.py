import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.recipients import BadRecipient, is_number, normalise


@pytest.mark.parametrize(
    ("to", "country", "digits"),
    [
        ("+919876543210", None, "919876543210"),
        ("919876543210", None, "919876543210"),
        ("+91 98765-43210", None, "919876543210"),
        ("+1 (415) 555-0123", None, "14155550123"),
        ("1.415.555.0123", None, "14155550123"),
        ("+1/415/555/0123", None, "14155550123"),
        ("919.876.543.210", None, "919876543210"),
        ("919.876.543.00", None, "91987654300"),
        ("+91.9876543210", None, "919876543210"),
        ("98765.43210", "IN", "919876543210"),
        ("+1 415 555.0000", None, "14155550000"),
        ("080 4719.0000", "IN", "918047190000"),
        ("+49 30 1234.56", None, "4930123456"),
        ("+91 98765 432.10", None, "919876543210"),
        ("919876543210.", None, "919876543210"),
        ("+91\u00a098765\u201143210", None, "919876543210"),
        ("\u200e+919876543210\u202c", None, "919876543210"),
        ("00919876543210", None, "919876543210"),
        ("00 91 98765 43210", "IN", "919876543210"),
        ("+1234567", None, "1234567"),
        ("+123456789012345", None, "123456789012345"),
        # National numbers, as dialled in the surface's country.
        ("9876543210", "IN", "919876543210"),
        ("098765 43210", "IN", "919876543210"),
        ("(415) 555-2671", "US", "14155552671"),
        ("011 91 98765 43210", "US", "919876543210"),
        ("07400 123456", "GB", "447400123456"),
        ("02 1234 5678", "IT", "390212345678"),
        # A plus says that the country code is there; the default country has no say.
        ("+14155552671", "IN", "14155552671"),
        # The country code without a plus.
        ("919876543210", "IN", "919876543210"),
        ("447400123456", "IN", "447400123456"),
        # A country nobody knows reads nothing.
        ("919876543210", "ZZ", "919876543210"),
    ],
)
def test_number_becomes_e164_digits(to: str, country: str | None, digits: str) -> None:
    assert normalise(to, country) == digits


@pytest.mark.parametrize(
    ("to", "country", "words"),
    [
        ("", None, "empty"),
        ("+", None, "empty"),
        (" -() ", None, "empty"),
        ("call me", None, "letters"),
        ("+1-800-FLOWERS", None, "letters"),
        ("+91987654321O", None, "letters"),
        ("+91+9876543210", None, "characters"),
        ("91+9876543210", None, "characters"),
        ("++919876543210", None, "characters"),
        ("919876543210#1", None, "characters"),
        ("+919876543210\0", None, "characters"),
        ("९८७६५४३२१०", None, "characters"),
        ("919876543210.0", None, "decimal"),
        ("+919876543210.00", None, "decimal"),
        ("919876543210.000", None, "decimal"),
        ("91987654321.25", None, "decimal"),
        ("919876543210.125", None, "decimal"),
        ("9876543210.123", "IN", "decimal"),
        (" 919876543210.0\u202c", None, "decimal"),
        ("+91 98765 43210.0", None, "decimal"),
        ("9876543210.0", "IN", "decimal"),
        ("09876543210.0", "IN", "decimal"),
        ("9.19877E+11", None, "exponent"),
        ("9.19876543210e11", None, "exponent"),
        ("9,19877E+11", None, "exponent"),
        ("9.87654E+09", "IN", "exponent"),
        ("12345", None, "short"),
        ("+123456", None, "short"),
        ("12345", "IN", "short"),
        ("+1234567890123456", None, "long"),
        ("1" * 65, None, "longer"),
        ("+0919876543210", None, "starts with 0"),
        ("09876543210", None, "default_country"),
        ("0009198765432", None, "starts with 0"),
        ("00", None, "starts with 0"),
    ],
)
def test_what_is_no_number_is_refused_with_what_to_change(to: str, country: str | None, words: str) -> None:
    with pytest.raises(BadRecipient, match=re.escape(words)) as refused:
        normalise(to, country)
    assert len(to) < 5 or to not in str(refused.value)


COUNTRIES = st.sampled_from([None, "IN", "US", "GB", "IT", "RU", "AU", "ZZ", ""])
NUMBERISH = st.text(alphabet="+0123456789 -().x\u00a0९", max_size=20)


@given(to=st.text(max_size=80) | NUMBERISH, country=COUNTRIES)
def test_any_text_becomes_e164_digits_or_a_sentence(to: str, country: str | None) -> None:
    try:
        outcome = normalise(to, country)
    except BadRecipient as error:
        outcome = str(error)
    assert re.fullmatch(r"[1-9][0-9]{6,14}|(is|holds|looks like|starts with) .+", outcome)


@given(
    number=st.integers(10**6, 10**15 - 1),
    form=st.sampled_from(["{}.0", "{:.1f}", "{:.2f}", "{:.3f}", "{:.6f}", "{:e}", "{:E}", "{:.5E}", "{:g}"]),
    around=st.sampled_from(["{}", "+{}", " {}", "{}\u00a0", "\u200e{}\u202c"]),
    country=COUNTRIES,
)
def test_number_as_spreadsheets_and_programs_write_it_is_never_somebody_elses(
    number: int, form: str, around: str, country: str | None
) -> None:
    with pytest.raises(BadRecipient, match="format its column as text"):
        normalise(around.format(form.format(number)), country)


@given(
    number=st.integers(10**6, 10**15 - 1).map(str),
    cuts=st.lists(st.integers(1, 5), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_dots_between_groups_change_nothing(number: str, cuts: list[int]) -> None:
    first, second = cuts
    assert normalise(f"{number[:first]}.{number[first:second]}.{number[second:]}", None) == number


@given(to=NUMBERISH, country=COUNTRIES)
def test_what_was_normalised_stays_as_it_is(to: str, country: str | None) -> None:
    try:
        digits = normalise(to, country)
    except BadRecipient:
        return
    assert normalise("+" + digits, country) == digits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("919876543210", True),
        ("4791234567", True),
        ("29012345", True),  # Saint Helena has such short ones
        ("5616161", False),  # a short code
        ("2101234", False),  # no country has this code
        ("56161", False),
        ("+919876543210", False),  # not as it is stored
        ("KITEBK", False),
        ("", False),
    ],
)
def test_short_codes_and_names_are_no_numbers(text: str, expected: bool) -> None:
    assert is_number(text) is expected


def test_plain_number_takes_the_fast_path() -> None:
    started = time.perf_counter()
    for _ in range(10_000):
        normalise("+919876543210", "IN")
    assert time.perf_counter() - started < 0.2
