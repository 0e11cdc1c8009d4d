"""Replays: see what of a batch would go out again, then send it, once. What is left out, and why: docs/replay.md."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlmodel import Session

from api.announcing import announce
from api.auth import MayReplay
from api.batch_views import find_batch
from api.bodies import JsonBody, Posted
from api.once import Done, json_answer, once
from api.schemas.replays import Cost, NothingReplayed, ReplayGroup, ReplayIn, ReplayOut, ReplayPreview
from api.schemas.sends import ReasonCount
from worker import replay
from worker.db import open_session
from worker.enqueue import Accepted
from worker.metrics import replays_total
from worker.orders import Values
from worker.replay import Preview, Replay
from worker.replay_choice import DEFAULT_STATES, ReplayOrder
from worker.sentences import explain
from worker.states import State

router = APIRouter(prefix="/v1/batches", tags=["Batches"])

_COST_DIGITS = 4


class _Body(JsonBody[ReplayIn]):
    """All of it is optional, and so is the body."""

    def _parse(self, raw: bytes) -> ReplayIn:
        return super()._parse(raw or b"{}")


@router.post(
    "/{batch_id}/replay",
    status_code=201,
    response_model=ReplayOut,
    responses={
        200: {
            "model": ReplayPreview | ReplayOut | NothingReplayed,
            "description": "The preview, with `dry_run`. Else nothing was left to replay: the newest batch that "
            "replays this one, if there is any, and `accepted` 0.",
        }
    },
)
def replay_batch(
    caller: MayReplay, batch_id: UUID, posted: Annotated[Posted[ReplayIn], Depends(_Body(ReplayIn))]
) -> Response:
    """Send what of a batch was not delivered again, as a new batch linked to it: each message once, ever. It goes
    through the surface as it is now, with a validity period of its own."""
    order = _order(batch_id, posted.body)
    if posted.body.dry_run:
        with open_session(posted.engine) as session:
            return json_answer(_preview(replay.preview(session, order)).model_dump_json().encode(), 200)

    def work(session: Session) -> Done:
        made = replay.replay(session, order)
        left_out = _counts(made.left_out)
        if made.id is None:
            return Done(NothingReplayed(left_out=left_out), 200)
        answer = ReplayOut(**dict(find_batch(session, made.id)), accepted=made.accepted, left_out=left_out)
        return Done(answer, 201, lambda: _announce(made)) if made.accepted else Done(answer, 200)

    return once(posted, work)


def _order(batch_id: UUID, body: ReplayIn) -> ReplayOrder:
    return ReplayOrder(
        batch_id=batch_id,
        states=[State(state) for state in body.states or DEFAULT_STATES],
        error_names=body.error_names,
        since=body.since,
        until=body.until,
        includes_unconfirmed=body.include_unconfirmed,
        validity=body.validity_period,
        values=Values(
            content_template_id=body.content_template_id,
            principal_entity_id=body.principal_entity_id,
        ),
    )


def _preview(found: Preview) -> ReplayPreview:
    groups = sorted(found.groups.items(), key=lambda group: -group[1])
    return ReplayPreview(
        would_replay=found.would_replay,
        groups=[
            ReplayGroup(state=state, reason=reason, sentence=explain(reason) if reason else None, count=count)
            for (state, reason), count in groups
        ],
        left_out=_counts(found.left_out),
        segments=found.segments,
        cost=found.cost and Cost(amount=round(float(found.cost.amount), _COST_DIGITS), currency=found.cost.currency),
    )


def _counts(left_out: Mapping[str, int]) -> list[ReasonCount]:
    """The most first."""
    return [ReasonCount(reason=reason, count=n) for reason, n in sorted(left_out.items(), key=lambda pair: -pair[1])]


def _announce(made: Replay) -> None:
    assert made.id is not None
    replays_total.inc()
    announce(
        [
            Accepted(
                id=made.id,
                lane_id=made.lane_id,
                channel=made.channel,
                message_type=made.message_type,
                accepted=made.accepted,
            )
        ]
    )
