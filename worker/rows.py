"""Rows: from a message as asked for to a checked one, of a batch or sent singly. Nothing is written here."""

from collections.abc import Sequence
from typing import NamedTuple

from worker.orders import NOTHING_GIVEN, MessageOrder, Rejected, Row, Values
from worker.recipients import BadRecipient, normalise
from worker.refusals import Fault, Refusal
from worker.rendering import MissingVariables, Template, TooLong, placeholders

MOST_TEXT_BYTES = 4_000
MOST_LISTED = 1_000  # of the rows that are told one by one


class Checked(NamedTuple):
    """One message, ready to be written. `text` is None where it is the batch's; `values` are those it keeps itself."""

    recipient: str
    text: str | None
    values: Values


class BadRow(ValueError):
    """What is wrong with one message, and in which field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class RowReader:
    """Reads the rows of one batch. Errors: Refusal of the batch's own text."""

    def __init__(self, batch_text: str | None, default_country: str | None, shared: Values) -> None:
        self._shared = shared
        self._default_country = default_country
        self._batch_text = batch_text
        if batch_text is not None and (fault := text_fault(batch_text)):
            raise Refusal.of_field("text", fault)
        self._template = Template(batch_text) if batch_text is not None and placeholders(batch_text) else None

    def read(self, row: Row) -> Checked:
        """Errors: BadRow."""
        recipient = _read_recipient(row.to, self._default_country)
        _check_entity(self._shared if row.values is NOTHING_GIVEN else row.values.over(self._shared))
        return Checked(recipient, self._read_text(row), row.values)

    def _read_text(self, row: Row) -> str | None:
        """None where it is the batch's. A text is measured before its placeholders are filled, and after: what a
        placeholder stands for may be of any length, and stand there many times."""
        if row.text is not None:
            _check_text(row.text)
            return _rendered(Template(row.text), row) if "{{" in row.text else row.text
        if self._template is not None:
            return _rendered(self._template, row)
        if self._batch_text is None:
            raise BadRow("text", "is missing: neither this row nor the batch has a text")
        return None


def _rendered(template: Template, row: Row) -> str:
    try:
        text = template.render(row.variables or {}, MOST_TEXT_BYTES)
    except MissingVariables as error:
        raise BadRow("variables", str(error)) from error
    except TooLong as error:
        reason = f"has {error.count:,} characters with its placeholders filled: at most {MOST_TEXT_BYTES:,} bytes fit"
        raise BadRow("text", reason) from error
    _check_text(text)
    return text


def read_message(order: MessageOrder, default_country: str | None, above: Values) -> Checked:
    """A single send: without a batch it keeps its text and all its values itself. `above`: what its surface gives.

    Errors: BadRow.
    """
    recipient = _read_recipient(order.to, default_country)
    _check_text(order.text)
    if placeholders(order.text):
        raise BadRow("text", "holds {{placeholders}}, which only a batch fills in: write the whole text")
    values = order.values.over(above)
    _check_entity(values)
    return Checked(recipient, order.text, values)


def refusal_of_rows(listed: Sequence[Rejected], count: int, *, is_all: bool = False, is_more: bool = False) -> Refusal:
    """Of a whole batch, naming the first of its `count` bad rows. `is_all`: no good one is left; `is_more`: the rows
    after these were not looked at."""
    faults = [Fault(row.field, row.reason, row.index) for row in listed[:MOST_LISTED]]
    unlisted = count - len(faults)
    wrong = f"{'at least ' if is_more else ''}{count:,} row{' is' if count == 1 else 's are'} wrong" + (
        f" (the first {len(faults):,} are listed, {unlisted:,} more are not)" if unlisted else ""
    )
    advice = "none is left to send" if is_all else 'correct them, or send on_invalid "skip" to leave them out'
    return Refusal(f"{wrong}, and nothing was stored: {advice}", faults)


def _read_recipient(to: str, default_country: str | None) -> str:
    try:
        return normalise(to, default_country)
    except BadRecipient as error:
        raise BadRow("to", str(error)) from error


def _check_entity(values: Values) -> None:
    """Infobip takes a template only inside an entity; alone it could not be attached, and DLT would refuse it."""
    if values.content_template_id is not None and values.principal_entity_id is None:
        reason = "needs a principal_entity_id beside it: give one here, on the surface or on the credential"
        raise BadRow("content_template_id", reason)


def _check_text(text: str) -> None:
    fault = text_fault(text)
    if fault is not None:
        raise BadRow("text", fault)


def text_fault(text: str) -> str | None:
    """What keeps `text` from being sent."""
    if not text.strip():
        return "is empty"
    size = len(text) if text.isascii() else len(text.encode())
    return f"has {size:,} bytes in UTF-8: at most {MOST_TEXT_BYTES:,} fit" if size > MOST_TEXT_BYTES else None
