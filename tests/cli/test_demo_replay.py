"""The judgement of a demo's replay: what failed goes out again, once, and nothing else does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cli.demo_plan import FoundMessage
from cli.demo_replay import FoundReplay, judge_replay
from tests.cli.demo_findings import PLAN, acceptance, replay_as_expected

GOOD = replay_as_expected(PLAN)
COUNT = len(GOOD.messages)
Change = Callable[[FoundReplay], FoundReplay]


def number(name: str) -> str:
    return next(wanted.to.removeprefix("+") for wanted in PLAN.messages if wanted.fate.name == name)


def answered(name: str, **values: Any) -> Change:
    """One of the answers says otherwise."""
    return lambda found: replace(found, **{name: {**getattr(found, name), **values}})


def taken(*numbers: str) -> Change:
    return lambda found: replace(found, acceptances=[*found.acceptances, *map(acceptance, numbers)])


def not_taken(name: str) -> Change:
    return lambda found: replace(found, acceptances=[one for one in found.acceptances if one.to != number(name)])


def first_otherwise(messages: Sequence[FoundMessage], name: str, **values: Any) -> list[FoundMessage]:
    return [replace(one, **values) if one.to == number(name) else one for one in messages]


def ended(name: str, **values: Any) -> Change:
    return lambda found: replace(found, messages=first_otherwise(found.messages, name, **values))


def source_ended(name: str, **values: Any) -> Change:
    return lambda found: replace(found, after=first_otherwise(found.after, name, **values))


def test_replay_as_the_sandbox_s_outcomes_say_is_good_in_every_line() -> None:
    verdict = judge_replay(PLAN, GOOD)
    assert verdict.is_good, verdict
    assert [row.fate.name for row in verdict.rows] == ["9002", "9003", "9005", "9008", "9009"]
    assert verdict.total == COUNT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (answered("preview", would_replay=COUNT + 1), "the preview counted otherwise than what failed and expired"),
        (answered("preview", left_out=[]), "the preview counted otherwise than what failed and expired"),
        (answered("preview", groups=[{"state": "failed", "count": COUNT}]), "the preview counted otherwise than"),
        (answered("second", accepted=COUNT), f"two orders accepted {COUNT} and {COUNT} of {COUNT}"),
        (answered("second", id="another"), f"two orders accepted {COUNT} and 0 of {COUNT}"),
        (answered("second", left_out=[]), f"two orders accepted {COUNT} and 0 of {COUNT}"),
        (answered("first", accepted=COUNT - 1), f"two orders accepted {COUNT - 1} and 0 of {COUNT}"),
        (answered("source", replays=[]), "the two batches do not name each other"),
        (answered("source", replays=["replay", "another"]), "the two batches do not name each other"),
        (answered("batch", replay_of=None), "the two batches do not name each other"),
        (ended("9003", state="delivered"), f"1 of {COUNT} did not meet their fate again"),
        (ended("9002", attempts=0), f"1 of {COUNT} did not meet their fate again"),
        (ended("9008", callback_data=None), f"1 of {COUNT} did not meet their fate again"),
        (ended("9009", to=number("others")), f"1 of {COUNT} did not meet their fate again"),
        (
            lambda found: replace(found, messages=[*found.messages, replace(found.before[0], to=number("others"))]),
            f"0 of {COUNT} did not meet their fate again, among {COUNT + 1} messages",
        ),
        (taken(number("9003")), "1 recipients were taken otherwise by Infobip"),
        (taken(number("9005")), "1 recipients were taken otherwise by Infobip"),
        (taken(number("others")), "1 recipients were taken otherwise by Infobip"),
        (taken("919000000000"), "1 recipients were taken otherwise by Infobip"),
        (not_taken("9002"), "1 recipients were taken otherwise by Infobip"),
        (not_taken("9008"), "1 recipients were taken otherwise by Infobip"),
        (
            lambda found: replace(
                found, acceptances=[replace(one, validity_seconds=None) for one in found.acceptances]
            ),
            f"{len(GOOD.acceptances)} sends outlived their message's validity",
        ),
        (source_ended("others", state="failed"), "1 messages of the first batch changed"),
        (source_ended("9003", attempts=2), "1 messages of the first batch changed"),
        (lambda found: replace(found, after=found.after[1:]), "1 messages of the first batch changed"),
    ],
)
def test_broken_promise_of_the_replay_is_a_failed_check(change: Change, words: str) -> None:
    failed = [check.words for check in judge_replay(PLAN, change(GOOD)).checks if not check.is_met]
    assert any(one.startswith(words) for one in failed), failed
