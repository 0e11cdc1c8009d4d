"""Single sends: those that arrive together are stored in one transaction (group_commit.py).

Locked, in this order: surfaces and credentials, shared (enqueue.py); idempotency keys, in theirs; the tally, last, in
its own. A batch, and a send by itself, takes its one key first. That makes no circle: a group waits for no surface; who
changes one, for whom a send by itself waits, holds no key; who holds the tally waits for nothing that a send holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from api.schemas.sends import MessageAccepted
from worker import idempotency
from worker.enqueue import Accepted, Draft, draft_messages, store_messages
from worker.idempotency import Claim, KeptAnswer
from worker.orders import MessageOrder
from worker.refusals import Refusal
from worker.states import State

STATUS = 202


@dataclass(frozen=True, slots=True)
class Send:
    """One request: what it orders, and its claim on an idempotency key where it named one."""

    order: MessageOrder
    claim: Claim | None


def write_sends(session: Session, sends: Sequence[Send]) -> list[Accepted | Refusal | None]:
    """The work of the group commit. Does not commit.

    None: not done here, but by itself (`requests.once`). Its idempotency key stands already, or may: there it waits for
    that key alone, and gets the first answer. Or it is refused and has a key, so that it may have been accepted before.
    Or its surface is being changed, or is none.
    """
    try:
        return _write(session, sends)
    except idempotency.KeyBusy:
        # Nobody can tell whose: those without one go on, the others each wait for their own.
        session.rollback()
        keyless = iter(_write(session, [send for send in sends if send.claim is None]))
        return [next(keyless) if send.claim is None else None for send in sends]


def _write(session: Session, sends: Sequence[Send]) -> list[Accepted | Refusal | None]:
    drafts = draft_messages(session, [send.order for send in sends])
    first: dict[tuple[UUID, str, str], int] = {}  # of each key
    answers: dict[Claim, KeptAnswer] = {}
    for index, (send, draft) in enumerate(zip(sends, drafts, strict=True)):
        if send.claim is not None and isinstance(draft, Draft) and first.setdefault(send.claim.name, index) == index:
            answers[send.claim] = KeptAnswer(STATUS, answer_of(draft.accepted))
    free = {first[name] for name in idempotency.claim_free(session, answers)}
    here = [
        draft if send.claim is None or index in free else None
        for index, (send, draft) in enumerate(zip(sends, drafts, strict=True))
    ]
    store_messages(session, [draft for draft in here if isinstance(draft, Draft)])
    return [draft.accepted if isinstance(draft, Draft) else draft for draft in here]


def answer_of(accepted: Accepted) -> bytes:
    return MessageAccepted(id=accepted.id, state=State.QUEUED).model_dump_json().encode()
