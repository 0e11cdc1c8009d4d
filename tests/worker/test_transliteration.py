"""Transliteration: Infobip's own example, tables of texts, and what holds for each alphabet."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.alphabets import BASIC, EXTENSION, Language
from worker.segments import Segments, count
from worker.transliteration import TRANSLITERATIONS, Transliteration, transliterate

GREEK = (
    "Ως Μεγαρικό ψήφισμα είναι γνωστή η απόφαση της Εκκλησίας του δήμου των Αθηναίων (πιθανόν γύρω στο 433/2 π.Χ.) "
    "να επιβάλει αυστηρό και καθολικό εμπάργκο στα"
)
GREEK_SENT = (  # its Γ Δ Θ Λ Ξ Π Σ Φ Ψ Ω are Greek, all else is Latin
    "ΩΣ MEΓAPIKO ΨHΦIΣMA EINAI ΓNΩΣTH H AΠOΦAΣH THΣ EKKΛHΣIAΣ TOY ΔHMOY TΩN AΘHNAIΩN (ΠIΘANON ΓYPΩ ΣTO 433/2 Π.X.) "
    "NA EΠIBAΛEI AYΣTHPO KAI KAΘOΛIKO EMΠAPΓKO ΣTA"
)


def test_infobip_s_own_example_is_met() -> None:
    assert transliterate(GREEK, "GREEK") == GREEK_SENT
    assert count(GREEK, None, "GREEK") == Segments("GSM-7", 1, 155, 5)
    assert count(GREEK) == Segments("UCS-2", 3, 155, 46, "ς", 1)


@pytest.mark.parametrize(
    ("transliteration", "text", "sent"),
    [
        ("NONE", "Şık Ωμέγα щи", "Şık Ωμέγα щи"),
        ("TURKISH", "IĞDIR'dan çıkış, İyi Şanslar, öÜ", "IGDIR'dan cikis, Iyi Sanslar, öÜ"),
        ("GREEK", "Ϊΰ ΐς ᾦ μέλι, Abc", "IY IΣ Ω MEΛI, Abc"),
        ("CYRILLIC", "Щука, ёж, объём и Юля", "Shchuka, yozh, obieyom i Iulia"),
        ("CYRILLIC", "Київ, Ґанок, мальчик", "Kiyiv, Ganok, mal'chik"),
        ("SERBIAN_CYRILLIC", "Љубав, њега, ђак, ћуп, џеп, Жижа", "Ljubav, njega, djak, cup, dzep, Ziza"),
        ("BULGARIAN_CYRILLIC", "Щастие, България, Юлия", "Shtastie, Balgariya, Yuliya"),
        ("CENTRAL_EUROPEAN", "Příliš žluťoučký kůň", "Prilis zlutoucky kun"),
        ("CENTRAL_EUROPEAN", "Zażółć gęślą jaźń, Đak, árvíztűrő, șț", "Zazolc gesla jazn, Dak, arvizturo, st"),
        ("BALTIC", "Ąžuolas, ģērbonis, ķēve, õö", "Azuolas, gerbonis, keve, oö"),
        ("PORTUGUESE", "Não há pão à mão, é só àquela ÇÊÚ", "Nao ha pao à mao, é so àquela ÇEU"),
        ("COLOMBIAN", "¿Mañana será más fácil? Sí, é", "¿Mañana sera mas facil? Si, é"),
        ("NON_UNICODE", "“It’s” – œuvre… ½ ẤŁĐ", '"It\'s" - oeuvre... 1/2 ALD'),
        ("NON_UNICODE", "щ Ω μ", "щ Ω μ"),
        ("ALL", "Ἀθήνα, Щит, Łódź, İş ’n", "AΘHNA, Shchit, Lodz, Is 'n"),
        # What no table holds stays, an accent of its own too.
        ("ALL", "हिन्दी 😀 e\u0301", "हिन्दी 😀 e\u0301"),
    ],
)
def test_a_text_would_go_out_as(transliteration: Transliteration, text: str, sent: str) -> None:
    assert transliterate(text, transliteration) == sent


LETTERS: dict[str, Callable[[str], bool]] = {  # of these, and no others, an alphabet may change
    "NONE": lambda character: False,
    "TURKISH": lambda character: character in "ğĞşŞçıİ",
    "GREEK": lambda character: "\u0370" <= character <= "\u03ff" or "\u1f00" <= character <= "\u1fff",
    "CYRILLIC": lambda character: "\u0400" <= character <= "\u04ff",
    "SERBIAN_CYRILLIC": lambda character: character.lower() in "абвгдђежзијклљмнњопрстћуфхцчџш",
    "BULGARIAN_CYRILLIC": lambda character: character.lower() in "абвгдежзийклмнопрстуфхцчшщъьюяѝ",
    "CENTRAL_EUROPEAN": lambda character: "\u00c0" <= character <= "\u024f",
    "BALTIC": lambda character: "\u00c0" <= character <= "\u024f",
    "PORTUGUESE": lambda character: character in "áÁâÂãÃÀçêÊíÍóÓôÔõÕúÚªº",
    "COLOMBIAN": lambda character: character in "áÁíÍóÓúÚ",
    "NON_UNICODE": lambda character: not "\u0370" <= character <= "\u04ff",
    "ALL": lambda character: True,
}
ALL_OF_THEM = "".join(map(chr, [*range(0x0600), *range(0x1E00, 0x2200)]))


@pytest.mark.parametrize("transliteration", TRANSLITERATIONS)
def test_only_letters_of_its_alphabet_change_and_into_gsm_7(transliteration: Transliteration) -> None:
    changed = {each: sent for each in ALL_OF_THEM if (sent := transliterate(each, transliteration)) != each}
    assert [each for each in changed if not LETTERS[transliteration](each)] == []
    assert set("".join(changed.values())) <= set(BASIC + EXTENSION)
    assert changed or transliteration == "NONE"


@pytest.mark.parametrize("transliteration", TRANSLITERATIONS)
def test_what_gsm_7_holds_stays(transliteration: Transliteration) -> None:
    assert transliterate(BASIC + EXTENSION, transliteration) == BASIC + EXTENSION


@given(st.text(st.sampled_from("aЩşΩςß’н😀{ł"), max_size=200), st.sampled_from(TRANSLITERATIONS))
def test_what_is_counted_is_what_would_go_out(text: str, transliteration: Transliteration) -> None:
    sent = transliterate(text, transliteration)
    taken = count(text, transliteration=transliteration)
    assert taken[:4] == count(sent)[:4]
    assert transliterate(sent, transliteration) == sent


@pytest.mark.parametrize(
    ("text", "language", "transliteration", "forcing"),
    [
        ("Щщ’", None, "CYRILLIC", ("’", 2)),  # told where it stands as written, not as sent
        ("Щı", None, "CYRILLIC", ("ı", 1)),
        ("aω", Language("PT"), "GREEK", ("ω", 1)),  # its capital is no letter of the Portuguese table
        ("Щş", None, "ALL", (None, None)),
    ],
    ids=["stays", "of another alphabet", "of no table", "none"],
)
def test_what_forces_unicode_is_told_as_it_was_written(
    text: str, language: Language | None, transliteration: Transliteration, forcing: tuple[str | None, int | None]
) -> None:
    taken = count(text, language, transliteration)
    assert (taken.forcing, taken.forcing_at) == forcing


def test_an_unknown_transliteration_is_an_error() -> None:
    with pytest.raises(KeyError):
        transliterate("a", "KLINGON")  # type: ignore[arg-type]
