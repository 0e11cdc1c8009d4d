"""India DLT: what is said of the texts that go through one surface, before they are accepted. Pure.

A text that names its template is held against that one; any other finds its template by itself, among those of its
principal entity that the surface's sender and message type may use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.dlt.composing import BadValues, compose
from worker.dlt.known import Templates
from worker.dlt.templates import Registered
from worker.dlt.verdict import Judge, Question, Verdict
from worker.orders import Values
from worker.words import DltPolicy, MessageType

_MOST_REMEMBERED = 1_000  # texts: of a batch that has one text for all, it is looked at once
_MOST_NAMED = 5  # of templates that a reference means
_IMPORT = "import the operator's list with POST /v1/dlt-templates/import"


class Unfit(Exception):
    """Scrubbing would refuse it: in which field the fault lies, and a sentence about it, with what to do."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Composed:
    """A text that a template made, and the IDs under which it goes."""

    text: str
    values: Values


class Screen:
    """One surface's. What it said of a text it remembers, for its many other recipients."""

    def __init__(self, templates: Templates, sender: str, message_type: MessageType, policy: DltPolicy) -> None:
        self.is_on = policy is not DltPolicy.OFF
        self.is_enforced = policy is DltPolicy.ENFORCE
        self._templates = templates
        self._sender = sender
        self._message_type = message_type
        self._judge = Judge(templates)
        self._said: dict[tuple[str, str | None, str | None], Values | Unfit | None] = {}

    def screen(self, text: str, values: Values) -> Values | None:
        """The template that was found for it, where it names none. Errors: Unfit."""
        key = (text, values.principal_entity_id, values.content_template_id)
        if key not in self._said:
            if len(self._said) >= _MOST_REMEMBERED:
                self._said.clear()
            self._said[key] = self._look(text, values)
        said = self._said[key]
        if isinstance(said, Unfit):
            raise said
        return said

    def compose(self, reference: str, variables: Sequence[str], entity_id: str | None) -> Composed:
        """`reference`: a content template ID or a template's name. Errors: Unfit."""
        found = self._templates.named(reference, entity_id)
        if not found:
            of = f" of principal entity {entity_id}" if entity_id else ""
            raise Unfit("template", f"no template{of} has this content template ID or name: correct it, or {_IMPORT}")
        if len(found) > 1:
            raise _ambiguous([it.template for it in found])
        try:
            text = compose(found[0], variables, self._templates.most_variable)
        except BadValues as error:
            raise Unfit("template_variables", str(error)) from error
        template = found[0].template
        return Composed(text, Values(principal_entity_id=template.entity_id, content_template_id=template.template_id))

    def _look(self, text: str, values: Values) -> Values | Unfit | None:
        entity_id = values.principal_entity_id
        if entity_id is None:
            return Unfit(
                "principal_entity_id",
                "is missing, which every text to India needs: set it on the surface or credential",
            )
        named = values.content_template_id
        question = Question(
            entity_id=entity_id, sender=self._sender, message_type=self._message_type, template_id=named
        )
        verdict = self._judge.judge(text, question)
        if verdict.template is None or not verdict.fits:
            return _unfit(verdict, question)
        return None if named else Values(content_template_id=verdict.template.template_id)


def _ambiguous(templates: Sequence[Registered]) -> Unfit:
    """One reference means several: of one entity by their name, or of several entities."""
    entities = sorted({it.entity_id for it in templates})
    if len(entities) > 1:
        which = ", ".join(entities[:_MOST_NAMED])
        return Unfit(
            "principal_entity_id",
            f"is missing, and {len(templates)} templates have this content template ID or name: give that of one of "
            f"their principal entities, {which}",
        )
    ids = ", ".join(sorted(it.template_id for it in templates)[:_MOST_NAMED])
    return Unfit("template", f"is the name of {len(templates)} templates: give the content template ID, one of {ids}")


def _unfit(verdict: Verdict, question: Question) -> Unfit:
    of = f"of principal entity {question.entity_id} is known here"
    if verdict.fault is None and question.template_id is not None:
        return Unfit("content_template_id", f"no template {question.template_id} {of}: correct it, or {_IMPORT}")
    if verdict.fault is None:
        return Unfit("text", f"no template {of}: {_IMPORT}")
    nearest = verdict.nearest
    which = f"; the nearest template is {nearest.name} ({nearest.template_id})" if nearest is not None else ""
    return Unfit("text", f"{verdict.sentence} (DLT error {verdict.fault.number} {verdict.fault}{which})")
