"""The tables of 3GPP TS 23.038: their form, and each held to how the specification's notes tell it."""

import pytest

from tests.worker.naive_segments import DEFAULT, EXTENSION, LOCKING_GAINS, LOCKING_LOSES, SINGLE
from worker.alphabets import (
    DEFAULT_ALPHABET,
    DEFAULT_EXTENSION,
    ESCAPE,
    LOCKING_SHIFT,
    SINGLE_SHIFT,
    TABLES,
    Language,
    alphabets_for,
)

INVARIANT = " !\"%&'()+,-./0123456789:;<=>?ABCXYZabcxyz"  # where ASCII has them, in each table


@pytest.mark.parametrize(
    "table",
    [DEFAULT_ALPHABET, *LOCKING_SHIFT.values()],
    ids=["default", *(f"{code} locking" for code in LOCKING_SHIFT)],
)
def test_a_locking_table_has_128_positions_none_twice_and_its_escape(table: str) -> None:
    assert (len(table), len(set(table)), table.index(ESCAPE)) == (128, 128, 0x1B)
    assert all(table.index(character) == ord(character) for character in INVARIANT)
    assert (table[0x0A], table[0x0D], table[0x00], table[0x02], table[0x7F]) == ("\n", "\r", "@", "$", "à")


def test_the_default_tables_are_those_of_gsm_7() -> None:
    assert set(DEFAULT_ALPHABET) - {ESCAPE} == DEFAULT
    assert set(DEFAULT_EXTENSION.values()) == EXTENSION


@pytest.mark.parametrize("code", LOCKING_SHIFT)
def test_a_locking_table_differs_from_the_default_in_its_language_s_letters(code: str) -> None:
    table, default = set(LOCKING_SHIFT[code]), set(DEFAULT_ALPHABET)
    assert (table - default, default - table) == (LOCKING_GAINS[code], LOCKING_LOSES[code])


@pytest.mark.parametrize("code", SINGLE_SHIFT)
def test_a_single_table_adds_its_language_s_letters_to_the_extension(code: str) -> None:
    table = SINGLE_SHIFT[code]
    assert len(set(table.values())) == len(table)
    assert DEFAULT_EXTENSION.items() <= table.items()
    assert set(table.values()) - EXTENSION == SINGLE[code]
    assert all(0 <= septet < 128 and septet not in (0x0D, 0x1B) for septet in table)


@pytest.mark.parametrize(
    ("language", "tables"),
    [
        (None, [None]),
        (Language("NONE", True, True), [None]),
        (Language("TR"), ["TR locking"]),
        (Language("PT"), ["PT locking"]),
        (Language("ES"), ["ES single"]),
        (Language("TR", True, True), ["TR both"]),
        (Language("AUTODETECT"), [None, "TR locking", "ES single", "PT locking"]),
        (Language("AUTODETECT", single_shift=True), [None, "TR single", "ES single", "PT single"]),
    ],
    ids=repr,
)
def test_a_language_stands_for_tables(language: Language | None, tables: list[str | None]) -> None:
    assert [alphabet.tables for alphabet in alphabets_for(language)] == tables
    assert set(tables) <= TABLES | {None}
