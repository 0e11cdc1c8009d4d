"""The table of Infobip's statuses and errors: what each means for an attempt, and that every code has a verdict."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.infobip.error_codes import ERROR_CODES, ErrorCode
from worker.infobip.statuses import STATUS_CODES, Decider, StatusCode, Verdict, explain, verdict
from worker.words import FAILURES, Block, Outcome

PENDING = Outcome.PENDING
DELIVERED = Outcome.DELIVERED
TRANSIENT = Outcome.TRANSIENT
PERMANENT = Outcome.PERMANENT
EXPIRED = Outcome.EXPIRED
ACCOUNT = Outcome.ACCOUNT

# (group id, id, name, outcome without an error); the rows that ask the error are in ERROR_DECIDES.
STATUS_MEANINGS = [
    (1, 3, "PENDING_WAITING_DELIVERY", PENDING),
    (1, 7, "PENDING_ENROUTE", PENDING),
    (1, 26, "PENDING_ACCEPTED", PENDING),
    (2, 4, "UNDELIVERABLE_REJECTED_OPERATOR", TRANSIENT),
    (2, 9, "UNDELIVERABLE_NOT_DELIVERED", TRANSIENT),
    (2, 31, "UNDELIVERABLE_NOT_SENT", TRANSIENT),
    (2, 96, "NO_ANSWER", TRANSIENT),
    (2, 97, "BUSY", TRANSIENT),
    (2, 98, "CANCELLED", PERMANENT),
    (3, 2, "DELIVERED_TO_OPERATOR", PENDING),
    (3, 5, "DELIVERED_TO_HANDSET", DELIVERED),
    (4, 15, "EXPIRED_EXPIRED", EXPIRED),
    (4, 29, "EXPIRED_DLR_UNKNOWN", Outcome.UNKNOWN),
    (4, 87, "SIGNALS_BLOCKED", PERMANENT),
    (5, 6, "REJECTED_NETWORK", PERMANENT),
    (5, 8, "REJECTED_PREFIX_MISSING", PERMANENT),
    (5, 10, "REJECTED_DND", PERMANENT),
    (5, 11, "REJECTED_SOURCE", PERMANENT),
    (5, 12, "REJECTED_NOT_ENOUGH_CREDITS", ACCOUNT),
    (5, 13, "REJECTED_SENDER", PERMANENT),
    (5, 14, "REJECTED_DESTINATION_BLOCKLISTED", PERMANENT),
    (5, 17, "REJECTED_PREPAID_PACKAGE_EXPIRED", ACCOUNT),
    (5, 18, "REJECTED_DESTINATION_NOT_REGISTERED", PERMANENT),
    (5, 19, "REJECTED_ROUTE_NOT_AVAILABLE", PERMANENT),
    (5, 20, "REJECTED_FLOODING_FILTER", TRANSIENT),
    (5, 21, "REJECTED_SYSTEM_ERROR", TRANSIENT),
    (5, 23, "REJECTED_DUPLICATE_MESSAGE_ID", Outcome.DUPLICATE),
    (5, 24, "REJECTED_INVALID_UDH", PERMANENT),
    (5, 25, "REJECTED_MESSAGE_TOO_LONG", PERMANENT),
    (5, 51, "MISSING_TO", PERMANENT),
    (5, 52, "REJECTED_DESTINATION", PERMANENT),
    (5, 56, "REJECTED_INVALID_NOTIFY_URL", PERMANENT),
    (5, 77, "REJECTED_MESSAGE_TEXT_TOO_LONG", PERMANENT),
    (5, 87, "SIGNALS_BLOCKED", PERMANENT),
    (5, 99, "REJECTED", PERMANENT),
    (5, 100, "UNDELIVERABLE_REJECTED_PLATFORM", TRANSIENT),
]
ERROR_DECIDES = [(2, 4), (2, 9), (2, 31), (2, 96), (2, 97), (5, 100)]
STATUS_DECIDES = [(group, id_) for group, id_, _, _ in STATUS_MEANINGS if (group, id_) not in ERROR_DECIDES]


def ids(*parts: int | range) -> set[int]:
    return {id_ for part in parts for id_ in (part if isinstance(part, range) else (part,))}


# Every error that is not transient, spelled out; what is left is counted below.
EXPIRED_ERRORS = ids(811, 4098, 4101, 15006)
ACCOUNT_ERRORS = ids(4099)
DLT_TRANSIENT = ids(4107, 4138, 4141, 4144)
DLT_CODES = ids(range(4106, 4159)) - ids(4145, 4152)
MMS_CODES = ids(15000, range(15002, 15027), range(15200, 15204))
# By group, as Infobip's reference lists them.
PUBLISHED_ERRORS = {
    0: ids(0),
    1: ids(1, 2, range(5, 10), 11, 12, 13, 21, 27, range(31, 37), range(255, 263), 500, range(502, 505), 507, 508, 509)
    | ids(565, 573, 581, 628, 629, range(1024, 1032), range(1152, 1167), range(1281, 1285), range(1536, 1542))
    | ids(range(1792, 1797)),
    2: ids(323, 351, 352, 355, 368, 433, 541, 542, 572, range(577, 581), 594, 597, 598, 601, 603, 604, range(607, 610))
    | ids(2049, 2052, 2053, 3041, 4096, range(4099, 4105), 4202),
    3: ids(10, 15, 20, 24, 51, 71, 345, 375, 488, 501, range(560, 565), 566, 568, 569, 571, 574, 592, range(630, 634))
    | ids(810, 811, 815, 2048, 2050, 2051, 4097, 4098, 4102, 5492),
}
PERMANENT_ERRORS = (
    ids(1, 9, 10, 11, 12, 51, 323, 345, 352, 355, 368, 375, 433, 488, range(560, 570), 572, 573, 574) - ids(567)
    | ids(range(577, 581), 592, 594, 597, 598, 601, 603, 604, 607, 609, range(628, 634), 810, 815)
    | ids(2049, 2050, 2052, 2053, 3041, 4096, 4100, 4102, 4202, 5492)
    | ids(15002, 15003, range(15005, 15027), range(15200, 15204)) - EXPIRED_ERRORS
    | (DLT_CODES - DLT_TRANSIENT)
)
STATUS_BLOCKS = {10: Block.MARKETING, 14: Block.ALL}
ERROR_BLOCKS = {
    573: Block.ALL,
    603: Block.ALL,
    2050: Block.MARKETING,
    2052: Block.ALL,
    4137: Block.MARKETING,
    15015: Block.ALL,
}
STATUSES_REFUSING_MMS = {6, 19}
ERRORS_REFUSING_MMS = {592, 15007, 15011, 15019, 15023}

UNKNOWN_ID = 987_654
EVERY_ROW: list[StatusCode | ErrorCode] = [*STATUS_CODES, *ERROR_CODES]


def of(status_id: int, group_id: int, error_id: int | None = None, permanent: bool | None = None) -> Verdict:
    return verdict(status_id, group_id, error_id, permanent)


def strongest(*blocks: Block | None) -> Block | None:
    return Block.ALL if Block.ALL in blocks else Block.MARKETING if Block.MARKETING in blocks else None


def test_tables_hold_every_published_row_and_no_other() -> None:
    assert Counter((row.group_id, row.id) for row in STATUS_CODES) == Counter(
        (g, id_) for g, id_, _, _ in STATUS_MEANINGS
    )
    published = {(group, id_) for group, found in PUBLISHED_ERRORS.items() for id_ in found}
    published |= {(None, id_) for id_ in MMS_CODES | DLT_CODES}
    assert Counter((row.group_id, row.id) for row in ERROR_CODES) == Counter(published)
    assert (len(STATUS_CODES), len(ERROR_CODES)) == (36, 227)


def test_only_the_codes_published_twice_stand_twice() -> None:
    assert [id_ for id_, n in Counter(row.id for row in STATUS_CODES).items() if n > 1] == [87]
    assert [id_ for id_, n in Counter(row.id for row in ERROR_CODES).items() if n > 1] == [4102]


def test_names_tell_statuses_and_errors_apart() -> None:
    names = Counter(row.name for row in EVERY_ROW)
    assert {name for name, n in names.items() if n > 1} == {
        "SIGNALS_BLOCKED",
        "EC_NOTSUBMITTEDTOSMPPCHANNEL",
        "EC_VALIDITY_EXPIRED",
    }
    assert not {row.name for row in STATUS_CODES} & {row.name for row in ERROR_CODES}


def test_rows_of_one_name_say_the_same() -> None:
    said = {(row.name, row.outcome, row.sentence, row.block, row.refuses_mms) for row in EVERY_ROW}
    assert len(said) == len({row.name for row in EVERY_ROW})


@pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: f"{row.name}-{row.group_id}")
def test_sentence_is_short_and_is_its_two_parts(row: StatusCode | ErrorCode) -> None:
    assert row.sentence == f"{row.explanation.happened} {row.explanation.advice}"
    assert len(row.sentence) <= 200


@pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: f"{row.name}-{row.group_id}")
def test_every_code_is_explained(row: StatusCode | ErrorCode) -> None:
    assert explain(row.name) == row.sentence


def test_unknown_code_is_not_explained() -> None:
    assert explain("EC_MADE_UP") is None
    assert explain("") is None


@pytest.mark.parametrize(("group_id", "id_", "name", "outcome"), STATUS_MEANINGS)
def test_status_alone_means_what_its_row_says(group_id: int, id_: int, name: str, outcome: Outcome) -> None:
    given = of(id_, group_id)
    assert (given.outcome, given.code, given.sentence) == (outcome, name, explain(name))
    assert given.block is STATUS_BLOCKS.get(id_)
    assert given.is_known


def test_table_names_the_statuses_that_ask_the_error() -> None:
    assert {(row.group_id, row.id) for row in STATUS_CODES if row.decider is Decider.ERROR} == set(ERROR_DECIDES)


@pytest.mark.parametrize(("group_id", "id_"), STATUS_DECIDES)
def test_status_that_decides_alone_takes_nothing_of_the_error_but_a_block_and_that_mms_is_refused(
    group_id: int, id_: int
) -> None:
    alone = of(id_, group_id)
    for error in ERROR_CODES:
        block = strongest(alone.block, ERROR_BLOCKS.get(error.id)) if alone.outcome in FAILURES else None
        told = error.id in ERRORS_REFUSING_MMS and alone.outcome is PERMANENT
        expected = replace(alone, block=block, refuses_mms=alone.refuses_mms or told)
        for permanent in (True, False, None):
            assert of(id_, group_id, error.id, permanent) == expected


def test_every_error_is_transient_but_for_those_listed() -> None:
    by_outcome = {outcome: {row.id for row in ERROR_CODES if row.outcome is outcome} for outcome in Outcome}
    assert by_outcome[EXPIRED] == EXPIRED_ERRORS
    assert by_outcome[ACCOUNT] == ACCOUNT_ERRORS
    assert by_outcome[PERMANENT] == PERMANENT_ERRORS
    others = EXPIRED_ERRORS | ACCOUNT_ERRORS | PERMANENT_ERRORS
    assert by_outcome[TRANSIENT] == {row.id for row in ERROR_CODES} - others - {0}
    assert sum(len(found) for found in by_outcome.values()) == 225  # one id twice, NO_ERROR without an outcome


def test_only_a_block_of_the_recipient_is_a_consent_fact() -> None:
    assert {row.id: row.block for row in ERROR_CODES if row.block} == ERROR_BLOCKS
    assert {row.id: row.block for row in STATUS_CODES if row.block} == STATUS_BLOCKS
    assert all(row.outcome is PERMANENT for row in EVERY_ROW if row.block)


@pytest.mark.parametrize("row", EVERY_ROW, ids=lambda row: f"{row.name}-{row.group_id}")
def test_a_sentence_speaks_of_marketing_where_only_that_is_barred(row: StatusCode | ErrorCode) -> None:
    assert ("marketing" in row.sentence) is (row.block is Block.MARKETING)


@pytest.mark.parametrize(
    ("status_id", "group_id", "error_id", "block"),
    [
        # the status decides
        (52, 5, 2052, Block.ALL),
        (52, 5, 2050, Block.MARKETING),
        (52, 5, 27, None),
        (10, 5, 2052, Block.ALL),
        (10, 5, 2050, Block.MARKETING),
        (10, 5, 27, Block.MARKETING),
        (14, 5, 4137, Block.ALL),
        (15, 4, 603, Block.ALL),
        (29, 4, 603, Block.ALL),
        (12, 5, 603, Block.ALL),
        # the error decides
        (4, 2, 2052, Block.ALL),
        (9, 2, 4137, Block.MARKETING),
        (4, 2, 2051, None),
        # delivered, or not yet over
        (5, 3, 2052, None),
        (2, 3, 2052, None),
        (26, 1, 603, None),
        (23, 5, 603, None),
        # a code without a row adds nothing, and takes nothing away
        (10, 5, UNKNOWN_ID, Block.MARKETING),
        (14, 5, UNKNOWN_ID, Block.ALL),
        (9, 2, UNKNOWN_ID, None),
        (UNKNOWN_ID, 5, 2052, Block.ALL),
        (UNKNOWN_ID, 2, 2050, Block.MARKETING),
        (UNKNOWN_ID, 4, 603, Block.ALL),
        (UNKNOWN_ID, 3, 603, None),
        (UNKNOWN_ID, 5, UNKNOWN_ID, None),
    ],
)
def test_of_two_blocks_the_stronger_counts_where_the_attempt_failed(
    status_id: int, group_id: int, error_id: int, block: Block | None
) -> None:
    for permanent in (True, False, None):
        assert of(status_id, group_id, error_id, permanent).block is block


# That an MMS is refused as one


def test_only_what_takes_no_mms_is_marked_so_and_only_for_good() -> None:
    assert {row.id for row in STATUS_CODES if row.refuses_mms} == STATUSES_REFUSING_MMS
    assert {row.id for row in ERROR_CODES if row.refuses_mms} == ERRORS_REFUSING_MMS
    assert all(row.outcome is PERMANENT for row in EVERY_ROW if row.refuses_mms)


@pytest.mark.parametrize("row", [row for row in ERROR_CODES if row.id in MMS_CODES], ids=lambda row: row.name)
def test_an_sms_is_advised_where_an_mms_code_marks_that_one_may_arrive(row: ErrorCode) -> None:
    assert ("an SMS" in row.explanation.advice) is row.refuses_mms


@pytest.mark.parametrize(
    ("status_id", "group_id", "error_id", "refuses_mms"),
    [
        # the error decides
        (9, 2, 15019, True),
        (4, 2, 15023, True),
        (100, 5, 15011, True),
        (9, 2, 15016, False),  # the number itself is in doubt
        (9, 2, 15026, False),  # a smaller one would do
        (9, 2, 15000, False),
        # the status decides
        (6, 5, None, True),
        (19, 5, None, True),
        (52, 5, 15019, True),
        (52, 5, None, False),
        (15, 4, 15019, False),  # tried again while it is valid
        (29, 4, 15019, False),  # it may have arrived
        (12, 5, 15019, False),
        # delivered, or not yet over
        (5, 3, 15019, False),
        (2, 3, 15023, False),
        (26, 1, 15023, False),
        # codes without a row
        (UNKNOWN_ID, 5, 15019, True),
        (9, 2, UNKNOWN_ID, False),
        (UNKNOWN_ID, 5, UNKNOWN_ID, False),
    ],
)
def test_an_mms_is_refused_as_one_where_either_code_says_so_of_an_attempt_that_failed_for_good(
    status_id: int, group_id: int, error_id: int | None, refuses_mms: bool
) -> None:
    assert of(status_id, group_id, error_id).refuses_mms is refuses_mms


@pytest.mark.parametrize("error", [row for row in ERROR_CODES if row.id], ids=lambda row: f"{row.name}-{row.group_id}")
def test_known_error_decides_where_the_status_asks(error: ErrorCode) -> None:
    assert error.outcome is not None
    refuses_mms = error.id in ERRORS_REFUSING_MMS
    expected = Verdict(error.outcome, error.name, error.sentence, error.block, is_known=True, refuses_mms=refuses_mms)
    for group_id, status_id in ERROR_DECIDES:
        for permanent in (True, False, None):
            assert of(status_id, group_id, error.id, permanent) == expected


@pytest.mark.parametrize(("group_id", "status_id"), ERROR_DECIDES)
@pytest.mark.parametrize("permanent", [True, False, None])
def test_no_error_leaves_the_default(group_id: int, status_id: int, permanent: bool | None) -> None:
    assert of(status_id, group_id, 0, permanent) == of(status_id, group_id)


@pytest.mark.parametrize(("group_id", "status_id"), ERROR_DECIDES)
def test_unknown_error_follows_its_flag(group_id: int, status_id: int) -> None:
    default = of(status_id, group_id)
    final = verdict(status_id, group_id, UNKNOWN_ID, True, error_name="EC_NEW_FAULT")
    assert (final.outcome, final.code, final.is_known) == (PERMANENT, "EC_NEW_FAULT", False)
    for permanent in (False, None):
        given = of(status_id, group_id, UNKNOWN_ID, permanent)
        assert (given.outcome, given.code, given.is_known) == (TRANSIENT, default.code, False)


@pytest.mark.parametrize("error_id", sorted(EXPIRED_ERRORS))
def test_expiry_told_by_the_error_is_expiry(error_id: int) -> None:
    assert of(9, 2, error_id, True).outcome is EXPIRED
    assert of(15, 4, error_id, True).outcome is EXPIRED


@pytest.mark.parametrize("error_id", [4103, 4104])
def test_flood_filter_is_transient_though_flagged_permanent(error_id: int) -> None:
    assert of(9, 2, error_id, True).outcome is TRANSIENT


@pytest.mark.parametrize("error_id", sorted(DLT_CODES))
def test_dlt_fault_is_transient_only_where_time_alone_can_cure_it(error_id: int) -> None:
    expected = TRANSIENT if error_id in DLT_TRANSIENT else PERMANENT
    assert of(9, 2, error_id).outcome is expected
    assert of(100, 5, error_id).outcome is expected


def test_closed_hours_name_the_hour_they_end() -> None:
    assert "10:00" in of(9, 2, 4138).sentence


@pytest.mark.parametrize(
    ("group_id", "outcome"),
    [(0, PENDING), (1, PENDING), (2, TRANSIENT), (3, DELIVERED), (4, EXPIRED), (5, PERMANENT), (6, PENDING)],
)
def test_unknown_status_follows_its_group(group_id: int, outcome: Outcome) -> None:
    given = of(UNKNOWN_ID, group_id)
    assert (given.outcome, given.code, given.is_known) == (outcome, "STATUS_987654", False)


@pytest.mark.parametrize(
    ("group_name", "outcome"),
    [
        ("ACCEPTED", PENDING),
        ("PENDING", PENDING),
        ("UNDELIVERABLE", TRANSIENT),
        ("DELIVERED", DELIVERED),
        ("EXPIRED", EXPIRED),
        ("REJECTED", PERMANENT),
        (" rejected ", PERMANENT),
        ("SOMETHING", PENDING),
        (None, PENDING),
    ],
)
def test_group_name_stands_in_for_a_missing_group_id(group_name: str | None, outcome: Outcome) -> None:
    assert verdict(UNKNOWN_ID, None, None, None, group_name=group_name).outcome is outcome


def test_group_id_wins_over_the_group_name() -> None:
    assert verdict(UNKNOWN_ID, 3, None, None, group_name="REJECTED").outcome is DELIVERED


@pytest.mark.parametrize(
    ("group_id", "error_id", "permanent", "outcome"),
    [
        (2, 27, None, TRANSIENT),
        (2, 1, None, PERMANENT),
        (2, UNKNOWN_ID, True, PERMANENT),
        (2, UNKNOWN_ID, False, TRANSIENT),
        (2, UNKNOWN_ID, None, TRANSIENT),
        (5, 27, True, TRANSIENT),
        (5, 4101, True, EXPIRED),
        (5, UNKNOWN_ID, True, PERMANENT),
        (5, UNKNOWN_ID, False, TRANSIENT),
        (5, UNKNOWN_ID, None, PERMANENT),
        (5, None, True, PERMANENT),
        (5, None, False, TRANSIENT),
        (5, 0, False, PERMANENT),  # the flag of "no error" tells of no failure
        (1, 1, True, PENDING),
        (3, 1, True, DELIVERED),
        (4, 1, True, EXPIRED),
        (6, 1, True, PENDING),
    ],
)
def test_unknown_status_asks_the_error_only_in_groups_of_failures(
    group_id: int, error_id: int | None, permanent: bool | None, outcome: Outcome
) -> None:
    given = of(UNKNOWN_ID, group_id, error_id, permanent)
    assert given.outcome is outcome
    assert not given.is_known


@pytest.mark.parametrize("group_id", [None, 0, 1, 2, 5, 77])
def test_known_status_under_another_group_keeps_its_meaning(group_id: int | None) -> None:
    given = verdict(5, group_id, 0, False)
    assert (given.outcome, given.is_known) == (DELIVERED, True)
    assert verdict(2, group_id, None, None).outcome is PENDING
    assert verdict(87, group_id, None, None).outcome is PERMANENT


def test_unknown_error_is_reported_even_where_the_status_decides() -> None:
    given = of(5, 3, UNKNOWN_ID)
    assert (given.outcome, given.code, given.is_known) == (DELIVERED, "DELIVERED_TO_HANDSET", False)


def test_name_counts_where_the_id_is_missing() -> None:
    assert verdict(None, None, None, None, status_name="DELIVERED_TO_HANDSET").outcome is DELIVERED
    given = verdict(9, 2, None, None, error_name="EC_UNKNOWN_SUBSCRIBER")
    assert (given.outcome, given.code, given.is_known) == (PERMANENT, "EC_UNKNOWN_SUBSCRIBER", True)


def test_nothing_at_all_keeps_waiting() -> None:
    given = verdict(None, None, None, None)
    assert (given.outcome, given.code, given.is_known) == (PENDING, "STATUS_UNKNOWN", False)


@pytest.mark.parametrize(
    ("status_id", "status_name", "code"),
    [
        (55, "REJECTED_SOMETHING_NEW", "REJECTED_SOMETHING_NEW"),
        (55, None, "STATUS_55"),
        (55, "a sentence, not a name", "STATUS_55"),
        (55, "X" * 65, "STATUS_55"),
        (55, "DELIVERED_TO_HANDSET", "STATUS_55"),  # a name that means something else here would mislead
        (-1, None, "STATUS_UNKNOWN"),
        (1_000_000, None, "STATUS_UNKNOWN"),
    ],
)
def test_code_of_an_unknown_status_is_short_and_stable(status_id: int, status_name: str | None, code: str) -> None:
    assert verdict(status_id, 5, None, None, status_name=status_name).code == code


some_id = st.none() | st.sampled_from([row.id for row in EVERY_ROW]) | st.integers()
some_name = st.none() | st.sampled_from([row.name for row in EVERY_ROW]) | st.text()
some_group = st.none() | st.integers(-1, 7) | st.integers()
some_group_name = st.none() | st.sampled_from(["ACCEPTED", "DELIVERED", "REJECTED"]) | st.text()


@given(some_id, some_group, some_id, st.none() | st.booleans(), some_name, some_name, some_group_name)
@example(10**5000, -(10**5000), 10**5000, True, None, None, None)
def test_anything_on_the_wire_has_a_verdict(
    status_id: int | None,
    group_id: int | None,
    error_id: int | None,
    permanent: bool | None,
    status_name: str | None,
    error_name: str | None,
    group_name: str | None,
) -> None:
    given = verdict(status_id, group_id, error_id, permanent, status_name, error_name, group_name)
    assert isinstance(given.outcome, Outcome)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", given.code)
    assert given.sentence.endswith(".")
    assert len(given.sentence) <= 200
    assert explain(given.code) in (given.sentence, None)
    assert given.block is None or given.outcome in FAILURES
    assert not given.refuses_mms or given.outcome is PERMANENT


no_row = st.integers(100_000) | st.integers(max_value=-1)


@given(no_row, some_group, no_row, st.none() | st.booleans(), st.text(), st.text(), some_group_name)
def test_codes_without_a_row_never_block(
    status_id: int,
    group_id: int | None,
    error_id: int,
    permanent: bool | None,
    status_name: str,
    error_name: str,
    group_name: str | None,
) -> None:
    assert verdict(status_id, group_id, error_id, permanent, status_name, error_name, group_name).block is None
