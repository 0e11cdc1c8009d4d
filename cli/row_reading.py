"""Rows in the API's form, judged as the API does: a test holds the two against each other. All but their shape is
decided by the API's own functions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cli.errors import CommandError
from cli.send_faults import option_of
from cli.send_shapes import manner_of, mms_of, row_of, template_variables_of, values_of
from worker.mms import Mms
from worker.orders import MessageOrder
from worker.refusals import Refusal
from worker.rows import BadRow, Checked, Reading, RowReader, read_message
from worker.segments import Segments


class Judged(NamedTuple):
    """A message as it would go out. `text`: of an MMS, what its recipient sees; it has no `segments`.
    `content_template_id`: that it goes under, of whatever level."""

    recipient: str
    text: str
    segments: Segments | None
    content_template_id: str | None
    warning: str | None


class Reader:
    """Reads what goes through a surface."""

    def __init__(self, send: Mapping[str, Any], below: Reading) -> None:
        """`send`: in the API's words, what the rows of a batch share. `below`: by what the surface has it read. Errors:
        CommandError of that."""
        self._text = send.get("text")
        try:
            self._reading = replace(
                below, values=values_of(send).over(below.values), manner=manner_of(send).over(below.manner)
            )
            self._mms = mms_of(send.get("mms"))
            self._reader = RowReader(
                self._reading, self._text, self._mms, send.get("template"), template_variables_of(send)
            )
        except BadRow as error:
            raise CommandError(f"{option_of(error.field)}: {error.reason}") from error
        except Refusal as refusal:
            named = [f"{option_of(fault.field)}: {fault.message}" for fault in refusal.faults]
            raise CommandError("; ".join(named)) from refusal

    def read(self, values: Mapping[str, Any]) -> Judged:
        """Errors: BadRow."""
        checked = self._reader.read(row_of(values))
        return _judged(checked, self._text, self._mms, self._reader.segments, self._reading)


def texts_of(send: Mapping[str, Any]) -> list[str]:
    """All that rows share and that may hold placeholders. Errors: CommandError."""
    try:
        mms = mms_of(send.get("mms"))
    except BadRow as error:
        raise CommandError(f"{option_of(error.field)}: {error.reason}") from error
    text = send.get("text")
    return [*([] if text is None else [text]), *([] if mms is None else mms.texts())]


def read_single(send: Mapping[str, Any], below: Reading) -> Judged:
    """The same of a message without a batch. Errors: BadRow."""
    mms = mms_of(send.get("mms"))
    order = MessageOrder(
        surface=send["surface"],
        to=send["to"],
        text=send.get("text"),
        mms=mms,
        template=send.get("template"),
        template_variables=template_variables_of(send),
        values=values_of(send),
    )
    return _judged(read_message(order, below), None, mms, None, below)


def _judged(checked: Checked, text: str | None, mms: Mms | None, segments: Segments | None, reading: Reading) -> Judged:
    """`text`, `mms` and `segments` are what all rows have that bring none of their own."""
    whole = checked.mms or mms
    said = _seen(whole) if whole is not None else text if checked.text is None else checked.text
    assert said is not None  # else it had no content
    values = checked.values.over(reading.values)
    return Judged(checked.recipient, said, checked.segments or segments, values.content_template_id, checked.warning)


def _seen(mms: Mms) -> str:
    parts = ["SMIL" if part.kind == "smil" else part.value for part in mms.parts]
    instead = [] if mms.fallback_text is None else [f"in its place: {mms.fallback_text}"]
    return "; ".join([*([] if mms.title is None else [mms.title]), *parts, *instead])
