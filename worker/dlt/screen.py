"""India DLT: what is said of the texts that go through one surface, before they are accepted. Pure.

A text that names its template is held against that one; any other finds its template by itself, among those of its
principal entity that the surface's sender and message type may use.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.dlt.choice import Registry
from worker.dlt.composing import BadValues, compose
from worker.dlt.faults import DltFault
from worker.dlt.matching import Fit, Misfit
from worker.dlt.registries import Registries
from worker.dlt.rules import Breach, breach_of, check, may_go
from worker.dlt.templates import Category, Pattern, Registered
from worker.orders import Values
from worker.words import DltPolicy, MessageType

_MOST_REMEMBERED = 1_000  # texts: of a batch that has one text for all, it is looked at once
_MOST_HELD = 20_000  # templates in registries together; or four times as many as there are
_MOST_NAMED = 5  # of templates that a reference means
_IMPORT = "import the operator's list with POST /v1/dlt-templates/import"


_Kind = tuple[tuple[str, ...], Category]  # a template's headers and category
_Set = tuple[str, frozenset[_Kind]]  # of an entity's templates those of these kinds


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


class Templates:
    """Every registered template, read once for many screens, in as many threads."""

    def __init__(self, patterns: Iterable[Pattern], most_variable: int, former: "Templates | None" = None) -> None:
        """`most_variable`: characters that one value may have. `former`: those that these take the place of. What was
        asked of them is made ready, so that nobody waits for it later who holds a lock."""
        self.most_variable = most_variable
        self._of_entity: dict[str, list[Pattern]] = defaultdict(list)
        self._by_id: dict[str, list[Pattern]] = defaultdict(list)
        self._by_name: dict[str, list[Pattern]] = defaultdict(list)
        # By what decides who may use them: an entity has few such kinds, and many templates of each.
        self._alike: dict[str, dict[_Kind, list[Pattern]]] = defaultdict(lambda: defaultdict(list))
        for pattern in patterns:
            template = pattern.template
            self._of_entity[template.entity_id].append(pattern)
            self._by_id[template.template_id].append(pattern)
            self._by_name[template.name].append(pattern)
            self._alike[template.entity_id][template.headers, template.category].append(pattern)
        count = sum(map(len, self._of_entity.values()))
        self._registries: Registries[_Set] = Registries(max(_MOST_HELD, 4 * count))
        if former is not None and former.most_variable == most_variable:
            for key, registry in former._registries.held():
                self._take_over(former, key, registry)

    def of_entity(self, entity_id: str) -> list[Pattern]:
        return self._of_entity.get(entity_id, [])

    def registered(self, entity_id: str, template_id: str) -> Pattern | None:
        found = self._by_id.get(template_id, ())
        return next((it for it in found if it.template.entity_id == entity_id), None)

    def named(self, reference: str, entity_id: str | None) -> list[Pattern]:
        """Those of this content template ID, or else of this name, of the entity where one is given."""
        for known in (self._by_id, self._by_name):
            found = [it for it in known.get(reference, ()) if entity_id is None or it.template.entity_id == entity_id]
            if found:
                return found
        return []

    def usable(self, entity_id: str, sender: str | None = None, message_type: MessageType | None = None) -> Registry:
        """Of an entity's templates those that may go under this header, with this message type. What is None bars
        none."""
        kinds = (
            kind
            for kind, alike in self._alike.get(entity_id, {}).items()
            if may_go(alike[0].template, sender=sender, message_type=message_type)
        )
        return self._registry(entity_id, frozenset(kinds))

    def _registry(self, entity_id: str, kinds: frozenset[_Kind]) -> Registry:
        alike = self._alike.get(entity_id, {})
        return self._registries.get(
            (entity_id, kinds),
            lambda: Registry((pattern for kind in kinds for pattern in alike[kind]), self.most_variable),
        )

    def _take_over(self, former: "Templates", key: _Set, registry: Registry) -> None:
        entity_id, kinds = key
        here, there = self._alike.get(entity_id, {}), former._alike.get(entity_id, {})
        wanted = frozenset(here) if kinds == there.keys() else kinds & here.keys()
        if wanted == kinds and all(here[kind] == there[kind] for kind in kinds):
            self._registries.get(key, lambda: registry)
        else:
            self._registry(entity_id, wanted)


class Screen:
    """One surface's. What it said of a text it remembers, for its many other recipients."""

    def __init__(self, templates: Templates, sender: str, message_type: MessageType, policy: DltPolicy) -> None:
        self.is_on = policy is not DltPolicy.OFF
        self.is_enforced = policy is DltPolicy.ENFORCE
        self._templates = templates
        self._sender = sender
        self._message_type = message_type
        self._usable: dict[str, Registry] = {}  # by entity
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
        if values.content_template_id is not None:
            return self._look_at_named(text, entity_id, values.content_template_id)
        if not self._templates.of_entity(entity_id):
            return Unfit("text", f"no template of principal entity {entity_id} is known here: {_IMPORT}")
        chosen = self._usable_of(entity_id).choose(text)
        if chosen is not None:
            return Values(content_template_id=chosen.template.template_id)
        return self._nearest(text, entity_id)

    def _look_at_named(self, text: str, entity_id: str, template_id: str) -> Unfit | None:
        pattern = self._templates.registered(entity_id, template_id)
        if pattern is None:
            return Unfit(
                "content_template_id",
                f"no template {template_id} of principal entity {entity_id} is known here: correct it, or {_IMPORT}",
            )
        outcome = check(
            pattern,
            sender=self._sender,
            entity_id=entity_id,
            message_type=self._message_type,
            text=text,
            most_variable=self._templates.most_variable,
        )
        return None if isinstance(outcome, Fit) else _unfit(outcome, pattern.template)

    def _nearest(self, text: str, entity_id: str) -> Unfit:
        """Why none fits: a rule that the fitting one breaks, else where it departs from the one it is most like."""
        everything = self._templates.usable(entity_id)
        chosen = everything.choose(text)
        if chosen is not None:
            breach = breach_of(
                chosen.template, sender=self._sender, entity_id=entity_id, message_type=self._message_type
            )
            assert breach is not None  # else it had been chosen before
            return _unfit(breach, chosen.template)
        nearest = self._usable_of(entity_id).nearest(text) or everything.nearest(text)
        assert nearest is not None  # there are templates, and it fits none
        return _unfit(nearest.misfit, nearest.template, is_nearest=True)

    def _usable_of(self, entity_id: str) -> Registry:
        registry = self._usable.get(entity_id)
        if registry is None:
            registry = self._templates.usable(entity_id, self._sender, self._message_type)
            self._usable[entity_id] = registry
        return registry


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


def _unfit(outcome: Misfit | Breach, template: Registered, *, is_nearest: bool = False) -> Unfit:
    code = f"DLT error {outcome.fault.number} {outcome.fault}"
    which = f"; the nearest template is {template.name} ({template.template_id})" if is_nearest else ""
    field = "content_template_id" if outcome.fault is DltFault.OF_ANOTHER_ENTITY else "text"
    return Unfit(field, f"{outcome.sentence} ({code}{which})")
