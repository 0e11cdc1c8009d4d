"""Segments: a table of texts at the edges of parts, and what holds for any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.segments import BASIC, EXTENSION, Segments, count

GSM = st.text(alphabet=BASIC + EXTENSION, max_size=700)
ANY = st.text(alphabet=st.one_of(st.sampled_from(BASIC + EXTENSION + "नé😀𝄞"), st.characters()), max_size=300)


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("", Segments("GSM-7", 1, 0, 160, None)),
        ("a" * 60, Segments("GSM-7", 1, 60, 100, None)),  # Infobip's own example
        ("a" * 160, Segments("GSM-7", 1, 160, 0, None)),
        ("a" * 161, Segments("GSM-7", 2, 161, 145, None)),
        ("a" * 306, Segments("GSM-7", 2, 306, 0, None)),
        ("a" * 307, Segments("GSM-7", 3, 307, 152, None)),
        ("@£Ç\n\rΩñ", Segments("GSM-7", 1, 7, 153, None)),
        # A character of the extension table takes two septets.
        ("€", Segments("GSM-7", 1, 2, 158, None)),
        ("{" * 80, Segments("GSM-7", 1, 160, 0, None)),
        ("a" * 159 + "{", Segments("GSM-7", 2, 161, 145, None)),
        # One that would be split goes into the next part whole, and the septet before it is lost.
        ("a" * 152 + "{" + "a" * 7, Segments("GSM-7", 2, 161, 144, None)),
        ("a" * 152 + "{" * 77, Segments("GSM-7", 3, 306, 151, None)),
        ("{" * 153, Segments("GSM-7", 3, 306, 151, None)),
        # What GSM-7 has not turns the whole text to Unicode.
        ("é" * 70, Segments("GSM-7", 1, 70, 90, None)),
        ("ç" * 70, Segments("UCS-2", 1, 70, 0, "ç")),
        ("a" * 69 + "`" + "ł", Segments("UCS-2", 2, 71, 63, "`")),
        ("\t", Segments("UCS-2", 1, 1, 69, "\t")),
        ("\x1b", Segments("UCS-2", 1, 1, 69, "\x1b")),  # the escape is no character
        ("न" * 98, Segments("UCS-2", 2, 98, 36, "न")),  # Infobip's own examples
        ("न" * 155, Segments("UCS-2", 3, 155, 46, "न")),
        # A character beyond U+FFFF takes two units, and is never split.
        ("😀" * 35, Segments("UCS-2", 1, 70, 0, "😀")),
        ("न" * 66 + "😀" + "न" * 3, Segments("UCS-2", 2, 71, 62, "न")),
        ("😀" * 66, Segments("UCS-2", 2, 132, 1, "😀")),
        ("😀" * 67, Segments("UCS-2", 3, 134, 65, "😀")),
    ],
    ids=lambda value: repr(value)[:24] if isinstance(value, str) else "",
)
def test_a_text_takes(text: str, takes: Segments) -> None:
    assert count(text) == takes


@given(ANY)
def test_only_a_character_that_gsm_7_lacks_forces_unicode_and_the_first_is_named(text: str) -> None:
    lacking = [character for character in text if character not in BASIC + EXTENSION]
    taken = count(text)
    assert taken.forcing == (lacking[0] if lacking else None)
    assert taken.encoding == ("UCS-2" if lacking else "GSM-7")


@given(st.one_of(GSM, ANY))
def test_parts_are_as_few_as_whole_characters_allow(text: str) -> None:
    """Filled by hand, one character after the other."""
    taken = count(text)
    if taken.encoding == "GSM-7":
        widths, single, several = [2 if character in EXTENSION else 1 for character in text], 160, 153
    else:
        widths, single, several = [len(c.encode("utf-16-le", "surrogatepass")) // 2 for c in text], 70, 67
    if sum(widths) <= single:
        parts, left = 1, single - sum(widths)
    else:
        parts, left = 1, several
        for width in widths:
            parts, left = (parts + 1, several - width) if width > left else (parts, left - width)
    assert (taken.characters, taken.parts, taken.left) == (sum(widths), parts, left)
