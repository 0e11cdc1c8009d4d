"""A small plan of a demo, and what it may find at the end: everything as expected, or one message otherwise."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cli.demo_plan import (
    CONTENT_TEMPLATE_ID,
    PRINCIPAL_ENTITY_ID,
    Acceptance,
    FoundMessage,
    FoundReport,
    Plan,
    Verdict,
    judge,
    make_plan,
)

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
            reports=[
                FoundReport(number, group, "pull" if wanted.fate.is_pulled else "push", wanted.callback_data)
                for number, group in enumerate(wanted.fate.reports, 1)
            ],
        )
        for index, wanted in enumerate(plan.messages)
    ]


def acceptance(to: str) -> Acceptance:
    return Acceptance(to, NOW + timedelta(seconds=1), 24, PRINCIPAL_ENTITY_ID, CONTENT_TEMPLATE_ID)


def acceptances_of(plan: Plan) -> list[Acceptance]:
    return [
        acceptance(wanted.to.removeprefix("+"))
        for wanted in plan.messages
        if wanted.fate.suffix not in ("9005", "9009")
        for _ in range(wanted.fate.least_attempts)
    ]


def judge_with(change: Callable[[FoundMessage], FoundMessage], suffix: str) -> Verdict:
    """The verdict where the first message of that suffix came out otherwise."""
    found = found_as_expected(PLAN)
    index = next(index for index, wanted in enumerate(PLAN.messages) if wanted.fate.suffix == suffix)
    found[index] = change(found[index])
    return judge(PLAN, found, acceptances_of(PLAN), 0)
