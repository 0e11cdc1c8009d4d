"""Lines of a body: the same ones in whatever pieces it comes, and nothing kept of one that is too long."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.body_lines import BodyLines

MOST = 8
BOM = b"\xef\xbb\xbf"

some_lines = st.lists(st.binary(max_size=MOST + 4).map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=8)


def read(*pieces: bytes) -> list[bytes | None]:
    lines = BodyLines(MOST)
    return [*itertools.chain.from_iterable(lines.feed(piece) for piece in pieces), *lines.close()]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a", b""]),
        (b"\n\na\r\n b", [b"", b"", b"a\r", b" b"]),
        (b"12345678\n123456789\n12345678", [b"12345678", None, b"12345678"]),
        (b"123456789", [None]),
        (b"123456789\n", [None, b""]),
        (BOM + b"a\n" + BOM + b"b", [b"a", BOM + b"b"]),
        (BOM, [b""]),
        (b"\n" + BOM, [b"", BOM]),
        (BOM + b"123456\n" + BOM + b"b", [None, BOM + b"b"]),
    ],
)
def test_body_is_read_as_its_lines(body: bytes, lines: list[bytes | None]) -> None:
    assert read(body) == lines
    assert read(*(body[place : place + 1] for place in range(len(body)))) == lines


@given(lines=some_lines, cuts=st.lists(st.integers(0, 100), max_size=8), mark=st.sampled_from([b"", BOM]))
def test_pieces_in_which_a_body_comes_do_not_matter(lines: list[bytes], cuts: list[int], mark: bytes) -> None:
    body = mark + b"\n".join(lines)
    places = [0, *sorted(cuts), len(body)]
    first, *others = body.split(b"\n")
    expected = [first if len(first) > MOST else first.removeprefix(BOM), *others]
    assert read(*(body[start:end] for start, end in itertools.pairwise(places))) == [
        line if len(line) <= MOST else None for line in expected
    ]


def test_line_is_told_when_it_ends_and_one_that_is_too_long_once_it_is() -> None:
    lines = BodyLines(MOST)
    assert [lines.feed(piece) for piece in (b"ab", b"c\nd", b"\n12345", b"6789", b"0123456789", b"01\ne\n")] == [
        [],
        [b"abc"],
        [b"d"],
        [None],
        [],
        [b"e"],
    ]
    assert lines.close() == [b""]
