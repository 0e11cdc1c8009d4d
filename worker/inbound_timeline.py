"""What became of an inbound message, from its rows: a timeline for people, and why no reply went."""

from worker import replies
from worker.consent import OLDER
from worker.models import ConsentChange, InboundMessage, Message
from worker.reasons import NUMBER_BLOCKED
from worker.sentences import SENTENCES
from worker.timeline import Event
from worker.words import Action

NO_REPLY = {
    OLDER: "It was written before what was said last, which stands.",
    replies.NO_MESSAGE: (
        "The credential has no message for it: default_reply_message answers what matches no keyword, "
        "fuzzy_opt_out_message what almost opts out."
    ),
    replies.NOT_A_NUMBER: "Its sender is a short code or a name, which nobody can be reached at.",
    replies.OWN_NUMBER: "Its sender is the number it was written to, which would answer itself.",
    replies.NO_SENDER: "It does not say which number it was written to, and a reply goes out from that one.",
    replies.NUMBER_BLOCKED: SENTENCES[NUMBER_BLOCKED],
    replies.ECHO: "It repeats a text of ours, as an auto-responder does.",
    replies.TOO_SOON: "The person had the same reply less than a minute before.",
    replies.TOO_MANY: f"The person had the same reply {replies.MOST_A_DAY} times within a day.",
    replies.TOO_LATE: "It asked for nothing, and came hours after it was written.",
    replies.FAILED: "A fault of ours, which the log names: it could not be answered.",
    replies.CREDENTIAL_DELETED: "The credential is deleted: nothing is sent through it any more.",
    Action.CUSTOM: "Custom keywords are recorded for the journey, and get no reply of ours.",
    Action.OTHER_NUMBER: (
        "It was written to a number that is not the credential's inbound_number, so it belongs to another installation "
        "on the same account: it is kept, changes no consent and gets no reply."
    ),
}


def why_no_reply(inbound: InboundMessage) -> str | None:
    """The sentence; None where one went, or nothing is decided yet."""
    code = _no_reply(inbound)
    return None if code is None else NO_REPLY.get(code, code)


def inbound_timeline(
    inbound: InboundMessage, change: ConsentChange | None, reply: Message | None, reply_stands: str | None
) -> list[Event]:
    """Events oldest first, each {"at", "kind", ...}. `change` is what it made of consent, `reply_stands` the reply's
    situation.

    Kinds: received, stored; once it is settled: read; consent; replied or not_replied.
    """
    events: list[Event] = [
        {"at": inbound.received_at, "kind": "received"},
        {"at": inbound.created_at, "kind": "stored"},
    ]
    if inbound.action is None:
        return events
    # When it was settled is kept only with what came of it.
    settled_at = change.changed_at if change else reply.created_at if reply else inbound.created_at
    events.append({"at": settled_at, "kind": "read", "action": inbound.action, "keyword": inbound.keyword})
    if change is not None:
        events.append({"at": settled_at, "kind": "consent", "state": change.state})
    code = _no_reply(inbound)
    if code is not None:
        sentence = why_no_reply(inbound)
        events.append({"at": settled_at, "kind": "not_replied", "reason": code, "sentence": sentence})
    elif reply is not None:
        events.append(
            {
                "at": reply.created_at,
                "kind": "replied",
                "message_id": reply.id,
                "state": reply.state,
                "sentence": reply_stands,
            }
        )
    return events


def _no_reply(inbound: InboundMessage) -> str | None:
    """Its code. Where no rule forbids a reply, and none went, the action is one that nothing answers."""
    if inbound.action is None or inbound.reply_id is not None:
        return None
    return inbound.no_reply or inbound.action.partition(":")[0]
