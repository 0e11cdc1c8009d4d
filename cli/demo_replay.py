"""What the replay of the demo's failed part should do, and whether it did. Pure: no clock, no network.

What failed or expired goes out again, once, and ends as it did before: the sandbox says the same of a number each time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cli.demo_plan import FATES, Acceptance, Check, FoundMessage, Plan, Row, Verdict, by_recipient, judge_fate, promises
from worker.states import State

SENT_AGAIN = (State.FAILED, State.EXPIRED)
_ALREADY_REPLAYED = "already_replayed"
# Half of so short a validity is kept for reports: a busy machine may have no time for a second attempt.
_AGAIN = {fate: replace(fate, least_attempts=1) for fate in FATES if fate.ends_as in SENT_AGAIN}


@dataclass(frozen=True)
class FoundReplay:
    """What the API answered to the preview and to both orders, the two batches at the end, all messages of the source
    before and after, those of the replay, and what Infobip, here the sandbox, took from the first order on."""

    preview: Mapping[str, Any]
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    source: Mapping[str, Any]
    batch: Mapping[str, Any]
    before: Sequence[FoundMessage]
    after: Sequence[FoundMessage]
    messages: Sequence[FoundMessage]
    acceptances: Sequence[Acceptance]
    duplicates_refused: int


def judge_replay(plan: Plan, found: FoundReplay) -> Verdict:
    """A row for each fate that was sent again; that all of them are as expected is one of the checks."""
    by_number = by_recipient(found.messages)
    again = Plan([replace(one, fate=_AGAIN[one.fate]) for one in plan.messages if one.fate in _AGAIN])
    rows = [judge_fate(again, fate, by_number) for fate in _AGAIN.values()]
    checks = [
        _previewed(plan, found),
        _sent_once(rows, found),
        _linked(found),
        _met_again(rows, found),
        _taken(plan, by_number, found.acceptances),
        *_promises_kept(by_number, found),
        _untouched(found),
    ]
    return Verdict(rows, checks)


def _previewed(plan: Plan, found: FoundReplay) -> Check:
    """The planned counts by state are the preview's, and so is what only somebody who insists may send again."""
    wanted, unconfirmed = Counter[str](), 0
    for fate, count in plan.counts.items():
        if fate in _AGAIN:
            wanted[fate.ends_as] += count
        elif fate.ends_as is State.UNCONFIRMED:
            unconfirmed += count
    told = Counter[str]()
    for group in found.preview["groups"]:
        told[group["state"]] += group["count"]
    is_met = (
        told == wanted
        and found.preview["would_replay"] == wanted.total()
        and _left_out(found.preview) == {State.UNCONFIRMED: unconfirmed}
    )
    good = f"the preview promised just that: {wanted.total():,} to go, {unconfirmed:,} unconfirmed left out"
    return Check(is_met, good if is_met else "the preview counted otherwise than what failed and expired")


def _sent_once(rows: Sequence[Row], found: FoundReplay) -> Check:
    count = sum(row.planned for row in rows)
    accepted = (found.first["accepted"], found.second["accepted"], found.batch["total"])
    is_met = (
        accepted == (count, 0, count)
        and found.second["id"] == found.first["id"]
        and _left_out(found.second).get(_ALREADY_REPLAYED) == count
    )
    good = f"ordered twice, sent once: the second order found all {count:,} replayed already"
    return Check(is_met, good if is_met else f"two orders accepted {accepted[0]:,} and {accepted[1]:,} of {count:,}")


def _linked(found: FoundReplay) -> Check:
    replay, source = found.batch["id"], found.source["id"]
    is_met = found.source["replays"] == [replay] and found.batch["replay_of"] == source
    return Check(is_met, "the two batches name each other" if is_met else "the two batches do not name each other")


def _met_again(rows: Sequence[Row], found: FoundReplay) -> Check:
    count = sum(row.planned for row in rows)
    faults = sum(len(row.faults) for row in rows)
    is_met = not faults and len(found.messages) == count
    good = f"each of the {count:,} met its fate again, with its callback data"
    bad = f"{faults:,} of {count:,} did not meet their fate again, among {len(found.messages):,} messages"
    return Check(is_met, good if is_met else bad)


def _taken(plan: Plan, by_number: Mapping[str, Sequence[FoundMessage]], acceptances: Sequence[Acceptance]) -> Check:
    """Who failed for good was taken once more, who could not be reached once for each attempt at most, who is refused
    never, and nobody else."""
    accepted = Counter(taken.to for taken in acceptances)
    otherwise = 0
    for wanted in plan.messages:
        number = wanted.to.removeprefix("+")
        least, most = 0, 0
        if wanted.fate in _AGAIN and wanted.fate.reports:
            least, most = 1, sum(message.attempts for message in by_number.get(number, ()))
        otherwise += not least <= accepted.pop(number, 0) <= most
    otherwise += len(accepted)
    good = f"Infobip took what it had taken before, in {len(acceptances):,} sends, and nothing else"
    return Check(not otherwise, f"{otherwise:,} recipients were taken otherwise by Infobip" if otherwise else good)


def _promises_kept(by_number: Mapping[str, Sequence[FoundMessage]], found: FoundReplay) -> list[Check]:
    """In a line, unless one of them is broken."""
    kept = promises(by_number, found.acceptances, found.duplicates_refused)
    broken = [promise for promise in kept if not promise.is_met]
    return broken or [Check(True, "the same promises hold: one copy, both DLT IDs, validity, callback data")]


def _untouched(found: FoundReplay) -> Check:
    before, after = (
        {message.id: (message.state, message.attempts) for message in at} for at in (found.before, found.after)
    )
    changed = sum(after.get(message) != was for message, was in before.items()) + len(after.keys() - before.keys())
    delivered = sum(state == State.DELIVERED for state, _ in after.values())
    good = f"nothing changed in the first batch: its {delivered:,} delivered ones were left alone"
    return Check(not changed, f"{changed:,} messages of the first batch changed" if changed else good)


def _left_out(answer: Mapping[str, Any]) -> dict[str, int]:
    return {group["reason"]: group["count"] for group in answer["left_out"]}
