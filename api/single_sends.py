"""Single sends: those that arrive together are stored in one transaction (group_commit.py).

Locked, in this order: surfaces and credentials, shared (places.py); idempotency keys, in theirs; the tally, last, in
its own. A batch, and a send by itself, takes its one key first. That makes no circle: a group waits for no surface; who
changes one, for whom a send by itself waits, holds no key; who holds the tally waits for nothing that a send holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from api.schemas.sends import MessageAccepted
from worker import idempotency
from worker.enqueue import Accepted, Draft, draft_messages, store_messages
from worker.idempotency import Identity, KeptAnswer, Key
from worker.orders import MessageOrder
from worker.refusals import Refusal
from worker.states import State

STATUS = 202


@dataclass(frozen=True, slots=True)
class Send:
    """One request: what it orders, and its idempotency key where it named one."""

    order: MessageOrder
    key: Key | None


def write_sends(session: Session, sends: Sequence[Send]) -> list[Accepted | Refusal | None]:
    """The work of the group commit. Does not commit.

    None: not done here, but by itself (once.py). Its idempotency key stands already, or may: there it waits for
    that key alone, and gets the first answer. Or it is refused and has a key, so that it may have been accepted before.
    Or its surface is being changed, or is none.
    """
    try:
        return _write(session, sends)
    except idempotency.KeyBusy:
        # Nobody can tell whose: those without one go on, the others each wait for their own.
        session.rollback()
        keyless = iter(_write(session, [send for send in sends if send.key is None]))
        return [next(keyless) if send.key is None else None for send in sends]


def _write(session: Session, sends: Sequence[Send]) -> list[Accepted | Refusal | None]:
    drafts = draft_messages(session, [send.order for send in sends])
    first: dict[Identity, int] = {}  # the first send of each key
    answers: dict[Key, KeptAnswer] = {}
    for index, (send, draft) in enumerate(zip(sends, drafts, strict=True)):
        if send.key is not None and isinstance(draft, Draft) and first.setdefault(send.key.identity, index) == index:
            answers[send.key] = KeptAnswer(STATUS, answer_of(draft.accepted))
    free = {first[identity] for identity in idempotency.take_free(session, answers)}
    here = [
        draft if send.key is None or index in free else None
        for index, (send, draft) in enumerate(zip(sends, drafts, strict=True))
    ]
    store_messages(session, [draft for draft in here if isinstance(draft, Draft)])
    return [draft.accepted if isinstance(draft, Draft) else draft for draft in here]


def answer_of(accepted: Accepted) -> bytes:
    state = State.QUEUED if accepted.accepted else State.SUPPRESSED
    return (
        MessageAccepted(id=accepted.id, state=state, warning=accepted.warning)
        .model_dump_json(exclude_none=True)
        .encode()
    )
