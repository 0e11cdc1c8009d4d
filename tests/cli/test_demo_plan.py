"""What a demo sends, and its judgement of what became of it."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.demo_plan import (
    CONTENT_TEMPLATE_ID,
    FATES,
    LEAST_MESSAGES,
    PRINCIPAL_ENTITY_ID,
    REPLY_TEMPLATE_ID,
    Acceptance,
    FoundMessage,
    FoundReply,
    FoundReport,
    judge,
    make_plan,
)
from sandbox.outcomes import outcome_of, refusal_of
from tests.cli.demo_findings import (
    NOW,
    PLAN,
    acceptance,
    acceptances_of,
    found_as_expected,
    judge_with,
    replies_of,
    reply_acceptance,
)

SIZES = [LEAST_MESSAGES, 300, 5_000, 10_000]
PLAIN = next(wanted.to.removeprefix("+") for wanted in PLAN.messages if wanted.fate.name == "others")
GONE, BACK = (
    next(wanted.to.removeprefix("+") for wanted in PLAN.messages if wanted.writes == writes)
    for writes in (("STOP",), ("STOP", "START"))
)


@pytest.mark.parametrize("total", SIZES)
def test_every_outcome_is_in_the_plan_and_the_counts_add_up(total: int) -> None:
    plan = make_plan(total, "test")
    assert plan.total == sum(plan.counts.values()) == total
    assert min(plan.counts.values()) >= 1
    assert Counter(message.to[-4:] for message in plan.messages)["9009"] == 5
    assert max(plan.counts, key=lambda fate: plan.counts[fate]).name == "others"


@pytest.mark.parametrize("total", SIZES)
def test_who_wrote_stop_last_is_suppressed_and_who_joined_again_is_delivered(total: int) -> None:
    plan = make_plan(total, "test")
    assert all((message.writes == ("STOP",)) == message.fate.has_opted_out for message in plan.messages)
    assert [(one.writes, one.fate.name) for one in plan.writers if one.writes != ("STOP",)] == [
        (("STOP", "START"), "others")
    ]


@pytest.mark.parametrize("total", SIZES)
def test_recipients_are_indian_numbers_each_asked_once(total: int) -> None:
    recipients = [message.to for message in make_plan(total, "test").messages]
    assert len(set(recipients)) == total
    assert all(re.fullmatch(r"\+91[6-9]\d{9}", to) for to in recipients)


def test_only_chosen_numbers_end_as_the_sandbox_s_table_says() -> None:
    suffixes = {fate.suffix for fate in FATES if fate.suffix}
    for message in PLAN.messages:
        assert (message.to[-4:] in suffixes) == bool(message.fate.suffix)
        if not message.fate.suffix:
            assert refusal_of(message.to) is None
            assert outcome_of(message.to, 1) == outcome_of("+919876543210", 1)


def test_every_message_has_callback_data_of_its_own_and_dlt_ids_have_19_digits() -> None:
    assert len({message.callback_data for message in PLAN.messages}) == PLAN.total
    assert json.loads(PLAN.messages[7].callback_data) == {"run": "test", "message": 7}
    assert re.fullmatch(r"\d{19}", PRINCIPAL_ENTITY_ID)
    assert re.fullmatch(r"\d{19}", CONTENT_TEMPLATE_ID)


def test_fates_are_mixed_and_the_plan_is_the_same_each_time() -> None:
    assert make_plan(300, "test") == PLAN
    assert len({message.fate.suffix for message in PLAN.messages[:100]}) > 5


@pytest.mark.parametrize("total", [LEAST_MESSAGES - 1, 10_001])
def test_plan_that_fits_no_batch_is_refused(total: int) -> None:
    with pytest.raises(ValueError, match="a demo has"):
        make_plan(total, "test")


def test_agreement_is_told_in_the_last_line_and_ends_with_0() -> None:
    verdict = judge(PLAN, found_as_expected(PLAN), replies_of(PLAN), acceptances_of(PLAN), 0)
    assert verdict.is_good
    assert verdict.exit_code == 0
    assert verdict.last_line == "demo: 300 of 300 as expected"


def doubled_delivery(message: FoundMessage) -> FoundMessage:
    return replace(message, reports=[*message.reports, FoundReport(1, "DELIVERED", "pull", message.callback_data)])


def without_callback_data(message: FoundMessage) -> FoundMessage:
    return replace(message, reports=[replace(report, callback_data="other") for report in message.reports])


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("9010", lambda m: replace(m, state="sent"), "is sent, expected unconfirmed"),
        ("others", lambda m: replace(m, state="failed"), "is failed, expected delivered"),
        ("others", lambda m: replace(m, callback_data=None), "lost its callback data"),
        ("9001", lambda m: replace(m, attempts=1), "had 1 attempts, expected 2"),
        ("9002", lambda m: replace(m, attempts=1), "had 1 attempts, expected 2 or more"),
        ("others", lambda m: replace(m, attempts=2), "had 2 attempts, expected 1"),
        ("STOP", lambda m: replace(m, state="delivered"), "is delivered, expected suppressed"),
        ("STOP", lambda m: replace(m, attempts=1), "had 1 attempts, expected 0"),
        (
            "STOP",
            lambda m: replace(m, reason="Not sent: blocked"),
            "is suppressed for another reason than the opt-out: Not sent: blocked",
        ),
        ("9003", lambda m: replace(m, reports=()), "lacks a report that says UNDELIVERABLE"),
        ("9006", doubled_delivery, "has 2 reports that say DELIVERED: one is recorded twice"),
        ("9007", without_callback_data, "has a report without its callback data"),
        (
            "9004",
            lambda m: replace(m, reports=[replace(m.reports[0], source="push")]),
            "has no report from Infobip's logs",
        ),
        ("9008", lambda m: replace(m, to="919999999999"), "has no message"),
    ],
)
def test_one_message_that_differs_is_named_and_ends_with_1(
    name: str, change: Callable[[FoundMessage], FoundMessage], fault: str
) -> None:
    verdict = judge_with(change, name)
    assert verdict.exit_code == 1
    assert verdict.last_line.startswith("demo: 299 of 300 as expected")
    (differing,) = [row for row in verdict.rows if not row.is_as_expected]
    assert differing.fate.name == name
    assert [words for _, words in differing.faults] == [fault]


def test_message_found_twice_is_a_fault() -> None:
    found = found_as_expected(PLAN)
    verdict = judge(PLAN, [*found, found[0]], replies_of(PLAN), acceptances_of(PLAN), 0)
    assert verdict.last_line == "demo: 299 of 300 as expected"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (acceptance(PLAIN), "1 recipients were sent more copies than they have attempts"),
        (replace(acceptance(PLAIN), content_template_id=None), "1 sends left without their DLT IDs"),
        (replace(acceptance(PLAIN), validity_seconds=48 * 3600), "1 sends outlived their message's validity"),
        (replace(acceptance(PLAIN), accepted_at=NOW + timedelta(minutes=1)), "1 sends outlived"),
        (acceptance(GONE), "1 who had opted out were sent the batch all the same"),
        (reply_acceptance(GONE), "1 handsets did not get one reply"),
        (reply_acceptance(PLAIN), "1 handsets did not get one reply"),
    ],
)
def test_broken_promise_at_infobip_ends_with_1(extra: Acceptance, words: str) -> None:
    verdict = judge(PLAN, found_as_expected(PLAN), replies_of(PLAN), [*acceptances_of(PLAN), extra], 0)
    assert verdict.exit_code == 1
    assert verdict.last_line.startswith("demo: 300 of 300 as expected, but ")
    assert any(check.words.startswith(words) for check in verdict.checks if not check.is_met)


def without(to: str, word: str) -> list[FoundReply]:
    return [reply for reply in replies_of(PLAN) if (reply.to, reply.word) != (to, word)]


@pytest.mark.parametrize(
    "replies",
    [
        without(GONE, "STOP"),
        without(BACK, "START"),
        [*replies_of(PLAN), FoundReply(GONE, "STOP", "delivered", "reply")],
        [*without(GONE, "STOP"), FoundReply(GONE, "STOP", "sent", "reply")],
        [*without(GONE, "STOP"), FoundReply(GONE, "STOP", "delivered", "api")],
    ],
    ids=["no answer to STOP", "no answer to START", "two answers", "one on its way", "one that is no reply"],
)
def test_word_without_exactly_one_delivered_reply_ends_with_1(replies: list[FoundReply]) -> None:
    verdict = judge(PLAN, found_as_expected(PLAN), replies, acceptances_of(PLAN), 0)
    assert verdict.exit_code == 1
    (failed,) = [check for check in verdict.checks if not check.is_met]
    assert failed.words == "1 handsets did not get one reply to each STOP and START"


@pytest.mark.parametrize(
    "change",
    [lambda taken: [], lambda taken: [replace(taken, content_template_id=None)]],
    ids=["never taken", "without its DLT IDs"],
)
def test_reply_that_infobip_did_not_take_as_it_should_ends_with_1(
    change: Callable[[Acceptance], list[Acceptance]],
) -> None:
    (taken,) = [one for one in acceptances_of(PLAN) if (one.to, one.content_template_id) == (GONE, REPLY_TEMPLATE_ID)]
    others = [one for one in acceptances_of(PLAN) if one != taken]
    verdict = judge(PLAN, found_as_expected(PLAN), replies_of(PLAN), [*others, *change(taken)], 0)
    assert verdict.last_line == "demo: 300 of 300 as expected, but 1 of 6 checks failed"
