"""A small plan of a demo, and what it may find at the end: everything as expected, or one message otherwise."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cli.demo_plan import (
    CONTENT_TEMPLATE_ID,
    OUR_NUMBER,
    PRINCIPAL_ENTITY_ID,
    REPLY_TEMPLATE_ID,
    Acceptance,
    FoundMessage,
    FoundReply,
    FoundReport,
    Plan,
    Verdict,
    judge,
    make_plan,
)
from cli.demo_replay import SENT_AGAIN, FoundReplay
from worker.reasons import OPTED_OUT
from worker.sentences import explain

NOW = datetime(2027, 1, 31, 9, 0, tzinfo=UTC)
PLAN = make_plan(300, "test")


def found_as_expected(plan: Plan) -> list[FoundMessage]:
    return [
        FoundMessage(
            id=f"id-{index}",
            to=wanted.to.removeprefix("+"),
            state=wanted.fate.ends_as,
            attempts=wanted.fate.least_attempts,
            callback_data=wanted.callback_data,
            expires_at=NOW + timedelta(seconds=25),
            reason=f"Not sent: {explain(OPTED_OUT)}" if wanted.fate.has_opted_out else None,
            reports=[
                FoundReport(number, group, "pull" if wanted.fate.is_pulled else "push", wanted.callback_data)
                for number, group in enumerate(wanted.fate.reports, 1)
            ],
        )
        for index, wanted in enumerate(plan.messages)
    ]


def replies_of(plan: Plan) -> list[FoundReply]:
    return [
        FoundReply(writer.to.removeprefix("+"), word, "delivered", "reply")
        for writer in plan.writers
        for word in writer.writes
    ]


def acceptance(to: str) -> Acceptance:
    return Acceptance(to, "DLVDMO", NOW + timedelta(seconds=1), 24, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID)


def reply_acceptance(to: str) -> Acceptance:
    return Acceptance(to, OUR_NUMBER, NOW - timedelta(seconds=1), 86_400, PRINCIPAL_ENTITY_ID, REPLY_TEMPLATE_ID)


def acceptances_of(plan: Plan) -> list[Acceptance]:
    replies = [reply_acceptance(reply.to) for reply in replies_of(plan)]
    return replies + [
        acceptance(wanted.to.removeprefix("+"))
        for wanted in plan.messages
        if wanted.fate.suffix not in ("9005", "9009")
        for _ in range(wanted.fate.least_attempts)
    ]


def judge_with(change: Callable[[FoundMessage], FoundMessage], name: str) -> Verdict:
    """The verdict where the first message of the fate of that name came out otherwise."""
    found = found_as_expected(PLAN)
    index = next(index for index, wanted in enumerate(PLAN.messages) if wanted.fate.name == name)
    found[index] = change(found[index])
    return judge(PLAN, found, replies_of(PLAN), acceptances_of(PLAN), 0)


def replay_as_expected(plan: Plan) -> FoundReplay:
    """Of a batch in which everything ended as expected."""
    before = found_as_expected(plan)
    fates = {wanted.to.removeprefix("+"): wanted.fate for wanted in plan.messages}
    messages = [replace(one, id=f"again-{one.id}") for one in before if one.state in SENT_AGAIN]
    groups = Counter((one.state, fates[one.to].says) for one in messages)
    left_out = [{"reason": "unconfirmed", "count": sum(one.state == "unconfirmed" for one in before)}]
    again = [{"reason": "already_replayed", "count": len(messages)}, *left_out]
    return FoundReplay(
        preview={
            "would_replay": len(messages),
            "groups": [{"state": state, "reason": why, "count": count} for (state, why), count in groups.items()],
            "left_out": left_out,
            "segments": len(messages),
            "cost": {"amount": 1.5, "currency": "EUR"},
        },
        first={"id": "replay", "accepted": len(messages), "left_out": left_out},
        second={"id": "replay", "accepted": 0, "left_out": again},
        source={"id": "source", "replays": ["replay"]},
        batch={"id": "replay", "replay_of": "source", "total": len(messages)},
        before=before,
        after=before,
        messages=messages,
        acceptances=[acceptance(one.to) for one in messages if one.reports for _ in range(one.attempts)],
        duplicates_refused=0,
    )
