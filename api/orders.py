"""Request bodies to orders: what a journey asks for, in the words of worker/orders.py."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.problems import faults_of
from api.schemas.sends import BatchIn, BatchRow, MessageIn
from worker.enqueue import MOST_ROWS
from worker.orders import NOTHING_GIVEN, BatchOrder, MessageOrder, Rejected, Row, Values
from worker.refusals import Refusal

_one_row, _all_rows = TypeAdapter(BatchRow), TypeAdapter(list[BatchRow])


def message_order(body: MessageIn) -> MessageOrder:
    return MessageOrder(
        surface=body.surface,
        to=body.to,
        text=body.text,
        values=_values(body),
        send_at=body.send_at,
        validity=body.validity_period,
    )


def batch_order(body: BatchIn) -> BatchOrder:
    """Rows of a wrong shape are among its rejected ones. Errors: Refusal where there are too many rows."""
    if len(body.messages) > MOST_ROWS:
        raise Refusal.of_field("messages", f"has {len(body.messages):,} rows: at most {MOST_ROWS:,} fit in one request")
    rows, rejected = _read_rows(body.messages)
    return BatchOrder(
        surface=body.surface,
        rows=rows,
        rejected=rejected,
        text=body.text,
        values=_values(body),
        journey=body.journey,
        send_at=body.send_at,
        validity=body.validity_period,
        skips_invalid=body.on_invalid == "skip",
    )


def _read_rows(items: Sequence[Any]) -> tuple[list[Row], list[Rejected]]:
    try:
        return [_row(index, row) for index, row in enumerate(_all_rows.validate_python(items))], []
    except ValidationError:
        pass  # row by row, which takes twice as long, for what is wrong with each
    rows, rejected = [], []
    for index, item in enumerate(items):
        try:
            rows.append(_row(index, _one_row.validate_python(item)))
        except ValidationError as error:
            fault = faults_of(error)[0]
            to = item.get("to") if isinstance(item, dict) else None
            to = to if isinstance(to, str) else None
            field = "messages" if fault.field == "body" else fault.field
            rejected.append(Rejected(index=index, to=to, field=field, reason=fault.message))
    return rows, rejected


def _row(index: int, row: BatchRow) -> Row:
    variables = {name: str(value) for name, value in row.variables.items()} if row.variables else None
    return Row(index, row.to, row.text, variables, _values(row))


def _values(body: MessageIn | BatchIn | BatchRow) -> Values:
    if body.callback_data is None and body.content_template_id is None and body.principal_entity_id is None:
        return NOTHING_GIVEN
    return Values(
        callback_data=body.callback_data,
        content_template_id=body.content_template_id,
        principal_entity_id=body.principal_entity_id,
    )
