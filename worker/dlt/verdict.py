"""India DLT: what scrubbing would say of one text, in all its parts. Pure.

People and programs that ask are told it as it is; sends are held to it by screen.py.
"""

from dataclasses import dataclass

from worker.dlt.choice import Chosen, Registry
from worker.dlt.faults import DltFault
from worker.dlt.known import Templates
from worker.dlt.matching import Fit, Misfit, fit
from worker.dlt.rules import Breach, breach_of
from worker.dlt.templates import Pattern, Registered
from worker.words import MessageType


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Of whose templates one is to fit. What is None does not bar a template. `template_id`: only this one will do."""

    entity_id: str
    sender: str | None = None
    message_type: MessageType | None = None
    template_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`template`: the one that the text fits, or that it was to be held against; `values` of its placeholders, if it
    fits. Else `sentence` says why not, with its `fault` where scrubbing has a code for it, and the `misfit` where the
    text itself departs: from `template`, or from the one it is `nearest` to."""

    template: Registered | None = None
    values: tuple[str, ...] = ()
    fault: DltFault | None = None
    sentence: str | None = None
    misfit: Misfit | None = None
    nearest: Registered | None = None

    @property
    def fits(self) -> bool:
        return self.sentence is None


class Judge:
    """By these templates. Those that it once found usable it keeps, whatever else is asked of them meanwhile."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._usable: dict[tuple[str, str | None, MessageType | None], Registry] = {}

    def judge(self, text: str, question: Question) -> Verdict:
        if question.template_id is not None:
            pattern = self._templates.registered(question.entity_id, question.template_id)
            if pattern is None:
                said = f"No template {question.template_id} of principal entity {question.entity_id} is known here."
                return Verdict(sentence=said)
            return _held_against(pattern, text, question, self._templates.most_variable)
        if not self._templates.of_entity(question.entity_id):
            return Verdict(sentence=f"No template of principal entity {question.entity_id} is known here.")
        usable = self._usable_for(question)
        if (chosen := usable.choose(text)) is not None:
            return Verdict(template=chosen.template, values=chosen.values)
        everything = self._templates.usable(question.entity_id)
        if (chosen := everything.choose(text)) is not None:
            return _barred(chosen, question)
        nearest = usable.nearest(text) or everything.nearest(text)
        assert nearest is not None  # there are templates, and it fits none
        return _departing(nearest.misfit, nearest=nearest.template)

    def _usable_for(self, question: Question) -> Registry:
        key = (question.entity_id, question.sender, question.message_type)
        registry = self._usable.get(key)
        if registry is None:
            registry = self._usable[key] = self._templates.usable(*key)
        return registry


def _held_against(pattern: Pattern, text: str, question: Question, most: int) -> Verdict:
    if (breach := _breach(pattern.template, question)) is not None:
        return Verdict(template=pattern.template, fault=breach.fault, sentence=breach.sentence)
    outcome = fit(pattern, text, most)
    if isinstance(outcome, Fit):
        return Verdict(template=pattern.template, values=outcome.values)
    return _departing(outcome, template=pattern.template)


def _barred(chosen: Chosen, question: Question) -> Verdict:
    """It fits one that may not be used for it."""
    breach = _breach(chosen.template, question)
    assert breach is not None  # else it had been chosen before
    return Verdict(template=chosen.template, fault=breach.fault, sentence=breach.sentence)


def _departing(misfit: Misfit, template: Registered | None = None, nearest: Registered | None = None) -> Verdict:
    return Verdict(template=template, nearest=nearest, fault=misfit.fault, sentence=misfit.sentence, misfit=misfit)


def _breach(template: Registered, question: Question) -> Breach | None:
    """What bars the template, whichever sender and message type it is that are not said."""
    sender = question.sender if question.sender is not None else next(iter(template.headers), "")
    types = list(MessageType) if question.message_type is None else [question.message_type]
    breaches = [breach_of(template, sender=sender, entity_id=question.entity_id, message_type=each) for each in types]
    return None if None in breaches else breaches[0]
