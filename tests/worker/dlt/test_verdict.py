"""What is answered of a text is what a send of it would meet."""

from dataclasses import replace

import pytest

from worker.dlt.faults import DltFault
from worker.dlt.known import Templates
from worker.dlt.screen import Screen, Unfit
from worker.dlt.templates import Category, Registered, compile_template
from worker.dlt.verdict import Judge, Question, Verdict
from worker.orders import Values
from worker.words import DltPolicy, MessageType

ENTITY, NOBODY = "1201150000000000001", "1201150000000000002"
ORDER = Registered(
    "1207160000000000001", ENTITY, "order", ("KITEBK",), Category.SERVICE_IMPLICIT, "Order {#var#} is sent. -KITE"
)
CODE = Registered("1207160000000000002", ENTITY, "code", (), Category.TRANSACTIONAL, "{#numeric#} is your code. -KITE")
SALE = Registered("1207160000000000003", ENTITY, "sale", ("600123",), Category.PROMOTIONAL, "Sale until {#var#}! -KITE")
TEMPLATES = Templates(map(compile_template, (ORDER, CODE, SALE)), 10)
TEXTS = (
    "Order 1 is sent. -KITE",
    "Order 1 is sent, -KITE",
    "Order 12345678901 is sent. -KITE",
    "4711 is your code. -KITE",
    "four is your code. -KITE",
    "Sale until Monday! -KITE",
    "Sale until Monday. -KITE",
    "Nothing like it",
)
TRANSACTIONAL, MARKETING = MessageType.TRANSACTIONAL, MessageType.MARKETING


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("sender", ["KITEBK", "600123", "OTHER"])
@pytest.mark.parametrize("message_type", MessageType)
@pytest.mark.parametrize("template_id", [None, ORDER.template_id, "1207160000000000009"])
@pytest.mark.parametrize("entity_id", [ENTITY, NOBODY])
def test_answer_is_what_a_send_would_meet(
    text: str, sender: str, message_type: MessageType, template_id: str | None, entity_id: str
) -> None:
    question = Question(entity_id=entity_id, sender=sender, message_type=message_type, template_id=template_id)
    verdict = Judge(TEMPLATES).judge(text, question)
    chosen, reason = sent(text, question)
    assert verdict.fits == (reason is None)
    if reason is None:
        assert verdict.template is not None
        assert verdict.template.template_id == chosen
    else:
        assert verdict.fault is None or str(verdict.fault.number) in reason
        assert verdict.misfit is None or verdict.misfit.sentence in reason
        assert verdict.nearest is None or verdict.nearest.name in reason


def sent(text: str, question: Question) -> tuple[str | None, str | None]:
    """The template that a send of it goes with, and why it is refused."""
    assert question.sender is not None
    assert question.message_type is not None
    screen = Screen(TEMPLATES, question.sender, question.message_type, DltPolicy.ENFORCE)
    given = Values(principal_entity_id=question.entity_id, content_template_id=question.template_id)
    try:
        found = screen.screen(text, given)
    except Unfit as unfit:
        return None, unfit.reason
    return (given if found is None else found).content_template_id, None


@pytest.mark.parametrize(
    ("text", "asked", "template", "fault", "nearest"),
    [
        # What is not said bars nothing.
        (TEXTS[0], {}, "order", None, None),
        (TEXTS[5], {}, "sale", None, None),
        (TEXTS[5], {"message_type": MARKETING}, "sale", None, None),
        (TEXTS[5], {"sender": "600123"}, "sale", None, None),
        # What is said does.
        (TEXTS[5], {"message_type": TRANSACTIONAL}, "sale", DltFault.WRONG_CATEGORY, None),
        (TEXTS[0], {"sender": "OTHER"}, "order", DltFault.HEADER_NOT_REGISTERED, None),
        (TEXTS[3], {"sender": "OTHER"}, "code", None, None),
        (
            TEXTS[1],
            {"sender": "OTHER", "template_id": ORDER.template_id},
            "order",
            DltFault.HEADER_NOT_REGISTERED,
            None,
        ),
        # Where it departs, from which.
        (TEXTS[1], {}, None, DltFault.TEMPLATE_NOT_MATCHED, "order"),
        (TEXTS[2], {}, None, DltFault.VARIABLE_TOO_LONG, "order"),
        (TEXTS[4], {"template_id": CODE.template_id}, "code", DltFault.TEMPLATE_NOT_MATCHED, None),
    ],
)
def test_only_what_the_question_says_counts(
    text: str, asked: dict[str, str], template: str | None, fault: DltFault | None, nearest: str | None
) -> None:
    verdict = Judge(TEMPLATES).judge(text, replace(Question(entity_id=ENTITY), **asked))
    assert named(verdict) == (template, fault, nearest)
    assert verdict.fits == (fault is None)
    assert (verdict.misfit is None) == (
        verdict.fits or fault in (DltFault.WRONG_CATEGORY, DltFault.HEADER_NOT_REGISTERED)
    )


def named(verdict: Verdict) -> tuple[str | None, DltFault | None, str | None]:
    template, nearest = (each and each.name for each in (verdict.template, verdict.nearest))
    return template, verdict.fault, nearest
