"""India DLT: whether a template may be used for a message, whatever its text. Pure.

Which category may go through which message type is ours: promotional and service explicit templates under marketing,
all but promotional ones under transactional. The form of headers (promotional ones are said to be numeric) is not
established, and nothing here is held to it; case counts in them, as it does on the DLT platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.dlt.faults import DltFault
from worker.dlt.templates import Category, Registered
from worker.words import MessageType

ALLOWED_CATEGORIES: Mapping[MessageType, frozenset[Category]] = {
    MessageType.MARKETING: frozenset({Category.PROMOTIONAL, Category.SERVICE_EXPLICIT}),
    MessageType.TRANSACTIONAL: frozenset(
        {Category.TRANSACTIONAL, Category.SERVICE_IMPLICIT, Category.SERVICE_EXPLICIT}
    ),
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule beside the text that the message would break. `sentence` is for people."""

    fault: DltFault
    sentence: str


def breach_of(template: Registered, *, sender: str, entity_id: str, message_type: MessageType) -> Breach | None:
    """The rules that hold for all messages of a surface, whatever their texts."""
    if entity_id != template.entity_id:
        return Breach(
            DltFault.OF_ANOTHER_ENTITY,
            f"Template {template.name} belongs to principal entity {template.entity_id}, and the message goes out "
            f"for {entity_id}. Use that entity's ID, or a template of this one's.",
        )
    if template.headers and sender not in template.headers:
        return Breach(
            DltFault.HEADER_NOT_REGISTERED,
            f"The header {sender} is not linked to template {template.name}, which has {', '.join(template.headers)}. "
            "Link it on the DLT portal and add it here, or send under a header that is linked.",
        )
    if template.category not in ALLOWED_CATEGORIES[message_type]:
        return Breach(
            DltFault.WRONG_CATEGORY,
            f"Template {template.name} is {_said(template.category)}, which does not go out through a {message_type} "
            f"surface. Use a surface of the other message type, or a template that is "
            f"{' or '.join(map(_said, sorted(ALLOWED_CATEGORIES[message_type])))}.",
        )
    return None


def may_go(template: Registered, *, sender: str | None, message_type: MessageType | None) -> bool:
    """Whether it may be used for its own entity's messages. What is None bars nothing."""
    if sender is not None and template.headers and sender not in template.headers:
        return False
    return message_type is None or template.category in ALLOWED_CATEGORIES[message_type]


def _said(category: Category) -> str:
    return category.replace("_", " ")
