"""Request bodies to orders: what a journey asks for, in the words of worker/orders.py."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from api.problems import faults_of
from api.schemas.sends import BatchHead, BatchIn, BatchRow, MessageIn
from worker.enqueue_batch import MOST_ROWS
from worker.orders import NOTHING_GIVEN, BatchOrder, Manner, MessageOrder, Rejected, Row, Values
from worker.refusals import Refusal
from worker.windows import OFF

MOST_LINE_BYTES = 1024 * 1024  # of NDJSON
# Of JSON: as `[{},{},...` 32 MiB would take 1.6 GB. So many, in 32 MiB, take up to 0.35 GB as rows of a batch, and as
# whatever is refused once it is parsed 0.5 GB, in `journey` 0.8 GB.
MOST_VALUES = 200 * MOST_ROWS
_PIECE_BYTES = 64 * 1024  # that are looked at in one go: no other thread runs meanwhile

_one_row, _all_rows = TypeAdapter(BatchRow), TypeAdapter(list[BatchRow])
_read_line = _one_row.validate_json


def message_order(body: MessageIn) -> MessageOrder:
    return MessageOrder(
        surface=body.surface,
        to=body.to,
        text=body.text,
        mms=None if body.mms is None else body.mms.mms(),
        template=body.template,
        template_variables=body.template_variables,
        values=_values(body),
        send_at=body.send_at,
        validity=body.validity_period,
    )


def refuse_too_many_values(raw: bytes) -> None:
    """Errors: Refusal of a JSON body that would take far more memory than the rows of a batch do."""
    if len(raw) <= MOST_VALUES:  # each takes a byte at least
        return
    found = 0
    for count in count_values(raw):
        found += count
        if found > MOST_VALUES:
            raise Refusal.of_field(
                "messages",
                f"there are more than {MOST_VALUES:,} names and values in the request: send several, each of at most"
                f" {MOST_ROWS:,} rows",
            )


def count_values(raw: bytes, piece_bytes: int = _PIECE_BYTES) -> Iterator[int]:
    """How many names and values JSON holds, piece by piece: texts, numbers, lists, objects and so on. An empty list or
    object counts as if it held something. What is no JSON is counted up to where its reader stops."""
    yield 1  # the outermost one; every other one follows one of `,:[{`
    at, is_in_text = 0, False
    while at < len(raw):
        piece = raw[at : at + piece_bytes]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = raw[at : at + piece_bytes + 1]  # with what its last backslash escapes
        at += len(piece)
        stretches = piece.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')  # by turns in and out of a text
        outside = b"".join(stretches[is_in_text::2])
        yield sum(map(outside.count, (b",", b":", b"[", b"{")))
        is_in_text ^= len(stretches) % 2 == 0


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
        mms=None if head.mms is None else head.mms.mms(),
        template=head.template,
        template_variables=head.template_variables,
        values=_values(head),
        manner=_manner(head),
        window_off_reason=head.window_off_reason,
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
    return Row(index, row.to, row.text, row.variables, _values(row), row.template, row.template_variables)


def _manner(head: BatchHead) -> Manner:
    """Errors: Refusal."""
    refuse_window_without_reason(head.sending_window, head.window_off_reason)
    return Manner(transliteration=head.transliteration, language=head.language, sending_window=head.sending_window)


def refuse_window_without_reason(window: Any, reason: str | None) -> None:
    """Errors: Refusal."""
    if (window == OFF) != (reason is not None):
        raise Refusal.of_field(
            "window_off_reason", 'says why sending_window is "off": give both, or neither (null clears them)'
        )


def _values(body: MessageIn | BatchHead | BatchRow) -> Values:
    if body.callback_data is None and body.content_template_id is None and body.principal_entity_id is None:
        return NOTHING_GIVEN
    return Values(
        callback_data=body.callback_data,
        content_template_id=body.content_template_id,
        principal_entity_id=body.principal_entity_id,
    )
