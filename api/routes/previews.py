"""Preview: what a send would become, before anything is sent."""

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth import MaySend
from api.bodies import JsonBody, Posted
from api.links import check_links
from api.orders import batch_order
from api.schemas.preview import Forcing, NetworkCost, PreviewItem, PreviewOut, SegmentsOut
from api.schemas.sends import BatchIn, RejectedOut
from worker.costs import Cost
from worker.db import open_session
from worker.preview import MOST_ROWS, Sample, preview
from worker.refusals import Refusal
from worker.segments import Segments
from worker.words import Channel

router = APIRouter(prefix="/v1/preview", tags=["Batches"])

_COST_DIGITS = 4


@router.post("")
def preview_batch(caller: MaySend, posted: Annotated[Posted[BatchIn], Depends(JsonBody(BatchIn))]) -> PreviewOut:
    """What a batch of up to 1,000 rows would become, and nothing of it is sent: each text as it would go out, how many
    parts it takes, the DLT template it fits, when it would leave, whom consent keeps it from, which rows would be
    rejected, and what it would cost. The body is that of `POST /v1/batches`, as JSON of at most 2 MiB."""
    if len(posted.body.messages) > MOST_ROWS:
        raise Refusal.of_field("messages", f"at most {MOST_ROWS:,} rows fit in a preview: give a few of them")
    order = batch_order(posted.body)
    check_links(posted.engine, None, order.mms)
    with open_session(posted.engine) as session:
        found = preview(session, order)
    return PreviewOut(
        items=[_item(sample) for sample in found.samples],
        rejected=[
            RejectedOut(index=row.index, to=row.to, field=row.field, reason=row.reason) for row in found.rejected
        ],
        duplicates=found.duplicates,
        parts=found.parts,
        cost=[_cost(channel, cost) for channel, cost in found.costs],
    )


def _item(sample: Sample) -> PreviewItem:
    return PreviewItem(
        index=sample.index,
        to=sample.recipient,
        goes_as=sample.goes_as,
        sender=sample.sender,
        text=sample.text,
        sent_as=sample.sent_as,
        mms=None if sample.mms is None else sample.mms.as_json(),
        segments=None if sample.segments is None else _segments(sample.segments),
        content_template_id=sample.content_template_id,
        principal_entity_id=sample.principal_entity_id,
        warning=sample.warning,
        not_sent=sample.not_sent,
        leaves_at=sample.turn and sample.turn.at,
        leaves_before=sample.turn and sample.turn.leave_before,
    )


def _segments(segments: Segments) -> SegmentsOut:
    forcing = None
    if segments.forcing is not None and segments.forcing_at is not None and segments.forcing_name is not None:
        forcing = Forcing(character=segments.forcing, name=segments.forcing_name, at=segments.forcing_at)
    return SegmentsOut(
        encoding=segments.encoding,
        parts=segments.parts,
        characters=segments.characters,
        left=segments.left,
        tables=segments.tables,
        forcing=forcing,
    )


def _cost(channel: Channel, cost: Cost) -> NetworkCost:
    return NetworkCost(
        channel=channel,
        mcc_mnc=cost.network,
        messages=cost.messages,
        parts=cost.parts,
        amount=None if cost.amount is None else round(float(cost.amount), _COST_DIGITS),
        currency=cost.currency,
    )
