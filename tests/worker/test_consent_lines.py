"""Lines of consent: what each is read as, in whatever pieces the file comes, and what a bad one costs."""

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.consent import EARLIEST
from worker.consent_lines import MOST_LINE_BYTES, BadLine, CsvLines, Line, Lines, NdjsonLines, PastLine, Read
from worker.refusals import Refusal
from worker.words import ConsentSource, ConsentState

IN, OUT, PENDING = ConsentState.OPTED_IN, ConsentState.OPTED_OUT, ConsentState.PENDING
GOOD = b'{"to": "+14155550123", "state": "opted_in"}'
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
AFTER_EARLIEST = (EARLIEST + timedelta(days=1)).replace(tzinfo=None)


def read(lines: Lines, *pieces: bytes) -> list[Read]:
    return [*itertools.chain.from_iterable(lines.feed(piece) for piece in pieces), *lines.close()]


def good(number: int, to: str = "14155550123", **fields: object) -> Line:
    return Line(**{"number": number, "to": to, "state": IN, "credential": None, "at": None, "note": None, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, good(1)),
        ({"to": "+1 (415) 555-0123"}, good(1)),
        ({"state": "opted_out"}, good(1, state=OUT)),
        ({"credential": "main", "note": "fair"}, good(1, credential="main", note="fair")),
        ({"credential": "", "note": "", "at": None}, good(1)),
        ({"at": "2026-01-31T12:00:00Z"}, good(1, at=NOON)),
        ({"at": "2026-01-31T17:30:00+05:30"}, good(1, at=NOON)),
        ({"is_blocked": True, "changed_at": "x", "history": [{}], "source": None, "opted_out_at": None}, good(1)),
        ({"source": "keyword"}, good(1, source=ConsentSource.KEYWORD)),
        (
            {"state": "opted_out", "opted_out_at": "2026-01-31T12:00:00Z"},
            good(1, state=OUT, opted_out_at=NOON),
        ),
        ({"state": "pending", "pending_from": "opted_in"}, good(1, state=PENDING, pending_from=IN)),
        (
            {"state": "pending", "pending_from": "opted_out", "opted_out_at": "2026-01-31T12:00:00Z"},
            good(1, state=PENDING, pending_from=OUT, opted_out_at=NOON),
        ),
    ],
)
def test_ndjson_line_is_read(fields: dict, line: Line) -> None:
    (found,) = read(NdjsonLines(), json.dumps({"to": "+14155550123", "state": "opted_in", **fields}).encode())
    assert found == line


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b"{", "line", "not JSON"),
        (b"\xff", "line", "UTF-8"),
        (b"[]", "line", "JSON object"),
        (b"17", "line", "JSON object"),
        (b"[" * 100_000, "line", "not JSON"),
        (b'{"state": "opted_in"}', "to", "missing"),
        (b'{"to": 14155550123, "state": "opted_in"}', "to", "in quotes"),
        (b'{"to": "call me", "state": "opted_in"}', "to", "letters"),
        (b'{"to": "", "state": "opted_in"}', "to", "empty"),
        (b'{"to": "+14155550123"}', "state", "opted_in"),
        (b'{"to": "+14155550123", "state": "yes"}', "state", "opted_in"),
        (b'{"to": "+14155550123", "state": "OPTED_IN"}', "state", "opted_in"),
        (b'{"to": "+14155550123", "state": "opted_in", "at": "2026-01-31T12:00:00"}', "at", "offset"),
        (b'{"to": "+14155550123", "state": "opted_in", "at": "yesterday"}', "at", "ISO 8601"),
        (b'{"to": "+14155550123", "state": "opted_in", "at": "0001-01-01T00:00:00+14:00"}', "at", "before 1970"),
        (b'{"to": "04155550123", "state": "opted_in"}', "to", "write it with its country code, such as"),
        (b'{"to": "+14155550123", "state": "opted_in", "source": "fax"}', "source", "keyword, api, console, provider"),
        (b'{"to": "+14155550123", "state": "opted_in", "source": 7}', "source", "in quotes"),
        (b'{"to": "+14155550123", "state": "pending", "pending_from": "pending"}', "pending_from", "one of opted_in, "),
        (b'{"to": "+14155550123", "state": "opted_in", "pending_from": "none"}', "pending_from", "pending alone"),
        (
            b'{"to": "+14155550123", "state": "opted_in", "opted_out_at": "2026-01-31T12:00:00Z"}',
            "opted_out_at",
            "leave it out",
        ),
        (b'{"to": "+14155550123", "state": "opted_out", "opted_out_at": "x"}', "opted_out_at", "ISO 8601"),
        (b'{"to": "+14155550123", "state": "opted_in", "note": "a\\u0000"}', "note", "NUL"),
        (b'{"to": "+14155550123", "state": "opted_in", "note": "' + b"x" * 501 + b'"}', "note", "500"),
        (b'{"to": "+14155550123", "state": "opted_in", "colour": "red"}', "colour", "not known"),
        (b" " * MOST_LINE_BYTES + GOOD, "line", "longer"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_ndjson_line_names_its_field_and_costs_no_other(line: bytes, field: str, words: str) -> None:
    found = read(NdjsonLines(), GOOD + b"\n" + line + b"\n\n" + GOOD)
    assert [found[0], found[2]] == [good(1), good(4)]
    (bad,) = found[1:2]
    assert isinstance(bad, BadLine)
    assert (bad.number, bad.field) == (2, field)
    assert words in bad.reason


def test_line_that_is_too_long_is_told_once_however_it_comes() -> None:
    pieces = [b"x" * (MOST_LINE_BYTES // 2 + 1)] * 6
    found = read(NdjsonLines(), GOOD + b"\n", *pieces, b"\n" + GOOD)
    assert [(line.number, type(line)) for line in found] == [(1, Line), (2, BadLine), (3, Line)]


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_csv_is_read_as_spreadsheets_write_it(delimiter: str, end: str, begin: str) -> None:
    rows = ["To,STATE , at,note", "+14155550123,opted_in,2026-01-31T12:00:00Z,", "+14155550124,opted_out,,fair", ""]
    file = begin + end.join(rows).replace(",", delimiter)
    assert read(CsvLines(), file.encode()) == [
        good(2, at=NOON),
        good(3, "14155550124", state=OUT, note="fair"),
    ]


def test_quoted_cell_holds_delimiters_quotes_and_line_ends() -> None:
    file = b'to,state,note\n"+14155550123",opted_in,"a, ""b""\r\nc\n\nd"\r\n+14155550124,opted_in,\n'
    assert read(CsvLines(), file) == [good(2, note='a, "b"\r\nc\n\nd'), good(6, "14155550124")]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b"+14155550123,opted_in", "line", "2 cells"),
        (b"+14155550123,opted_in,a,b", "line", "4 cells"),
        (b"+14155550123,opted_in,\xff", "line", "UTF-8"),
        (b'+14155550123,opted_in,"a', "line", "quote"),
        (b'"', "line", "quote"),
        (b'"+14155550123"x,opted_in,', "line", "quote"),
        (b'+14155550123,opted_in,"' + b"x" * 9_000, "line", "quote"),
        (b",opted_in,", "to", "missing"),
        (b"9.19E+11,opted_in,", "to", "exponent"),
        (b"919876543210.0,opted_in,", "to", "decimal"),
        (b"+14155550123,,", "state", "opted_in"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_csv_line_names_its_field_and_costs_no_other(line: bytes, field: str, words: str) -> None:
    row = b"+14155550123,opted_in,\n"
    found = read(CsvLines(), b"to,state,note\n" + row + line + b"\n" + row * 3)
    assert found[:1] + found[2:] == [good(2), good(4), good(5), good(6)]
    bad = found[1]
    assert isinstance(bad, BadLine)
    assert (bad.number, bad.field) == (3, field)
    assert words in bad.reason


def test_two_lines_that_begin_a_quote_do_not_swallow_those_between() -> None:
    row = b"+14155550123,opted_in\n"
    found = read(CsvLines(), b"to,state\n" + b'"\n' + row * 2 + b'"\n' + row)
    assert [line.number for line in found if isinstance(line, Line)] == [3, 4, 6]
    assert [line.number for line in found if isinstance(line, BadLine)] == [2, 5]


def test_history_of_an_exported_csv_is_no_line_of_consent() -> None:
    found = read(CsvLines(), b"to,state,entry\n1,what,history\n+14155550123,opted_in,current\n")
    assert found == [PastLine(2), good(3)]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "no header"),
        (b"\n+14155550123,opted_in", "no header"),
        (b"\xff\xfet\x00o\x00", "UTF-8"),
        (b"to", 'no column "state"'),
        (b"state,at", 'no column "to"'),
        (b"to,state,colour", '"colour" is not known'),
        (b"to,state,to", '"to" is there twice'),
        (b'to,state,"at', "cannot be read"),
        (b"+14155550123,opted_in", '"+14155550123" is not known'),
    ],
)
def test_csv_without_a_usable_header_is_refused(header: bytes, words: str) -> None:
    with pytest.raises(Refusal, match="body") as refused:
        read(CsvLines(), header)
    assert words in refused.value.detail


BLANK = st.sampled_from([b"", b" ", b"\r"])
ANY_LINE = st.binary(max_size=40).filter(lambda line: b"\n" not in line)
CSV_LINE = st.text('+14155550123opted_in,;" \r\xe9', max_size=30).map(str.encode)


@given(
    lines=st.lists(st.one_of(BLANK, ANY_LINE, CSV_LINE, st.just(GOOD), st.just(b"+14155550123,opted_in")), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    is_csv=st.booleans(),
)
def test_pieces_in_which_a_file_comes_do_not_matter(lines: list[bytes], cuts: list[int], is_csv: bool) -> None:
    file = (b"to,state\n" if is_csv else b"") + b"\n".join(lines)
    places = [0, *sorted(cuts), len(file)]
    pieces = [file[start:end] for start, end in itertools.pairwise(places)]
    make = CsvLines if is_csv else NdjsonLines
    assert read(make(), *pieces) == read(make(), file)


@given(
    before=st.lists(ANY_LINE, max_size=5),
    after=st.lists(ANY_LINE, max_size=5),
)
def test_good_line_is_found_among_any_others(before: list[bytes], after: list[bytes]) -> None:
    number = len(before) + 1
    assert good(number) in read(NdjsonLines(), b"\n".join([*before, GOOD, *after]))
    unquoted = [[line.replace(b'"', b"'") for line in lines] for lines in (before, after)]
    row = b"+14155550123,opted_in"
    assert good(number + 1) in read(CsvLines(), b"\n".join([b"to,state", *unquoted[0], row, *unquoted[1]]))


@given(offset=st.integers(-1439, 1439), moment=st.datetimes(min_value=AFTER_EARLIEST))
def test_any_moment_with_an_offset_is_read(offset: int, moment: datetime) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    (found,) = read(NdjsonLines(), json.dumps({"to": "14155550123", "state": "none", "at": at.isoformat()}).encode())
    assert isinstance(found, Line)
    assert found.at == at
