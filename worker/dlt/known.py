"""India DLT: every registered template, by whatever one finds them by. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from worker.dlt.choice import Registry
from worker.dlt.registries import Registries
from worker.dlt.rules import may_go
from worker.dlt.templates import Category, Pattern
from worker.words import MessageType

_MOST_HELD = 20_000  # templates in registries together; or four times as many as there are

_Kind = tuple[tuple[str, ...], Category]  # a template's headers and category
_Set = tuple[str, frozenset[_Kind]]  # of an entity's templates those of these kinds


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
