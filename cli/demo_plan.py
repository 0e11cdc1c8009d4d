"""What the demo sends, what should become of it, and whether it did. Pure: no clock, no network.

The last four digits of a recipient choose what the sandbox says of the message; the table here says how it must end.
Some recipients write to us before the batch is sent: whoever opts out is not asked for in it, whoever joins again is.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from worker.reasons import OPTED_OUT
from worker.sentences import explain
from worker.states import State
from worker.words import Origin

MOST_MESSAGES = 10_000  # of one batch
LEAST_MESSAGES = 60
POISONED_COUNT = 5
PRINCIPAL_ENTITY_ID = "1101455820000012345"
CONTENT_TEMPLATE_ID = "1107168542210987654"
REPLY_TEMPLATE_ID = "1107168542210987655"
OUR_NUMBER = "919200000009"  # to which handsets write, and which answers them
STOP, START = "STOP", "START"

_UNDELIVERABLE, _DELIVERED = "UNDELIVERABLE", "DELIVERED"
_ON_THE_WAY = timedelta(seconds=2)  # a request may travel for so long after its validity was worked out


@dataclass(frozen=True)
class Fate:
    """One line of the sandbox's table, or those who opted out. `suffix` is empty for every other number.

    `reports` are the groups of the reports that must be recorded at least; `share` is of all messages, None where the
    count is fixed or all the rest is meant.
    """

    suffix: str
    says: str
    ends_as: State
    share: float | None
    reports: tuple[str, ...]
    least_attempts: int = 1
    most_attempts: int | None = 1
    is_pulled: bool = False
    has_opted_out: bool = False

    @property
    def name(self) -> str:
        return STOP if self.has_opted_out else self.suffix or "others"


FATES = (
    Fate("9001", "absent once, then delivered", State.DELIVERED, 0.08, (_UNDELIVERABLE, _DELIVERED), 2, 2),
    Fate("9002", "absent at every attempt", State.EXPIRED, 0.04, (_UNDELIVERABLE,), 2, None),
    Fate("9003", "unknown subscriber, for good", State.FAILED, 0.05, (_UNDELIVERABLE,)),
    Fate("9004", "delivered, no report pushed", State.DELIVERED, 0.04, (_DELIVERED,), is_pulled=True),
    Fate("9005", "refused in the answer", State.FAILED, 0.03, ()),
    Fate("9006", "delivered, reported twice", State.DELIVERED, 0.04, (_DELIVERED,)),
    Fate("9007", "delivered, then an old report", State.DELIVERED, 0.04, (_DELIVERED,)),
    Fate("9008", "DLT scrub failure, error 4129", State.FAILED, 0.03, (_UNDELIVERABLE,)),
    Fate("9009", "the whole request is refused", State.FAILED, None, ()),
    Fate("9010", "nothing, ever", State.UNCONFIRMED, 0.03, ()),
    Fate("", "not asked: they opted out", State.SUPPRESSED, 0.008, (), 0, 0, has_opted_out=True),
    Fate("", "delivered", State.DELIVERED, None, (_DELIVERED,)),
)


@dataclass(frozen=True)
class PlannedMessage:
    to: str
    callback_data: str
    parcel: str
    fate: Fate
    writes: tuple[str, ...] = ()  # before the batch, one after the other


@dataclass(frozen=True)
class Plan:
    messages: Sequence[PlannedMessage]

    @property
    def total(self) -> int:
        return len(self.messages)

    @cached_property
    def counts(self) -> Mapping[Fate, int]:
        """In the order of the table."""
        counted = Counter(message.fate for message in self.messages)
        return {fate: counted[fate] for fate in FATES}

    @property
    def writers(self) -> Sequence[PlannedMessage]:
        return [message for message in self.messages if message.writes]


def make_plan(total: int, run: str) -> Plan:
    """`total` messages to as many recipients, the fates well mixed; the same for the same `total` and `run`.

    `run` names this demo in the callback data.
    """
    if not LEAST_MESSAGES <= total <= MOST_MESSAGES:
        raise ValueError(f"a demo has {LEAST_MESSAGES} to {MOST_MESSAGES:,} messages")
    chance = random.Random(total)
    fates = [fate for fate, count in fate_counts(total).items() for _ in range(count)]
    chance.shuffle(fates)
    back = fates.index(FATES[-1])  # who joins again
    return Plan(
        [
            PlannedMessage(
                # Ten digits of an Indian mobile number, the middle four of which are different in each.
                to=f"+9190{index:04}{fate.suffix or f'{chance.randrange(9000):04}'}",
                callback_data=f'{{"run":"{run}","message":{index}}}',
                parcel=f"P{index:05}",
                fate=fate,
                writes=(STOP,) if fate.has_opted_out else (STOP, START) if index == back else (),
            )
            for index, fate in enumerate(fates)
        ]
    )


def fate_counts(total: int) -> dict[Fate, int]:
    """How many messages meet each fate; what the shares leave over is delivered plainly."""
    *special, rest = FATES
    counts = {fate: max(1, round(total * fate.share)) if fate.share else POISONED_COUNT for fate in special}
    return {**counts, rest: total - sum(counts.values())}


@dataclass(frozen=True)
class FoundReport:
    attempt: int
    group: str | None
    source: str
    callback_data: str | None


@dataclass(frozen=True)
class FoundMessage:
    """A message as the API tells of it at the end, with its recorded reports. `to` has no plus sign."""

    id: str
    to: str
    state: str
    attempts: int
    callback_data: str | None
    expires_at: datetime
    reason: str | None = None
    reports: Sequence[FoundReport] = ()


@dataclass(frozen=True)
class FoundReply:
    """The message that answers a word of a handset's, as the API tells of it."""

    to: str
    word: str
    state: str
    origin: str


@dataclass(frozen=True)
class Acceptance:
    """One message as Infobip, here the sandbox, took it. The batch's sender is a name, a reply's is our number."""

    to: str
    sender: str
    accepted_at: datetime
    validity_seconds: int | None
    principal_entity_id: str | None
    content_template_id: str | None


@dataclass(frozen=True)
class Row:
    """What became of the messages of one fate. `faults` are (message ID or number, what is wrong)."""

    fate: Fate
    planned: int
    states: Mapping[str, int]
    attempts: tuple[int, int]
    faults: Sequence[tuple[str, str]]

    @property
    def is_as_expected(self) -> bool:
        return not self.faults


@dataclass(frozen=True)
class Check:
    """Something that must hold over all messages at once."""

    is_met: bool
    words: str


@dataclass(frozen=True)
class Verdict:
    rows: Sequence[Row]
    checks: Sequence[Check] = field(default=())

    @property
    def total(self) -> int:
        return sum(row.planned for row in self.rows)

    @property
    def as_expected_count(self) -> int:
        return self.total - sum(len(row.faults) for row in self.rows)

    @property
    def is_good(self) -> bool:
        return all(row.is_as_expected for row in self.rows) and all(check.is_met for check in self.checks)

    @property
    def exit_code(self) -> int:
        return 0 if self.is_good else 1

    @property
    def last_line(self) -> str:
        counted = f"demo: {self.as_expected_count} of {self.total} as expected"
        failed = sum(not check.is_met for check in self.checks)
        return counted + (f", but {failed} of {len(self.checks)} checks failed" if failed else "")


def judge(
    plan: Plan,
    found: Iterable[FoundMessage],
    replies: Iterable[FoundReply],
    acceptances: Sequence[Acceptance],
    duplicates_refused: int,
) -> Verdict:
    by_number = by_recipient(found)
    rows = [judge_fate(plan, fate, by_number) for fate in FATES]
    sends = [taken for taken in acceptances if taken.sender != OUR_NUMBER]
    answers = [taken for taken in acceptances if taken.sender == OUR_NUMBER]
    checks = [*promises(by_number, sends, duplicates_refused), *_consent_checks(plan, replies, sends, answers)]
    return Verdict(rows, checks)


def by_recipient(found: Iterable[FoundMessage]) -> Mapping[str, Sequence[FoundMessage]]:
    """Numbers have no plus sign."""
    by_number: dict[str, list[FoundMessage]] = defaultdict(list)
    for message in found:
        by_number[message.to.removeprefix("+")].append(message)
    return by_number


def judge_fate(plan: Plan, fate: Fate, by_number: Mapping[str, Sequence[FoundMessage]]) -> Row:
    planned = [message for message in plan.messages if message.fate is fate]
    states: Counter[str] = Counter()
    attempts: list[int] = []
    faults: list[tuple[str, str]] = []
    for wanted in planned:
        match by_number.get(wanted.to.removeprefix("+"), ()):
            case [one]:
                states[one.state] += 1
                attempts.append(one.attempts)
                if fault := fault_of(wanted, one):
                    faults.append((one.id, fault))
            case [first, *_]:
                faults.append((first.id, "is there more than once"))
            case _:
                faults.append((wanted.to, "has no message"))
    return Row(fate, len(planned), states, (min(attempts, default=0), max(attempts, default=0)), faults)


def fault_of(wanted: PlannedMessage, found: FoundMessage) -> str | None:
    """What is wrong with one message, in words; None if nothing is."""
    fate = wanted.fate
    if found.state != fate.ends_as:
        return f"is {found.state}, expected {fate.ends_as}"
    if fate.has_opted_out and explain(OPTED_OUT) not in (found.reason or ""):
        return f"is {found.state} for another reason than the opt-out: {found.reason}"
    if found.callback_data != wanted.callback_data:
        return "lost its callback data"
    if found.attempts < fate.least_attempts or (fate.most_attempts is not None and found.attempts > fate.most_attempts):
        return f"had {found.attempts} attempts, expected {attempts_in_words(fate)}"
    groups = Counter(report.group or "nothing" for report in found.reports)
    if missing := Counter(fate.reports) - groups:
        return f"lacks a report that says {', '.join(missing)}"
    if groups[_DELIVERED] > 1:
        return f"has {groups[_DELIVERED]} reports that say {_DELIVERED}: one is recorded twice"
    if any(report.callback_data != wanted.callback_data for report in found.reports):
        return "has a report without its callback data"
    if fate.is_pulled and not any(report.source == "pull" for report in found.reports):
        return "has no report from Infobip's logs"
    return None


def attempts_in_words(fate: Fate) -> str:
    return f"{fate.least_attempts} or more" if fate.most_attempts is None else str(fate.least_attempts)


def promises(
    by_number: Mapping[str, Sequence[FoundMessage]], acceptances: Sequence[Acceptance], duplicates_refused: int
) -> list[Check]:
    """What holds for every batch."""
    accepted = Counter(acceptance.to for acceptance in acceptances)
    copied = sum(count > sum(found.attempts for found in by_number.get(to, ())) for to, count in accepted.items())
    dlt = (PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID)
    bare = sum(_dlt(taken) != dlt for taken in acceptances)
    late = sum(_outlives(taken, by_number) for taken in acceptances)
    reports = [report for messages in by_number.values() for message in messages for report in message.reports]
    mute = sum(report.callback_data is None for report in reports)
    return [
        _check(
            copied,
            f"nobody got two copies: {duplicates_refused:,} duplicates refused by Infobip",
            "recipients were sent more copies than they have attempts",
        ),
        _check(
            bare, f"both DLT IDs went along with all {len(acceptances):,} sends", "sends left without their DLT IDs"
        ),
        _check(late, "no send outlives its message's validity", "sends outlived their message's validity"),
        _check(mute, f"callback data stands beside all {len(reports):,} reports", "reports lack their callback data"),
    ]


def _consent_checks(
    plan: Plan, replies: Iterable[FoundReply], sends: Sequence[Acceptance], answers: Sequence[Acceptance]
) -> list[Check]:
    gone = {message.to.removeprefix("+") for message in plan.messages if message.fate.has_opted_out}
    reached = len(gone & {taken.to for taken in sends})
    return [
        _check(
            reached,
            f"nothing of the batch went to the {len(gone):,} who had opted out",
            "who had opted out were sent the batch all the same",
        ),
        _check(
            len(_answered_otherwise(plan, replies, answers)),
            f"each {STOP} and {START} of a handset was answered once, in {len(answers):,} replies",
            f"handsets did not get one reply to each {STOP} and {START}",
        ),
    ]


def _answered_otherwise(plan: Plan, replies: Iterable[FoundReply], answers: Sequence[Acceptance]) -> set[str]:
    """Who did not get exactly one reply to each word, as the API tells it or as Infobip took them."""
    words = Counter((writer.to.removeprefix("+"), word) for writer in plan.writers for word in writer.writes)
    written = Counter(to for to, _ in words.elements())
    is_good = (State.DELIVERED, Origin.REPLY)
    found = Counter((reply.to, reply.word) for reply in replies if (reply.state, reply.origin) == is_good)
    dlt = (PRINCIPAL_ENTITY_ID, REPLY_TEMPLATE_ID)
    taken = Counter(answer.to for answer in answers if _dlt(answer) == dlt)
    return {to for to, _ in (words - found) + (found - words)} | {*(written - taken), *(taken - written)}


def _dlt(taken: Acceptance) -> tuple[str | None, str | None]:
    return taken.principal_entity_id, taken.content_template_id


def _check(fault_count: int, good: str, bad: str) -> Check:
    return Check(not fault_count, f"{fault_count:,} {bad}" if fault_count else good)


def _outlives(acceptance: Acceptance, by_number: Mapping[str, Sequence[FoundMessage]]) -> bool:
    """Whether Infobip took it after its end, or was allowed to keep trying beyond it."""
    ends = [message.expires_at for message in by_number.get(acceptance.to, ())]
    if not ends or acceptance.validity_seconds is None:
        return True
    return acceptance.accepted_at + timedelta(seconds=acceptance.validity_seconds) > max(ends) + _ON_THE_WAY
