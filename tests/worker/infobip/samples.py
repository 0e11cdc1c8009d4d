"""What these tests send, and whatever JSON can hold."""

from uuid import UUID

from hypothesis import strategies as st

from worker.ids import new_id
from worker.infobip.payloads import Content, Outgoing

BULK = UUID("01a20405-ce9f-74a6-bc29-443efafb1900")
HOOK = "https://example.org/webhooks/infobip/x/y/reports"
CONTENT = Content(
    sender="KITEBK",
    text="Your parcel is on its way",
    callback_data="order-5512",
    principal_entity_id="1201150000000000001",
    content_template_id="1207160000000000001",
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def outgoing(
    recipient: str = "919900000001", *, number: int = 1, remaining_seconds: float = 3600.9, **content: str | None
) -> Outgoing:
    return Outgoing(new_id(), number, recipient, remaining_seconds, CONTENT._replace(**content))
