"""Replies: which text answers, what is an echo of ours, and how often is too often."""

import re
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.keywords import ALWAYS_OPT_OUT, DEFAULTS, FIELDS, Keywords, faults, read
from worker.replies import (
    COMPARED,
    MOST_A_DAY,
    TOO_MANY,
    TOO_SOON,
    Texts,
    form,
    is_echo,
    own_forms,
    text_for,
    too_often,
)
from worker.words import Action

UNSET = Texts(opt_in=None, opt_out=None, help=None, double_opt_in=None, near_miss=None, default=None)
SET = Texts(opt_in="in", opt_out="out", help="help", double_opt_in="confirm", near_miss="write STOP", default="hello")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("action", "configured", "by_default"),
    [
        (Action.OPT_IN, "in", "You are subscribed. Reply STOP to unsubscribe, HELP for help."),
        (Action.OPT_OUT, "out", "You are unsubscribed and get no more messages. Reply START to subscribe again."),
        (Action.HELP, "help", "Reply START to subscribe, STOP to unsubscribe."),
        (Action.DOUBLE_OPT_IN, "confirm", "Reply YES to confirm your subscription, STOP to end it."),
        (Action.NEAR_MISS, "write STOP", None),
        (Action.NONE, "hello", None),
        (Action.CUSTOM, None, None),
        (Action.OTHER_NUMBER, None, None),
    ],
)
def test_each_action_has_its_text_and_some_a_default(
    action: Action, configured: str | None, by_default: str | None
) -> None:
    assert text_for(action, SET, Keywords(), None) == configured
    assert text_for(action, UNSET, Keywords(), None) == by_default


ASKS_FOR = {
    "to unsubscribe": Action.OPT_OUT,
    "to end": Action.OPT_OUT,
    "for help": Action.HELP,
    "to subscribe": Action.OPT_IN,
    "to confirm": Action.OPT_IN,
}


@st.composite
def allowed_lists(draw: st.DrawFn) -> Keywords:
    """Lists that the API takes: some empty, the others with words that no other holds, a default's included."""
    filled = draw(st.sets(st.sampled_from(list(FIELDS))))
    taken = {word for action, words in DEFAULTS.items() if action not in filled for word in words}
    lists = {action.value: [f"MY{action.name}"] if action in filled else [] for action in FIELDS}
    for word in draw(st.permutations([*chain(*DEFAULTS.values()), "JOIN", "हाँ"])):
        holders = filled & {Action.OPT_OUT} if word in ALWAYS_OPT_OUT else filled
        if word not in taken and holders:
            lists[draw(st.sampled_from(sorted(holders)))].insert(draw(st.integers(0, 1)), word)
    return Keywords(**lists)


@given(allowed_lists())
def test_a_default_names_words_that_are_met(keywords: Keywords) -> None:
    assert not faults(keywords)
    named = [
        found
        for action in Action
        for found in re.findall(
            rf"(?:Reply|,) (\S+) ({'|'.join(ASKS_FOR)})", text_for(action, UNSET, keywords, None) or ""
        )
    ]
    assert len(named) == 7
    assert [read(word, keywords).action for word, _ in named] == [ASKS_FOR[phrase] for _, phrase in named]


@pytest.mark.parametrize(
    ("configured", "answered"),
    [
        ("Did you mean {{keyword}}? Write {{keyword}}.", "Did you mean REVOKE? Write REVOKE."),
        ("To leave, write the word:", "To leave, write the word: REVOKE"),
        ("Write Revoke, and nothing else", "Write Revoke, and nothing else"),
        ("It is irrevokeable until you write", "It is irrevokeable until you write REVOKE"),
    ],
)
def test_the_answer_to_a_near_miss_names_the_word_that_was_meant(configured: str, answered: str) -> None:
    texts = Texts(opt_in=None, opt_out=None, help=None, double_opt_in=None, near_miss=configured, default=None)
    assert text_for(Action.NEAR_MISS, texts, Keywords(), "REVOKE") == answered


LONG = " ".join(str(number) for number in range(2 * COMPARED))


@pytest.mark.parametrize(
    ("written", "ours", "expected"),
    [
        ("Thanks!", "thanks", True),
        ("Auto-reply: thanks", "Thanks!", False),
        ("> Your parcel is on its way\nI am away", "Your parcel is on its way.", True),
        ("your PARCEL is on its", "Dear Asha, your parcel is on its way", True),
        ("is on its way", "Your parcel is on its way", False),
        ("Where is my parcel?", "Your parcel is on its way", False),
        ("ｙｏｕｒ ｐａｒｃｅｌ ｉｓ ｏｎ ｉｔｓ ｗａｙ", "Your parcel is on its way", True),
        ("", "", False),
        ("!!", "!!", False),
        (LONG, LONG, True),
        (f"Automatic answer to: {LONG}", LONG, True),
        (LONG[:200], LONG, True),
    ],
)
def test_an_echo_is_a_text_of_ours_or_holds_one_or_is_a_piece_of_one(written: str, ours: str, expected: bool) -> None:
    assert is_echo(form(written), [form("Something else altogether"), form(ours)]) is expected


WRITTEN = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Po", "Zs"]), max_size=COMPARED // 3)


@given(WRITTEN, WRITTEN, WRITTEN)
def test_whatever_we_wrote_comes_back_as_an_echo(ours: str, before: str, after: str) -> None:
    ours = f"Your parcel is on its way. {ours}"
    assert is_echo(form(f"{before} {ours} {after}"), [form(ours)])


def test_all_that_a_credential_may_answer_is_known_to_come_back() -> None:
    forms = own_forms(SET, Keywords())
    assert set(forms) == {"in", "out", "help", "confirm", "write stop", "hello"}


SECONDS = st.one_of(st.floats(0, 130), st.floats(0, 5 * 3600))


@given(st.lists(SECONDS, max_size=80))
def test_at_most_one_answer_in_any_minute_and_ten_in_any_day(pauses: list[float]) -> None:
    answered: list[datetime] = []
    at = NOW
    for pause in pauses:
        at += timedelta(seconds=pause)
        if too_often(answered, at) is None:
            answered.append(at)
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in pairwise(answered))
    assert all(
        eleventh - first >= timedelta(days=1) for first, eleventh in zip(answered, answered[MOST_A_DAY:], strict=False)
    )


@pytest.mark.parametrize(
    ("earlier", "why_not"),
    [
        ([], None),
        ([59.9], TOO_SOON),
        ([60], None),
        ([-5], TOO_SOON),  # a clock was set back
        ([3600.0 * hour for hour in range(1, 10)], None),
        ([3600.0 * hour for hour in range(1, 11)], TOO_MANY),
        ([3600.0 * hour for hour in range(1, 10)] + [24 * 3600], None),
        ([1, *(3600.0 * hour for hour in range(1, 11))], TOO_SOON),
    ],
)
def test_how_often_is_too_often(earlier: list[float], why_not: str | None) -> None:
    assert too_often([NOW - timedelta(seconds=ago) for ago in earlier], NOW) == why_not
