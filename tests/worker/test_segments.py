"""Segments: a table of texts at the edges of parts, Infobip's own previews, and what holds for any text."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.naive_segments import naive_count
from worker.alphabets import BASIC, EXTENSION, Code, Language
from worker.segments import MOST_PARTS, Segments, count, fault, fault_of, name_of

NATIONAL = "ğĞıİşŞçêÁáÍíÓóÚúÂâÃãÕõÔôÀÊªº∞ΦΓΩΠΨΣΘ"
BEYOND = "न’ł😀𝄞é\u0301\u200d\ud83d\ude00\x1b\x00"  # combining, joining, and halves of a pair
LANGUAGES = [
    Language(code, is_single, is_locking)
    for code in ("NONE", "TR", "ES", "PT", "AUTODETECT")
    for is_single in (False, True)
    for is_locking in (False, True)
]
TURKISH = (  # Infobip's own example, as are the two below
    "Mesaj gönderimi yapmadan önce önizleme seçeneğini kullanmanız doğru karar vermenize yardımcı olur."
)
TR, ES, PT = Language("TR"), Language("ES"), Language("PT")

each_language = pytest.mark.parametrize(
    "language", LANGUAGES, ids=lambda each: each.code + " single" * each.single_shift + " locking" * each.locking_shift
)


def gsm(parts: int, characters: int, left: int, tables: str | None = None) -> Segments:
    return Segments("GSM-7", parts, characters, left, None, None, tables)


def unicode(parts: int, characters: int, left: int, forcing: str, at: int = 0) -> Segments:
    return Segments("UCS-2", parts, characters, left, forcing, at)


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("", gsm(1, 0, 160)),
        ("Let's see how many characters remain unused in this message.", gsm(1, 60, 100)),
        ("a" * 160, gsm(1, 160, 0)),
        ("a" * 161, gsm(2, 161, 145)),
        ("a" * 306, gsm(2, 306, 0)),
        ("a" * 307, gsm(3, 307, 152)),
        ("@£Ç\n\rΩñ", gsm(1, 7, 153)),
        # A character of the extension table takes two septets.
        ("€", gsm(1, 2, 158)),
        ("{" * 80, gsm(1, 160, 0)),
        ("a" * 159 + "{", gsm(2, 161, 145)),
        # One that would be split goes into the next part whole, and the septet before it is lost.
        ("a" * 152 + "{" + "a" * 7, gsm(2, 161, 144)),
        ("é" * 152 + "€" + "a" * 7, gsm(2, 161, 144)),
        ("a" * 152 + "{" * 77, gsm(3, 306, 151)),
        ("{" * 153, gsm(3, 306, 151)),
        # What GSM-7 has not turns the whole text to Unicode.
        ("é" * 70, gsm(1, 70, 90)),
        ("ç" * 70, unicode(1, 70, 0, "ç")),
        ("a" * 69 + "`" + "ł", unicode(2, 71, 63, "`", 69)),
        ("\t", unicode(1, 1, 69, "\t")),
        ("\x1b", unicode(1, 1, 69, "\x1b")),  # the escape is no character
        (TURKISH, unicode(2, 98, 36, "ç", TURKISH.index("ç"))),
        ("न" * 155, unicode(3, 155, 46, "न")),
        # A character beyond U+FFFF takes two units, and is never split.
        ("😀" * 35, unicode(1, 70, 0, "😀")),
        ("न" * 66 + "😀" + "न" * 3, unicode(2, 71, 62, "न")),
        ("😀" * 66, unicode(2, 132, 1, "😀")),
        ("😀" * 67, unicode(3, 134, 65, "😀")),
        ("न" * 66 + "\ud83d" + "न" * 4, unicode(2, 71, 63, "न")),  # half a pair is one unit
    ],
    ids=lambda value: ascii(value)[:24] if isinstance(value, str) else "",
)
def test_a_text_takes(text: str, takes: Segments) -> None:
    assert count(text) == takes


@pytest.mark.parametrize(
    ("language", "text", "takes"),
    [
        # The code alone is the table that Infobip's example shows: 57 are left of 155.
        (TR, TURKISH, gsm(1, 98, 57, "TR locking")),
        (Language("TR", locking_shift=True), TURKISH, gsm(1, 98, 57, "TR locking")),
        (Language("TR", single_shift=True), "ğ" * 77, gsm(1, 154, 1, "TR single")),
        (Language("TR", True, True), "ğ" * 152, gsm(1, 152, 0, "TR both")),
        (PT, "ã" * 156, gsm(2, 156, 142, "PT locking")),
        (Language("PT", single_shift=True), "ã" * 78, gsm(2, 156, 141, "PT single")),
        (Language("PT", True, True), "ãΣ" * 51, gsm(2, 153, 138, "PT both")),
        (ES, "áé" * 50, gsm(1, 150, 5, "ES single")),
        (ES, "a" * 148 + "ó" + "a" * 7, gsm(2, 157, 140, "ES single")),
        # Spanish has no locking table: its header alone counts.
        (Language("ES", locking_shift=True), "a", gsm(1, 1, 154, "ES locking")),
        (Language("ES", locking_shift=True), "aá", unicode(1, 2, 68, "á", 1)),
        # The header counts where the text needs no table; what the tables lack is Unicode even if plain GSM-7 has it.
        (TR, "a" * 156, gsm(2, 156, 142, "TR locking")),
        (TR, "ğè", unicode(1, 2, 68, "è", 1)),
        (TR, "è", unicode(1, 1, 69, "è")),
        (TR, "€", gsm(1, 2, 153, "TR locking")),  # no less than in plain GSM-7
        (PT, "Ω", unicode(1, 1, 69, "Ω")),
        (Language("NONE", True, True), "a" * 160, gsm(1, 160, 0)),
        # To be detected: plain where that suffices, else the table that takes least, else what none holds.
        (Language("AUTODETECT"), "a" * 160 + "è", gsm(2, 161, 145)),
        (Language("AUTODETECT"), "ç" * 100, gsm(1, 100, 55, "TR locking")),
        (Language("AUTODETECT"), "çá", gsm(1, 2, 153, "PT locking")),
        (Language("AUTODETECT"), "ñá", gsm(1, 3, 152, "ES single")),
        (Language("AUTODETECT"), "ãğ", unicode(1, 2, 68, "ğ", 1)),
        (Language("AUTODETECT"), "ğã’", unicode(1, 3, 67, "ã", 1)),
    ],
    ids=lambda value: ascii(value)[:24] if isinstance(value, str) else "",
)
def test_a_text_with_national_tables_takes(language: Language, text: str, takes: Segments) -> None:
    assert count(text, language) == takes


def some_texts(amount: int, seed: str) -> list[str]:
    """Of plain, national and other characters, many of a length that ends near the edge of a part."""
    chosen = random.Random(seed)
    texts = []
    for _ in range(amount):
        alphabet = chosen.choice(
            ["abc{", BASIC + EXTENSION, "ab€" + NATIONAL, "a{" + NATIONAL[:9], "न😀", BEYOND + "ab{"]
        )
        edge = chosen.choice([0, 70, 134, 155, 160, 201, 292, 306, 459])
        filler = chosen.choice(["a", alphabet[0], ""])
        drawn = "".join(chosen.choices(alphabet, k=chosen.randrange(12)))
        rest = "".join(chosen.choices(alphabet, k=chosen.randrange(6)))
        texts.append(drawn + filler * max(0, edge - len(drawn) - chosen.randrange(8)) + rest)
    return texts


@each_language
def test_the_count_is_that_of_filling_parts_character_by_character(language: Language) -> None:
    """500 texts for each of 20 languages and flags, 10,000 in all."""
    for text in some_texts(500, repr(language)):
        assert count(text, language)[:4] == naive_count(text, *language), ascii(text)


@given(st.text(st.one_of(st.sampled_from(BASIC + EXTENSION + NATIONAL + BEYOND), st.characters()), max_size=400))
def test_without_a_language_any_text_is_counted_as_by_hand(text: str) -> None:
    assert count(text)[:4] == naive_count(text)


ANY = st.text(st.sampled_from("ab€{" + NATIONAL + BEYOND), max_size=12)
FILLERS = st.tuples(st.sampled_from("a{€ğá"), st.integers(0, 320))


@settings(max_examples=300)
@given(ANY, FILLERS, st.sampled_from("a{€ğáãè’😀\ud83d"), st.sampled_from(LANGUAGES))
def test_one_more_character_never_takes_fewer_parts(
    start: str, filler: tuple[str, int], last: str, to: Language
) -> None:
    text = start + filler[0] * filler[1]
    assert count(text + last, to).parts >= count(text, to).parts


@settings(max_examples=300)
@given(ANY, FILLERS, st.sampled_from(LANGUAGES))
def test_what_is_used_left_and_lost_fills_the_parts(start: str, filler: tuple[str, int], language: Language) -> None:
    """At most one unit is lost at the end of each part but the last."""
    taken = count(start + filler[0] * filler[1], language)
    sizes = {None: (160, 153), "both": (152, 146), "locking": (155, 149), "single": (155, 149)}
    single, several = (70, 67) if taken.encoding == "UCS-2" else sizes[taken.tables and taken.tables.split()[1]]
    lost = taken.parts * (single if taken.parts == 1 else several) - taken.characters - taken.left
    assert 0 <= lost < taken.parts
    assert taken.left >= 0
    assert (taken.parts == 1) == (taken.characters <= single)


@given(ANY, FILLERS, st.sampled_from(["TR", "ES", "PT"]), st.booleans(), st.booleans())
def test_tables_never_promise_less_than_plain_gsm_7(
    start: str, filler: tuple[str, int], code: Code, is_single: bool, is_locking: bool
) -> None:
    """Nobody but Infobip knows whether it leaves the tables out where a text needs none."""
    text = start + filler[0] * filler[1]
    plain = count(text)
    assert plain.encoding == "UCS-2" or count(text, Language(code, is_single, is_locking)).parts >= plain.parts


def test_what_is_detected_is_at_most_what_any_language_takes() -> None:
    for text in some_texts(500, "detected"):
        detected = count(text, Language("AUTODETECT")).parts
        assert detected <= min(count(text, each).parts for each in (None, TR, ES, PT)), ascii(text)


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("’", "U+2019 RIGHT SINGLE QUOTATION MARK"),
        ("😀", "U+1F600 GRINNING FACE"),
        ("\t", "U+0009 TAB"),
        ("\x01", "U+0001"),
        ("\ud83d", "U+D83D"),
    ],
    ids=ascii,
)
def test_a_character_is_named_for_people(character: str, name: str) -> None:
    assert name_of(character) == name
    assert count("a" + character).forcing_name == name
    assert count("a").forcing_name is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", None),
        ("a" * 3_825, None),
        ("न" * 1_333, None),
        ("a" * 3_826, "takes 26 parts: at most 25 can be sent; shorten it"),
        ("é" * 2_001, "has 4,002 bytes in UTF-8: at most 4,000 fit; shorten it"),
        ("न" * 1_334, "has 4,002 bytes in UTF-8: at most 4,000 fit; shorten it"),
        ("a" * 1_674 + "’", None),
        (
            "a" * 1_675 + "’",
            "takes 26 parts: at most 25 can be sent; shorten it, or replace U+2019 RIGHT SINGLE QUOTATION MARK at "
            "character 1,676, for which it goes out as Unicode",
        ),
        ("\ud83d" * 1_334, "has 4,002 bytes in UTF-8: at most 4,000 fit; shorten it"),
    ],
    ids=lambda value: f"{ascii(value)[-8:]} {len(value)}" if value else "",
)
def test_a_text_that_infobip_would_refuse_is_told_with_what_to_do(text: str, wrong: str | None) -> None:
    taken = count(text)
    assert fault(taken, text) == wrong
    assert fault_of(taken) == (wrong if wrong and wrong.startswith("takes") else None)
    assert taken.parts <= MOST_PARTS or wrong is not None


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(KeyError):
        count("a", Language("DE"))  # type: ignore[arg-type]
