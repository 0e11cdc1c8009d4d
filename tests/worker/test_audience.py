"""An audience: in whatever chunks its rows come, each is kept once, good, rejected or a duplicate, and in order."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from io import BytesIO
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.sends import place
from worker.audience import Audience, spooled_file
from worker.copying import content_part, field
from worker.mms import Mms, Part
from worker.orders import NOTHING_GIVEN, BatchOrder, Rejected, Row, Values
from worker.places import Place
from worker.refusals import Refusal
from worker.rejected_rows import line, shortened
from worker.rows import MOST_LISTED
from worker.segments import count
from worker.words import Channel

MOST_ROWS = 1_000
PEOPLE = ("919900000001", "919900000002", "14155550123")
WAYS_TO_WRITE: tuple[Callable[[str], str], ...] = (
    str,
    lambda number: f"+{number}",
    lambda number: f"00{number}",
    lambda number: f"+{number[:3]} ({number[3:6]}) {number[6:8]}-{number[8:]}",
)
ALL = BatchOrder(surface="otp", text="hi")
SKIP = BatchOrder(surface="otp", text="hi", skips_invalid=True)

# A row: whom it is for and how the number is written, a number that is none, or what is no row at all.
good_rows = st.tuples(st.sampled_from(PEOPLE), st.integers(0, len(WAYS_TO_WRITE) - 1))
bad_rows = st.sampled_from(["ask Meera", "", "a\tb\nc\\", "\0"])
any_rows = st.lists(st.one_of(good_rows, bad_rows, st.none()), max_size=30)


def audience(order: BatchOrder = SKIP, most_rows: int = MOST_ROWS, **surface: Any) -> Audience:
    return Audience(order, place(**surface), most_rows)


def flat(groups: Iterator[list[str]]) -> list[str]:
    return [one for group in groups for one in group]


def content(recipient: str, text: str | None = None) -> str:
    return content_part(recipient, text, NOTHING_GIVEN, None if text is None else count(text))


def chunks(rows: Sequence[Row | Rejected], sizes: list[int]) -> Iterator[Sequence[Row | Rejected]]:
    """The rows cut by these sizes, and what is left as the last chunk."""
    at = 0
    for size in sizes:
        yield rows[at : at + size]
        at += size
    yield rows[at:]


def add(to: Audience, rows: Sequence[Row | Rejected]) -> None:
    """One chunk, as it comes out of a body."""
    to.add([row for row in rows if isinstance(row, Row)], [row for row in rows if isinstance(row, Rejected)])


def temporary_file() -> IO[bytes]:
    return TemporaryFile()


@given(
    wanted=any_rows,
    sizes=st.lists(st.integers(0, 5), max_size=12),
    deduplicates=st.booleans(),
    make_file=st.sampled_from([BytesIO, temporary_file]),
)
def test_good_and_rejected_rows_together_are_the_request_in_order(
    wanted: list[tuple[str, int] | str | None],
    sizes: list[int],
    deduplicates: bool,
    make_file: Callable[[], IO[bytes]],
) -> None:
    request: list[Row | Rejected] = []
    good, bad, seen, duplicates = [], [], set[str](), 0
    for index, one in enumerate(wanted):
        match one:
            case (number, way):
                request.append(Row(index, WAYS_TO_WRITE[way](number), f"row {index}"))
                if deduplicates and number in seen:
                    duplicates += 1
                else:
                    good.append(content(number, f"row {index}"))
                seen.add(number)
            case str(to):
                request.append(Row(index, to, f"row {index}"))
                bad.append((index, shortened(Rejected(index, to, "", "")).to))
            case None:
                request.append(Rejected(index, None, "messages", "is no row"))
                bad.append((index, None))
    order = BatchOrder(surface="otp", skips_invalid=True, deduplicates=deduplicates)
    with Audience(order, place(), MOST_ROWS, make_file) as kept:
        for chunk in chunks(request, sizes):
            add(kept, chunk)
        assert flat(kept.good()) == good
        assert [one.split("\t")[:2] for one in flat(kept.bad())] == [[str(index), field(to)] for index, to in bad]
        assert [(row.index, row.to) for row in kept.rejected] == bad
        assert (kept.count, kept.rejected_count, kept.duplicates) == (len(good), len(bad), duplicates)
        assert kept.count + kept.rejected_count + kept.duplicates == len(wanted)


def test_many_rows_come_back_in_groups_none_of_which_is_all_of_them() -> None:
    texts = [f"{n} " + "x" * 3_800 for n in range(900)]
    rows: list[Row | Rejected] = [Row(n, PEOPLE[0], text) for n, text in enumerate(texts)]
    with audience() as kept:
        for chunk in chunks(rows, [7] * 100):
            add(kept, chunk)
        groups = list(kept.good())
        assert len(groups) > 3
        assert [one for group in groups for one in group] == [content(PEOPLE[0], text) for text in texts]


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a\tb", "\\", "\\n", "\\N", "a\x85b", "a\u2028b", "a\x0b\x0c\x1cb", "\u0938\U0001f600"]
)
def test_row_stays_one_whatever_its_text_holds(text: str) -> None:
    with audience() as kept:
        kept.add([Row(0, PEOPLE[0], text), Row(1, PEOPLE[1], text)])
        assert flat(kept.good()) == [content(PEOPLE[0], text), content(PEOPLE[1], text)]


def test_row_of_the_batch_s_text_has_none_of_its_own_and_a_template_is_filled_from_each() -> None:
    with audience() as kept:
        kept.add([Row(0, PEOPLE[0]), Row(1, PEOPLE[1], "Mine")])
        assert flat(kept.good()) == [content(PEOPLE[0]), content(PEOPLE[1], "Mine")]
    with audience(BatchOrder(surface="otp", text="Hi {{name}}", skips_invalid=True)) as kept:
        kept.add([Row(0, PEOPLE[0], None, {"name": "Asha"}), Row(1, PEOPLE[1])])
        assert flat(kept.good()) == [content(PEOPLE[0], "Hi Asha")]
        assert [(row.index, row.field) for row in kept.rejected] == [(1, "variables")]


def test_row_keeps_the_values_given_with_it() -> None:
    own = Values(callback_data="crm\t1")
    with audience() as kept:
        kept.add([Row(0, PEOPLE[0], values=own)])
        assert flat(kept.good()) == [content_part(PEOPLE[0], None, own)]


# One bad row, wherever it stands


@pytest.mark.parametrize("bad", [Row(0, "ask Meera"), Rejected(0, None, "messages", "is no row")])
@pytest.mark.parametrize("at", [0, 5, 9])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_one_bad_row_in_any_chunk_refuses_all_and_is_named(bad: Row | Rejected, at: int, size: int) -> None:
    rows: list[Row | Rejected] = [Row(n, PEOPLE[0]) for n in range(10)]
    rows[at] = Row(at, bad.to) if isinstance(bad, Row) else Rejected(at, None, bad.field, bad.reason)
    with audience(ALL) as kept:
        for chunk in chunks(rows, [size] * (10 // size)):
            add(kept, chunk)
        assert kept.is_refused
        with pytest.raises(Refusal, match="1 row is wrong, and nothing was stored") as refused:
            kept.refuse_wrong()
    assert [fault.index for fault in refused.value.faults] == [at]


def test_once_a_row_is_wrong_no_more_is_kept_of_what_will_not_be_stored() -> None:
    with audience(ALL) as kept:
        kept.add([Row(0, PEOPLE[0])])
        assert not kept.is_refused
        kept.refuse_wrong()
        kept.add([Row(1, ""), Row(2, PEOPLE[1])])
        kept.add([Row(3, PEOPLE[2])])
        assert kept.is_refused
        assert flat(kept.good()) == [content(PEOPLE[0])]
        assert flat(kept.bad()) == []


def test_what_an_mms_makes_of_each_row_waits_on_disk() -> None:
    """It may be a thousand times longer than the request."""
    files: list[SpooledTemporaryFile[bytes]] = []

    def make() -> IO[bytes]:
        files.append(cast(SpooledTemporaryFile[bytes], spooled_file()))
        return files[-1]

    mms = Mms(parts=tuple(Part("text", "x" * 1_000 + "{{n}}") for _ in range(15)))
    rows = [Row(n, PEOPLE[0], variables={"n": str(n)}) for n in range(600)]
    order = BatchOrder(surface="otp", mms=mms)
    with Audience(order, place(channel=Channel.MMS), MOST_ROWS, make) as kept:
        kept.add(rows)
        assert [file.name is not None for file in files] == [True, False]  # only what is on disk has a name
        assert len(flat(kept.good())) == len(rows)


def test_skipped_rows_refuse_nothing_while_one_is_left_to_send() -> None:
    with audience() as kept:
        kept.add([Row(0, "")])
        assert not kept.is_refused
        with pytest.raises(Refusal, match="none is left to send"):
            kept.refuse_wrong()
        kept.add([Row(1, PEOPLE[0])])
        kept.refuse_wrong()


def test_audience_without_a_row_is_refused() -> None:
    with audience() as kept, pytest.raises(Refusal, match="at least one row"):
        kept.refuse_wrong()


def test_refusal_before_the_end_says_that_there_may_be_more() -> None:
    with audience(ALL) as kept:
        kept.add([Row(0, ""), Row(1, "")])
        with pytest.raises(Refusal, match="at least 2 rows are wrong, and nothing was stored: correct them, or send"):
            kept.refuse_wrong(is_more=True)
        with pytest.raises(Refusal, match=r"^2 rows are wrong, and nothing was stored: none is left to send"):
            kept.refuse_wrong()


@pytest.mark.parametrize("order", [ALL, SKIP])
def test_first_bad_rows_are_listed_over_all_chunks_and_all_are_counted(order: BatchOrder) -> None:
    with audience(order, most_rows=3 * MOST_LISTED) as kept:
        for first in range(0, 2 * MOST_LISTED, 700):
            kept.add([Row(n, "") for n in range(first, min(first + 700, 2 * MOST_LISTED))])
        assert [row.index for row in kept.rejected] == list(range(MOST_LISTED))
        assert kept.rejected_count == 2 * MOST_LISTED
        assert len(flat(kept.bad())) == (2 * MOST_LISTED if order.skips_invalid else 0)


def test_rejected_row_is_kept_as_it_is_told_and_both_are_cut_short() -> None:
    with audience() as kept:
        kept.add([Row(0, "call me " * 50)], [Rejected(1, "\0" * 70, "f" * 200, "r" * 2_000)])
        assert [len(row.to or "") for row in kept.rejected] == [64, 64]
        assert flat(kept.bad()) == [line(row) for row in kept.rejected]


# Once to each


def test_number_written_otherwise_is_the_same_recipient_in_a_later_chunk_too() -> None:
    with audience(BatchOrder(surface="otp", text="hi", deduplicates=True), default_country="IN") as kept:
        kept.add([Row(0, "+91 98765-43210", "first"), Row(1, "09876543211", "second")])
        kept.add([Row(2, "09876543210", "third"), Row(3, "00919876543211", "fourth")])
        kept.add([Row(4, "(+91) 98765.43210", "fifth")])
        assert flat(kept.good()) == [content("919876543210", "first"), content("919876543211", "second")]
        assert (kept.count, kept.duplicates) == (2, 3)


def test_first_good_row_of_a_recipient_counts_not_a_bad_one_before_it() -> None:
    with audience(BatchOrder(surface="otp", skips_invalid=True, deduplicates=True)) as kept:
        kept.add([Row(0, PEOPLE[0])])  # neither it nor the batch has a text
        kept.add([Row(1, PEOPLE[0], "Mine"), Row(2, PEOPLE[0], "Again")])
        assert flat(kept.good()) == [content(PEOPLE[0], "Mine")]
        assert [row.index for row in kept.rejected] == [0]
        assert kept.duplicates == 1


# How many, where to, and by which surface they were read


def test_more_rows_than_fit_are_refused_whatever_becomes_of_them() -> None:
    with audience(BatchOrder(surface="otp", text="hi", skips_invalid=True, deduplicates=True), most_rows=4) as kept:
        kept.add([Row(0, PEOPLE[0]), Row(1, PEOPLE[0]), Row(2, "")], [Rejected(3, None, "messages", "is no row")])
        for rows, rejected in [([Row(4, PEOPLE[1])], []), ([], [Rejected(4, None, "messages", "is no row")])]:
            with pytest.raises(Refusal, match="at most 4 rows"):
                kept.add(rows, rejected)


@pytest.mark.parametrize(
    ("order", "surface", "words"),
    [
        (ALL, {"channel": Channel.MMS}, "MMS"),
        (BatchOrder(surface="otp", text="hi", validity=timedelta(hours=49)), {}, "PT48H"),
        (BatchOrder(surface="otp", text=" "), {}, "text: is empty"),
    ],
)
def test_what_is_wrong_with_the_batch_itself_is_told_before_its_rows_come(
    order: BatchOrder, surface: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refusal, match=words):
        audience(order, **surface)


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({}, True),
        ({"surface_id": UUID(int=9)}, False),
        ({"credential_id": UUID(int=9)}, False),
        ({"channel": Channel.MMS}, False),
        ({"default_country": "IN"}, False),
        ({"values": Values(principal_entity_id="1201150000000000001")}, False),
        ({"sender": "OTHER"}, True),
        ({"message_type": "marketing"}, True),
        ({"lane_id": UUID(int=9)}, True),
        ({"needs_opt_in": True}, True),
        ({"validity": timedelta(minutes=5)}, True),
        ({"now": place().now + timedelta(hours=1)}, True),
    ],
)
def test_rows_are_to_be_read_again_where_the_surface_would_give_them_another_meaning(
    change: dict[str, object], is_read: bool
) -> None:
    found: Place = place(**change)
    with audience() as kept:
        assert kept.is_read_by(found) is is_read


def test_files_are_closed_however_it_ends() -> None:
    files: list[IO[bytes]] = []

    def make() -> IO[bytes]:
        files.append(temporary_file())
        return files[-1]

    with pytest.raises(Refusal), Audience(ALL, place(), 1, make) as kept:
        kept.add([Row(0, PEOPLE[0]), Row(1, PEOPLE[0])])
    assert [file.closed for file in files] == [True, True]
