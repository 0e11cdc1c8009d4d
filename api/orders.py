"""Request bodies to orders: what a journey asks for, in the words of worker/orders.py."""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from api.problems import faults_of
from api.schemas.sends import BatchHead, BatchIn, BatchRow, MessageIn
from worker.enqueue_batch import MOST_ROWS
from worker.orders import NOTHING_GIVEN, BatchOrder, MessageOrder, Rejected, Row, Values
from worker.refusals import Refusal

MOST_LINE_BYTES = 1024 * 1024  # of NDJSON
_MOST_PARTS = 200 * MOST_ROWS  # of JSON: `[{},{},...` would take forty times its own size in memory

# What JSON takes memory for: strings, and what begins or parts values. A string that is not closed runs to the end, so
# that each byte is looked at once.
_PART = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{,]', re.DOTALL)

_one_row, _all_rows = TypeAdapter(BatchRow), TypeAdapter(list[BatchRow])
_read_line = _one_row.validate_json


def message_order(body: MessageIn) -> MessageOrder:
    return MessageOrder(
        surface=body.surface,
        to=body.to,
        text=body.text,
        values=_values(body),
        send_at=body.send_at,
        validity=body.validity_period,
    )


def refuse_too_many_parts(raw: bytes) -> None:
    """Errors: Refusal of a JSON body that holds far more than the rows of a batch do."""
    if sum(map(raw.count, (b'"', b",", b"{", b"["))) <= _MOST_PARTS:  # much quicker, but counts what is in texts too
        return
    if next(islice(_PART.finditer(raw), _MOST_PARTS, None), None) is not None:
        raise Refusal.of_field(
            "messages",
            f"at most {MOST_ROWS:,} rows fit in one request, with {_MOST_PARTS:,} names and values: send several",
        )


def batch_order(body: BatchIn) -> BatchOrder:
    """Rows of a wrong shape are among its rejected ones. Errors: Refusal where there are too many rows."""
    if len(body.messages) > MOST_ROWS:
        raise Refusal.of_field("messages", f"has {len(body.messages):,} rows: at most {MOST_ROWS:,} fit in one request")
    rows, rejected = _read_rows(body.messages)
    return _order(body, rows, rejected)


def head_order(head: BatchHead) -> BatchOrder:
    """The batch whose rows come after it."""
    return _order(head, (), ())


def read_lines(lines: Sequence[bytes | None], first: int) -> tuple[list[Row], list[Rejected]]:
    """Rows from lines of NDJSON, of which the first has this index; None: one that is too long."""
    rows, rejected = [], []
    for index, line in enumerate(lines, first):
        if line is None:
            rejected.append(Rejected(index, None, "messages", f"is longer than {MOST_LINE_BYTES:,} bytes"))
            continue
        try:
            rows.append(_row(index, _read_line(line)))
        except ValidationError as error:
            rejected.append(_rejected(index, _item_of(line), error))
    return rows, rejected


def _order(head: BatchHead, rows: Sequence[Row], rejected: Sequence[Rejected]) -> BatchOrder:
    return BatchOrder(
        surface=head.surface,
        rows=rows,
        rejected=rejected,
        text=head.text,
        values=_values(head),
        journey=head.journey,
        send_at=head.send_at,
        validity=head.validity_period,
        skips_invalid=head.on_invalid == "skip",
        deduplicates=head.deduplicate,
        messages_per_second=head.messages_per_second,
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
            rejected.append(_rejected(index, item, error))
    return rows, rejected


def _rejected(index: int, item: Any, error: ValidationError) -> Rejected:
    fault = faults_of(error)[0]
    to = item.get("to") if isinstance(item, dict) else None
    field = "messages" if fault.field == "body" else fault.field
    return Rejected(index, to if isinstance(to, str) else None, field, fault.message)


def _item_of(line: bytes) -> Any:
    try:
        return from_json(line)
    except ValueError:
        return None


def _row(index: int, row: BatchRow) -> Row:
    return Row(index, row.to, row.text, row.variables, _values(row))


def _values(body: MessageIn | BatchHead | BatchRow) -> Values:
    if body.callback_data is None and body.content_template_id is None and body.principal_entity_id is None:
        return NOTHING_GIVEN
    return Values(
        callback_data=body.callback_data,
        content_template_id=body.content_template_id,
        principal_entity_id=body.principal_entity_id,
    )
