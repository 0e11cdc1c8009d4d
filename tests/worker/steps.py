"""What becomes of messages, step by step, and how they stand then. Each step commits.

Infobip's words are given; where a step takes `infobip` they are the sandbox's own.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import NOBODY_LISTENS, MadeLane, make_inbound, make_window, route_of
from tests.processes import wait_for
from worker import answers, cancelling, consents, inbound, moving, setting_aside
from worker.claims import claim
from worker.consent import Standing
from worker.consents import Person
from worker.db import database_now
from worker.errors import OutcomeUncertain, SendError
from worker.hours import parse_hours
from worker.infobip.answers import Answer
from worker.infobip.client import Infobip
from worker.infobip.inbound import Inbound
from worker.infobip.payloads import send_request
from worker.infobip.reading import BadItem
from worker.infobip.reports import Report, parse_item
from worker.infobip.statuses import Verdict, verdict
from worker.lookups import Lookups
from worker.models import Attempt, Batch, Consent, DeliveryReport, InboundMessage, Lane, Message
from worker.reports import apply_reports
from worker.settings import settings
from worker.states import State
from worker.submissions import OpenSubmission
from worker.tally import counts
from worker.windows import Window, opening
from worker.words import ConsentSource, ConsentState

ACCEPTED = verdict(26, 1, None, None)
LEASE_SECONDS = 60
NOWHERE = f"{NOBODY_LISTENS}/reports"


def take(session: Session, lane: MadeLane, limit: int = 500) -> OpenSubmission | None:
    """What is due is claimed, and stands in the order it was made in; None where nothing may leave."""
    submission = claim(session, route_of(session, lane), limit, LEASE_SECONDS, time.monotonic()).submission
    session.commit()
    if submission is None:
        return None
    return replace(submission, messages=sorted(submission.messages, key=lambda message: message.message_id))


def took(session: Session, lane: MadeLane, limit: int = 500) -> OpenSubmission:
    """What is due is claimed, and that is something."""
    submission = take(session, lane, limit)
    assert submission is not None
    return submission


def probed(session: Session, lane: MadeLane) -> OpenSubmission:
    """The one message that a held lane lets through is claimed."""
    claimed = claim(session, route_of(session, lane), 1, LEASE_SECONDS, time.monotonic(), is_probe=True)
    session.commit()
    assert claimed.submission is not None
    return claimed.submission


def answer(session: Session, submission: OpenSubmission, verdicts: Mapping[UUID, Verdict | None] | None = None) -> None:
    """Infobip takes them all, but for what `verdicts` says by message ID; None: the answer leaves that one out."""
    said = {sent.wire_id: (verdicts or {}).get(sent.message_id, ACCEPTED) for sent in submission.messages}
    known = {wire_id: one for wire_id, one in said.items() if one is not None}
    answers.record_answer(session, submission, Answer(known, {}), settings())
    session.commit()


def fail_with(session: Session, submission: OpenSubmission, error: SendError) -> list[OpenSubmission]:
    """There is no answer but this; returns the parts that go out again."""
    parts = answers.record_error(session, submission, error, settings(), time.monotonic)
    session.commit()
    return parts


def sent(session: Session, lane: MadeLane, infobip: Infobip) -> OpenSubmission:
    """What is due is claimed, and Infobip takes it; its reports go nowhere."""
    submission = took(session, lane)
    answers.record_answer(session, submission, _post(submission, infobip), settings())
    session.commit()
    return submission


def doubted(session: Session, lane: MadeLane, *, landed_at: Infobip | None = None) -> OpenSubmission:
    """What is due is claimed, and no answer comes; if it landed, its reports go nowhere."""
    submission = took(session, lane)
    if landed_at is not None:
        _post(submission, landed_at)
    fail_with(session, submission, OutcomeUncertain("time-out"))
    return submission


def _post(submission: OpenSubmission, infobip: Infobip) -> Answer:
    route = submission.route
    request = send_request(route.channel, submission.id, submission.messages, 0.0, NOWHERE, datetime.now(UTC))
    return infobip.submit(route.account, route.channel, request, 5.0)


def report(
    message_id: UUID, attempt: int = 1, status: int = 5, group: int = 3, error: int = 0, done: str = "12:00:01.000"
) -> Report:
    """That it is delivered, unless the numbers say something else."""
    item = parse_item(
        {
            "messageId": f"{message_id}-{attempt}",
            "status": {"id": status, "groupId": group, "name": f"S{status}", "groupName": "X"},
            "error": {"id": error},
            "doneAt": f"2026-11-23T{done}+0000",
            "price": {"pricePerMessage": 0.0021, "currency": "EUR"},
            "mccMnc": 40410,
        }
    )
    assert isinstance(item, Report)
    return item


def apply(session: Session, lane: MadeLane, *items: Report | BadItem) -> None:
    """A push with these reports."""
    apply_reports(session, [(lane.credential_id, list(items))], settings())
    session.commit()


def absent(session: Session, lookups: Lookups) -> None:
    """All the looks at what is in doubt, one after the other, which find nothing of it."""
    for _ in settings().doubt_looks:
        looks_due(session)
        lookups.look()


def change(session: Session, statement: str, **values: Any) -> None:
    """Rows, by SQL."""
    session.execute(text(statement), values)
    session.commit()


def consented(session: Session, lane: MadeLane, recipient: str, state: ConsentState, **standing: Any) -> None:
    """So this person stands towards the lane's credential from now on; `standing`: other fields of `Standing`."""
    now = database_now(session)
    new = Standing(**{"state": state, "source": ConsentSource.KEYWORD, "said_at": now, "changed_at": now, **standing})
    consents.write(session, {Person(recipient, lane.credential_id): new}, [])
    session.commit()


def wrote(session: Session, lane: MadeLane, text: str | None, **fields: Any) -> InboundMessage:
    """A handset writes, and a push brings it; how that is settled. `fields`: of `Inbound`."""
    return pushed(session, lane, make_inbound(text, **fields))[0]


def pushed(session: Session, lane: MadeLane, *items: Inbound) -> list[InboundMessage]:
    """A push with these messages, and their rows in its order."""
    inbound.take(session, [(lane.credential_id, items)], settings())
    session.commit()
    session.expire_all()
    mine = select(InboundMessage).where(InboundMessage.credential_id == lane.credential_id)
    rows = {row.provider_id: row for row in session.exec(mine)}
    return [rows[item.provider_id] for item in items]


def time_passes(session: Session, span: timedelta) -> None:
    """All that is known of consent and of replies was so much earlier."""
    for table, fields in {
        "message": ("created_at",),
        "inbound_message": ("created_at", "received_at"),
        "consent": ("changed_at", "pending_until", "said_at", "opted_out_at"),
    }.items():
        earlier = ", ".join(f"{field} = {field} - :span" for field in fields)
        session.execute(text(f"UPDATE {table} SET {earlier}"), {"span": span})
    session.commit()


def looks_due(session: Session) -> None:
    """Whatever is to be asked of the logs is to be asked now."""
    change(session, "UPDATE attempt SET look_at = now() WHERE look_at IS NOT NULL")


def batch_of(session: Session, message_id: UUID) -> Batch:
    session.expire_all()
    return session.get_one(Batch, session.get_one(Message, message_id).batch_id)


def steered(session: Session, verb: Callable[..., Batch], message_id: UUID, *values: Any) -> Batch:
    """What an operator does to the batch of this message, and how it stands then."""
    batch = verb(session, batch_of(session, message_id).id, *values)
    session.commit()
    return batch


def swept(engine: Engine) -> int:
    """Every sweep over steered batches has done all it had to; returns in how many chunks."""
    chunks = 0
    for sweep in (setting_aside.hold_and_free, cancelling.clear, moving.give_turns):
        while sweep(engine):
            chunks += 1
    return chunks


def at_once(*works: Callable[[], object]) -> None:
    """Each in a thread of its own. Errors: what one of them raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        for work in [pool.submit(work) for work in works]:
            work.result()


def retries_due(session: Session) -> None:
    """Whatever waits for its turn has it now."""
    change(session, "UPDATE message SET next_attempt_at = now()")


def windows_close(session: Session, opens_in: timedelta = timedelta(hours=2)) -> datetime:
    """Every message has a window that was open at its turn and has closed, for an hour now; returns when it opens."""
    window = make_window(database_now(session), opens_in, timedelta(hours=-1))
    change(
        session,
        "UPDATE batch SET sending_window = CAST(:window AS jsonb), created_at = created_at - interval '1 day'",
        window=json.dumps(window),
    )
    change(
        session,
        "UPDATE message SET next_attempt_at = now() - interval '2 hours', leave_before = now() - interval '1 hour' "
        "WHERE next_attempt_at IS NOT NULL",
    )
    return next_opening(session, window)


def next_opening(session: Session, window: Mapping[str, str], at: datetime | None = None) -> datetime:
    """From now on, or from `at`."""
    turn = opening(Window((parse_hours(window),)), at or database_now(session))
    assert turn is not None
    return turn.at


def turn_of(session: Session, message_id: UUID) -> tuple[datetime | None, datetime | None]:
    """Its turn, and before when it must leave."""
    row = message(session, message_id)
    return row.next_attempt_at, row.leave_before


def wait_until_blocking(session: Session) -> None:
    """Until somebody waits for what `session` has locked. The one step that does not commit."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    wait_for(lambda: session.execute(waiting).scalar_one())


def set_faults(sandbox: str, **faults: float) -> None:
    """What Infobip does from now on; without any, all is well again."""
    httpx.put(sandbox + "/sandbox/faults", json=faults).raise_for_status()


def message(session: Session, message_id: UUID) -> Message:
    session.expire_all()
    return session.get_one(Message, message_id)


def attempt(session: Session, message_id: UUID, number: int = 1) -> Attempt:
    session.expire_all()
    return session.get_one(Attempt, (message_id, number))


def lane_row(session: Session, lane: MadeLane) -> Lane:
    session.expire_all()
    return session.get_one(Lane, lane.id)


def consent_row(session: Session, lane: MadeLane, recipient: str) -> Consent:
    session.expire_all()
    return session.get_one(Consent, (recipient, lane.credential_id))


def state(session: Session, message_id: UUID) -> str:
    return message(session, message_id).state


def states(session: Session, ids: list[UUID]) -> list[str]:
    session.expire_all()
    return [session.get_one(Message, message_id).state for message_id in ids]


def results(session: Session) -> list[str]:
    """What came of each report that is stored, oldest first."""
    return [row.result for row in session.exec(select(DeliveryReport).order_by(DeliveryReport.id))]  # type: ignore[arg-type]


def accepted(sandbox: str) -> list[str]:
    """The wire IDs that Infobip has taken, once for each time."""
    return [item["message_id"] for item in httpx.get(sandbox + "/sandbox/messages?limit=1000").json()["items"]]


def assert_tally_is_exact(session: Session, lane: MadeLane) -> None:
    """The tally is count(*) by state and reason; of those delivered it also says which end they had before."""
    rows = session.execute(
        text(
            "SELECT state, CASE WHEN state IN ('queued', 'sending', 'sent', 'delivered') THEN '' "
            "ELSE coalesce(reason, '') END, count(*) FROM message WHERE lane_id = :lane GROUP BY 1, 2"
        ),
        {"lane": lane.id},
    )
    counted: Counter[tuple[State, str]] = Counter()
    for (state, reason), n in counts(session, [lane.id])[lane.id].items():
        counted[state, "" if state is State.DELIVERED else reason] += n
    assert counted == {(State(state), reason): n for state, reason, n in rows}
