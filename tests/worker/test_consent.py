"""Consent, pure: what each word makes of how a person stands, and what no order of words can do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.consent import NOTHING_SAID, OLDER, SKEW, Standing, Step, asked, opt_out_holds, said, stands, step
from worker.words import Action, ConsentSource, ConsentState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, WEEK = timedelta(seconds=1), timedelta(days=7)

IN, OUT, PENDING, NONE = ConsentState.OPTED_IN, ConsentState.OPTED_OUT, ConsentState.PENDING, ConsentState.NONE
ANSWERED_ALONE = (Action.HELP, Action.NEAR_MISS, Action.NONE)
OPT_INS = (Action.OPT_IN, Action.DOUBLE_OPT_IN)


def pending(came_from: ConsentState | None, *, left: timedelta = WEEK) -> Standing:
    return Standing(state=PENDING, pending_from=came_from, pending_until=NOW + left)


SAID = {state: Standing(state=state, source=ConsentSource.KEYWORD) for state in (IN, OUT, NONE)}


def follows(action: Action, standing: Standing, *, written_at: datetime = NOW, double: bool = False) -> Step:
    return step(action, standing, written_at, NOW, has_double_opt_in=double)


def saying(
    standing: Standing,
    state: ConsentState,
    now: datetime = NOW,
    said_at: datetime | None = None,
    source: ConsentSource = ConsentSource.KEYWORD,
) -> Standing:
    return said(standing, state, source, now, pending_for=WEEK, said_at=said_at)


# What counts


@pytest.mark.parametrize(
    ("standing", "counts"),
    [
        (NOTHING_SAID, NONE),
        (SAID[IN], IN),
        (SAID[OUT], OUT),
        (pending(NONE), PENDING),
        (pending(OUT), PENDING),
        (pending(OUT, left=SECOND), PENDING),
        (pending(OUT, left=timedelta(0)), OUT),
        (pending(IN, left=-SECOND), IN),
        (pending(NONE, left=-SECOND), NONE),
        (pending(None, left=-SECOND), NONE),
    ],
)
def test_pending_that_was_not_confirmed_in_time_counts_as_what_it_came_from(
    standing: Standing, counts: ConsentState
) -> None:
    assert standing.at(NOW) is counts


# What follows from a word

_EVERYWHERE = [NOTHING_SAID, *SAID.values(), *(pending(state) for state in (NONE, OUT, IN)), pending(OUT, left=-SECOND)]


@pytest.mark.parametrize("standing", _EVERYWHERE)
@pytest.mark.parametrize("double", [True, False])
def test_opt_out_counts_from_any_state(standing: Standing, double: bool) -> None:
    assert follows(Action.OPT_OUT, standing, double=double) == (OUT, Action.OPT_OUT, None)


@pytest.mark.parametrize(
    ("standing", "double", "state", "reply"),
    [
        (NOTHING_SAID, False, IN, Action.OPT_IN),
        (SAID[OUT], False, IN, Action.OPT_IN),
        (SAID[IN], False, IN, Action.OPT_IN),
        (pending(OUT), False, IN, Action.OPT_IN),  # the double opt-in keywords were taken away meanwhile
        (pending(OUT, left=-SECOND), False, IN, Action.OPT_IN),
        (NOTHING_SAID, True, PENDING, Action.DOUBLE_OPT_IN),
        (SAID[NONE], True, PENDING, Action.DOUBLE_OPT_IN),
        (SAID[OUT], True, PENDING, Action.DOUBLE_OPT_IN),
        (SAID[IN], True, IN, Action.OPT_IN),
        (pending(NONE), True, IN, Action.OPT_IN),
        (pending(OUT), True, IN, Action.OPT_IN),
        (pending(NONE, left=-SECOND), True, PENDING, Action.DOUBLE_OPT_IN),  # too late: it starts anew
        (pending(OUT, left=-SECOND), True, PENDING, Action.DOUBLE_OPT_IN),
        (pending(IN, left=-SECOND), True, IN, Action.OPT_IN),
    ],
)
def test_opt_in_keyword_confirms_or_starts_what_is_to_be_confirmed(
    standing: Standing, double: bool, state: ConsentState, reply: Action
) -> None:
    assert follows(Action.OPT_IN, standing, double=double) == (state, reply, None)


@pytest.mark.parametrize("standing", _EVERYWHERE)
def test_double_opt_in_keyword_starts_it_from_any_state(standing: Standing) -> None:
    assert follows(Action.DOUBLE_OPT_IN, standing, double=True) == (PENDING, Action.DOUBLE_OPT_IN, None)


@pytest.mark.parametrize("standing", _EVERYWHERE)
@pytest.mark.parametrize("action", sorted(set(Action) - {Action.OPT_OUT, *OPT_INS}))
def test_no_other_word_changes_consent(action: Action, standing: Standing) -> None:
    assert follows(action, standing, double=True) == (None, action if action in ANSWERED_ALONE else None, None)


@pytest.mark.parametrize("action", OPT_INS)
@pytest.mark.parametrize("standing", [SAID[OUT], SAID[IN], SAID[NONE], pending(OUT), pending(NONE)])
@pytest.mark.parametrize(
    ("source", "before", "counts"),
    [
        (ConsentSource.KEYWORD, SECOND, False),
        (ConsentSource.KEYWORD, timedelta(0), True),
        (ConsentSource.KEYWORD, -SECOND, True),
        (ConsentSource.PROVIDER, SECOND, False),
        (ConsentSource.API, SECOND, True),  # two clocks may differ by as much
        (ConsentSource.API, SKEW, True),
        (ConsentSource.API, SKEW + SECOND, False),
        (ConsentSource.CONSOLE, SKEW + SECOND, False),
    ],
)
def test_opt_in_counts_unless_it_was_written_before_what_was_said_last(
    action: Action, standing: Standing, source: ConsentSource, before: timedelta, counts: bool
) -> None:
    said_at = NOW - timedelta(minutes=5)
    found = follows(action, replace(standing, source=source, said_at=said_at), written_at=said_at - before)
    if counts:
        assert found.state is not None
    else:
        assert found == (None, None, OLDER)


def test_confirmation_that_was_written_before_it_was_asked_for_confirms_nothing() -> None:
    asked_for = saying(NOTHING_SAID, PENDING, said_at=NOW)
    assert follows(Action.OPT_IN, asked_for, written_at=NOW - SECOND, double=True) == (None, None, OLDER)
    assert follows(Action.OPT_IN, asked_for, written_at=NOW, double=True).state is IN


@pytest.mark.parametrize(("before", "counts"), [(SKEW, True), (SKEW + SECOND, False)])
def test_opt_in_is_held_to_an_opt_out_that_was_passed_on_whatever_else_was_said(
    before: timedelta, counts: bool
) -> None:
    standing = replace(SAID[OUT], said_at=NOW - WEEK, opted_out_at=NOW)
    found = follows(Action.OPT_IN, standing, written_at=NOW - before)
    assert (found.state is IN) is counts


def test_opt_out_counts_however_late_it_comes() -> None:
    standing = replace(SAID[IN], said_at=NOW - SECOND)
    assert follows(Action.OPT_OUT, standing, written_at=NOW - WEEK).state is OUT


# How it stands then


@pytest.mark.parametrize("standing", _EVERYWHERE)
@pytest.mark.parametrize("state", ConsentState)
def test_what_is_said_stands_with_its_source_and_its_time(standing: Standing, state: ConsentState) -> None:
    now = saying(standing, state)
    assert (now.at(NOW), now.source, now.changed_at) == (state, ConsentSource.KEYWORD, NOW)
    assert (now.pending_until, now.pending_from is None) == ((NOW + WEEK, False) if state is PENDING else (None, True))


@pytest.mark.parametrize(
    ("standing", "came_from"),
    [
        (NOTHING_SAID, NONE),
        (SAID[OUT], OUT),
        (SAID[IN], IN),
        (pending(OUT), OUT),  # asked for twice
        (pending(IN), IN),
        (pending(OUT, left=-SECOND), OUT),
        (pending(NONE, left=-SECOND), NONE),
    ],
)
def test_pending_comes_from_what_stood_before_it_began(standing: Standing, came_from: ConsentState) -> None:
    once = saying(standing, PENDING)
    twice = saying(once, PENDING, NOW + SECOND)
    assert [once.pending_from, twice.pending_from] == [came_from] * 2
    assert twice.pending_until == NOW + SECOND + WEEK


@pytest.mark.parametrize(("state", "stays"), [(IN, False), (NONE, False), (OUT, True), (PENDING, False)])
def test_block_ends_with_whatever_is_no_opt_out(state: ConsentState, stays: bool) -> None:
    assert saying(replace(SAID[OUT], is_blocked=True), state).is_blocked is stays
    assert not saying(SAID[OUT], state).is_blocked


@pytest.mark.parametrize(
    ("known", "told", "newest"),
    [(None, None, NOW), (None, NOW, NOW), (NOW, NOW - SECOND, NOW), (NOW - SECOND, NOW, NOW)],
)
def test_newest_word_is_remembered(known: datetime | None, told: datetime | None, newest: datetime) -> None:
    out = saying(replace(SAID[OUT], said_at=known, opted_out_at=known), OUT, said_at=told)
    assert (out.said_at, out.opted_out_at) == (newest, newest)


def test_two_clocks_are_not_compared() -> None:
    ahead = saying(NOTHING_SAID, IN, NOW + SECOND, source=ConsentSource.API)
    assert saying(ahead, OUT, said_at=NOW).said_at == NOW


@pytest.mark.parametrize(
    ("then", "stays"), [([PENDING], True), ([PENDING, PENDING], True), ([IN], False), ([NONE], False), ([], True)]
)
@pytest.mark.parametrize("source", [ConsentSource.KEYWORD, ConsentSource.API])
def test_own_opt_out_is_known_as_long_as_it_may_count_again(
    then: list[ConsentState], stays: bool, source: ConsentSource
) -> None:
    standing = saying(NOTHING_SAID, OUT, said_at=NOW)
    for state in then:
        standing = saying(standing, state, NOW + SECOND, source=source)
    assert (standing.opted_out_at == NOW) is stays


def test_caller_s_opt_out_is_nobody_s_own() -> None:
    assert saying(SAID[IN], OUT, source=ConsentSource.API).opted_out_at is None


# What a caller passes on

OWN_OUT = replace(SAID[OUT], opted_out_at=NOW, said_at=NOW, changed_at=NOW)
ASKED_BACK = replace(pending(OUT), source=ConsentSource.KEYWORD, opted_out_at=NOW)
EARLIER, LATER = NOW - WEEK, NOW + SECOND


@pytest.mark.parametrize(
    ("standing", "state", "passed_on", "came_from", "out_at"),
    [
        (NOTHING_SAID, IN, {}, None, None),
        (NOTHING_SAID, OUT, {}, None, None),
        (NOTHING_SAID, OUT, {"opted_out_at": EARLIER}, None, EARLIER),
        (NOTHING_SAID, PENDING, {}, NONE, None),
        (NOTHING_SAID, PENDING, {"pending_from": IN}, IN, None),
        (NOTHING_SAID, PENDING, {"pending_from": OUT}, OUT, None),
        (NOTHING_SAID, PENDING, {"pending_from": OUT, "opted_out_at": EARLIER}, OUT, EARLIER),
        (NOTHING_SAID, PENDING, {"opted_out_at": EARLIER}, NONE, None),  # it did not come from it
        (SAID[OUT], OUT, {"opted_out_at": EARLIER}, None, EARLIER),  # the caller's was also the person's
        (SAID[OUT], PENDING, {"pending_from": IN}, OUT, None),  # what stands is not made less of
        (SAID[NONE], PENDING, {"pending_from": IN}, NONE, None),
        (SAID[IN], PENDING, {"pending_from": OUT}, OUT, None),
        (OWN_OUT, OUT, {"opted_out_at": EARLIER}, None, NOW),
        (OWN_OUT, OUT, {"opted_out_at": LATER}, None, LATER),
        (OWN_OUT, PENDING, {}, OUT, NOW),
        (OWN_OUT, IN, {}, None, None),
        (OWN_OUT, NONE, {}, None, None),
        (ASKED_BACK, OUT, {}, None, NOW),
        (ASKED_BACK, PENDING, {"opted_out_at": LATER}, OUT, LATER),
    ],
)
def test_caller_passes_on_whose_opt_out_it_is_and_what_a_pending_came_from(
    standing: Standing,
    state: ConsentState,
    passed_on: dict,
    came_from: ConsentState | None,
    out_at: datetime | None,
) -> None:
    found = asked(standing, state, LATER, pending_for=WEEK, said_at=EARLIER, **passed_on)
    assert (found.at(LATER), found.pending_from, found.opted_out_at) == (state, came_from, out_at)
    assert stands(found, state, LATER, **passed_on) or (state, came_from) == (PENDING, NONE)
    if standing is OWN_OUT and state is OUT:  # it stays the person's
        assert replace(found, opted_out_at=NOW) == standing
    else:
        assert (found.source, found.said_at, found.changed_at) == (ConsentSource.API, EARLIER, LATER)


@pytest.mark.parametrize(
    ("standing", "state", "passed_on", "is_so"),
    [
        (NOTHING_SAID, NONE, {}, True),
        (NOTHING_SAID, IN, {}, False),
        (SAID[IN], IN, {}, True),
        (SAID[IN], OUT, {}, False),
        (SAID[OUT], OUT, {}, True),
        (SAID[OUT], OUT, {"opted_out_at": EARLIER}, False),
        (OWN_OUT, OUT, {"opted_out_at": EARLIER}, True),
        (OWN_OUT, OUT, {"opted_out_at": NOW}, True),
        (OWN_OUT, OUT, {"opted_out_at": LATER}, False),
        (pending(IN), PENDING, {}, True),
        (pending(IN), PENDING, {"pending_from": NONE}, True),
        (pending(IN), PENDING, {"pending_from": OUT}, False),
        (pending(OUT), PENDING, {"pending_from": OUT}, True),
        (pending(OUT), PENDING, {"pending_from": OUT, "opted_out_at": NOW}, False),
        (pending(IN, left=-SECOND), IN, {}, True),
        (pending(IN, left=-SECOND), PENDING, {}, False),
        (pending(OUT, left=-SECOND), OUT, {}, True),
    ],
)
def test_what_says_what_stands_is_told_from_what_changes_it(
    standing: Standing, state: ConsentState, passed_on: dict, is_so: bool
) -> None:
    assert stands(standing, state, NOW, **passed_on) is is_so


@pytest.mark.parametrize("state", ConsentState)
@pytest.mark.parametrize(
    ("standing", "at", "holds"),
    [
        (NOTHING_SAID, None, False),
        (SAID[IN], None, False),
        (SAID[OUT], None, False),  # a caller's
        (pending(OUT), None, False),
        *((own, at, holds) for own in (OWN_OUT, ASKED_BACK) for at, holds in ((None, 1), (EARLIER, 1), (NOW, 1))),
        (OWN_OUT, LATER, False),
        (ASKED_BACK, LATER, False),
    ],
)
def test_own_opt_out_holds_against_all_but_consent_that_was_given_later_and_another_opt_out(
    standing: Standing, at: datetime | None, holds: bool, state: ConsentState
) -> None:
    assert opt_out_holds(standing, state, at) is (bool(holds) and state is not OUT)


# In any order

_WORDS = st.lists(
    st.tuples(st.sampled_from(Action), st.integers(-900_000, 900_000), st.integers(0, 900_000)), max_size=12
)


def live(standing: Standing, now: datetime, words: list[tuple[Action, int, int]], *, double: bool) -> list[Standing]:
    """How a person stands after each word: (what it asks for, seconds it was written later than now, until it came).
    What Infobip says of a time to come is held to now."""
    stood = []
    for action, written, passes in words:
        now += timedelta(seconds=passes)
        written_at = min(now, now + timedelta(seconds=written))
        found = step(action, standing, written_at, now, has_double_opt_in=double)
        if found.state is not None:
            standing = saying(standing, found.state, now, written_at)
        stood.append(standing)
    return stood


@given(before=_WORDS, after=_WORDS, double=st.booleans())
def test_nobody_who_stopped_is_opted_in_without_an_opt_in_keyword(
    before: list[tuple[Action, int, int]], after: list[tuple[Action, int, int]], double: bool
) -> None:
    stops = (Action.OPT_OUT, 0, 0)
    stood = live(NOTHING_SAID, NOW, [*before, stops, *after], double=double)[len(before) :]
    later = NOW + timedelta(days=3650)
    for (action, _, _), standing in zip([stops, *after], stood, strict=True):
        if action is Action.OPT_IN:
            break
        assert standing.state is not IN
        assert standing.at(later) is OUT
        assert standing.state is OUT or standing.pending_from is OUT


@given(before=_WORDS, after=_WORDS)
def test_after_a_stop_one_word_alone_never_opts_in_where_two_are_asked_for(
    before: list[tuple[Action, int, int]], after: list[tuple[Action, int, int]]
) -> None:
    stood = live(NOTHING_SAID, NOW, [*before, (Action.OPT_OUT, 0, 0), *after], double=True)[len(before) :]
    for earlier, later in pairwise(stood):
        assert later.state is not IN or earlier.state in (PENDING, IN)


@given(before=_WORDS, after=_WORDS, double=st.booleans())
def test_opt_ins_that_were_written_before_the_stop_do_nothing_after_it(
    before: list[tuple[Action, int, int]], after: list[tuple[Action, int, int]], double: bool
) -> None:
    *_, stopped = live(NOTHING_SAID, NOW, [*before, (Action.OPT_OUT, 0, 0)], double=double)
    assert stopped.changed_at is not None
    assert stopped.said_at is not None
    standing, now = stopped, stopped.changed_at
    for action, written, passes in after:
        now += timedelta(seconds=passes)
        written_at = stopped.said_at - timedelta(seconds=1 + abs(written))
        found = step(action, standing, written_at, now, has_double_opt_in=double)
        assert found.state in (None, OUT)
        if found.state is OUT:
            standing = saying(standing, OUT, now, written_at)
        assert standing.said_at == stopped.said_at
