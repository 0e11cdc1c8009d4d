"""Rows: from a message as asked for to a checked one, of a batch or sent singly. Nothing is written here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from worker.dlt.screen import Screen, Unfit
from worker.mms import BadMms, Mms, check_mms
from worker.orders import NOTHING_GIVEN, USUAL_MANNER, Manner, MessageOrder, Rejected, Row, Values
from worker.recipients import BadRecipient, normalise
from worker.refusals import Fault, Refusal
from worker.rendering import MissingVariables, Template, TooLong, placeholders
from worker.segments import MOST_PARTS, Segments, count, fault_of
from worker.windows import INDIA
from worker.words import Channel

MOST_TEXT_BYTES = 4_000
MOST_LISTED = 1_000  # of the rows that are told one by one
MMS_ALONE = "the surface sends MMS: give its content as mms, without text or template"
NO_TEMPLATE = "fill a template, and none is named: give one as template, or leave them out"
NO_TEMPLATE_OF_MMS = "fill a DLT template, and an MMS has none: leave them out"
NO_FALLBACK = (
    "MMS sent from outside India rarely reaches a handset there: give the mms a fallback_text, which goes as an SMS"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """By what the rows of one order are read. `values`: of the levels above the rows; `screen`: where DLT templates are
    known."""

    channel: Channel = Channel.SMS
    default_country: str | None = None
    values: Values = NOTHING_GIVEN
    manner: Manner = USUAL_MANNER
    screen: Screen | None = None


class Checked(NamedTuple):
    """One message, ready to be written. Content is None where it is the batch's, and then what the text takes is, too;
    `values` are those it keeps itself; `warning`: what is doubtful about it."""

    recipient: str
    text: str | None
    values: Values
    segments: Segments | None = None
    mms: Mms | None = None
    warning: str | None = None


class BadRow(ValueError):
    """What is wrong with one message, and in which field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class RowReader:
    """Reads the rows of one batch. Errors: Refusal of the batch's own content."""

    def __init__(
        self,
        reading: Reading,
        text: str | None = None,
        mms: Mms | None = None,
        template: str | None = None,
        template_variables: Sequence[str] | None = None,
    ) -> None:
        self._reading = reading
        self._shared = reading.values
        self._is_mms = reading.channel is Channel.MMS
        self._text = text
        self._mms = mms
        self._template = template
        self._template_variables = template_variables
        self._check_batch()
        self._filled = Template(text) if text is not None and placeholders(text) else None
        self._filled_in_mms = {} if mms is None else _templates(mms)
        self.segments = _takes(text, reading) if text is not None and self._filled is None else None
        if self.segments is not None and (fault := fault_of(self.segments)):
            raise Refusal.of_field("text", fault)

    def read(self, row: Row) -> Checked:
        """Errors: BadRow."""
        recipient = _read_recipient(row.to, self._reading.default_country)
        effective = self._shared if row.values is NOTHING_GIVEN else row.values.over(self._shared)
        _check_entity(effective)
        if self._is_mms:
            return self._read_mms(recipient, row, effective)
        if self._template is not None or row.template is not None or row.template_variables is not None:
            composed = self._compose(recipient, row, effective)
            if composed is not None:
                return composed
        text = self._read_text(row)
        if text is None:
            assert self._text is not None
            values, warning = _screened(self._reading, recipient, self._text, effective, row.values)
            return Checked(recipient, None, values, None, None, warning)
        return _finished(self._reading, recipient, text, effective, row.values)

    def _compose(self, recipient: str, row: Row, effective: Values) -> Checked | None:
        """With the text that the row's template makes, or the batch's; None where it has a text of its own."""
        if row.template is not None and row.text is not None:
            raise BadRow("template", "makes the text, and a text is given as well: give one of the two")
        template = row.template or (self._template if row.text is None else None)
        if template is not None:
            variables = self._template_variables if row.template_variables is None else row.template_variables
            return _composed(self._reading, recipient, row.values, template, variables or (), effective)
        if row.template_variables is not None:
            raise BadRow("template_variables", NO_TEMPLATE)
        return None

    def _read_text(self, row: Row) -> str | None:
        """None where it is the batch's. A text is measured before its placeholders are filled, and after: what a
        placeholder stands for may be of any length, and stand there many times."""
        if row.text is not None:
            _check_text(row.text)
            return _rendered(Template(row.text), row) if "{{" in row.text else row.text
        if self._filled is not None:
            return _rendered(self._filled, row)
        if self._text is None:
            raise BadRow("text", "is missing: neither this row nor the batch has a text")
        return None

    def _read_mms(self, recipient: str, row: Row, effective: Values) -> Checked:
        for field, given in (("text", row.text), ("template", row.template)):
            if given is not None:
                raise BadRow(field, "goes through an SMS surface: what an MMS holds, the batch says as a whole")
        if row.template_variables is not None:
            raise BadRow("template_variables", NO_TEMPLATE_OF_MMS)
        assert self._mms is not None
        templates = self._filled_in_mms
        if not templates:
            return _finished_mms(self._reading, recipient, self._mms, effective, row.values, is_own=False)

        def fill(field: str, text: str) -> str:
            template = templates.get(field)
            return text if template is None else _rendered(template, row, f"mms.{field}")

        mms = self._mms.with_texts(fill)
        return _finished_mms(self._reading, recipient, mms, effective, row.values, is_own=True)

    def _check_batch(self) -> None:
        """Errors: Refusal."""
        if self._reading.channel is Channel.MMS:
            if self._text is not None or self._template is not None:
                raise Refusal.of_field("mms", MMS_ALONE)
            if self._template_variables is not None:
                raise Refusal.of_field("template_variables", NO_TEMPLATE_OF_MMS)
            if self._mms is None:
                raise Refusal.of_field("mms", "is missing: the surface sends MMS")
            _refuse_bad_mms(self._mms, self._reading)
            return
        if self._mms is not None:
            raise Refusal.of_field("mms", "the surface sends SMS: give a text, or name a surface whose channel is mms")
        if self._text is not None and self._template is not None:
            raise Refusal.of_field("template", "makes the text, and a text is given as well: give one of the two")
        if self._template is None and self._template_variables is not None:
            raise Refusal.of_field("template_variables", NO_TEMPLATE)
        if self._text is not None and (fault := text_fault(self._text)):
            raise Refusal.of_field("text", fault)


def read_message(order: MessageOrder, reading: Reading) -> Checked:
    """A single send: without a batch it keeps its content and all its values itself.

    Errors: BadRow.
    """
    recipient = _read_recipient(order.to, reading.default_country)
    values = order.values.over(reading.values)
    if reading.channel is Channel.MMS:
        return _read_single_mms(order, reading, recipient, values)
    if order.mms is not None:
        raise BadRow("mms", "the surface sends SMS: give a text, or name a surface whose channel is mms")
    if order.template is not None:
        if order.text is not None:
            raise BadRow("template", "makes the text, and a text is given as well: give one of the two")
        _check_entity(values)
        variables = order.template_variables or ()
        checked = _composed(reading, recipient, order.values, order.template, variables, values)
        return checked._replace(values=checked.values.over(values))
    if order.template_variables is not None:
        raise BadRow("template_variables", NO_TEMPLATE)
    if order.text is None:
        raise BadRow("text", "is missing: give a text or a template")
    _check_text(order.text)
    if placeholders(order.text):
        raise BadRow("text", "holds {{placeholders}}, which only a batch fills in: write the whole text")
    _check_entity(values)
    return _finished(reading, recipient, order.text, values, values)


def _read_single_mms(order: MessageOrder, reading: Reading, recipient: str, values: Values) -> Checked:
    if order.text is not None or order.template is not None:
        raise BadRow("mms", MMS_ALONE)
    if order.template_variables is not None:
        raise BadRow("template_variables", NO_TEMPLATE_OF_MMS)
    if order.mms is None:
        raise BadRow("mms", "is missing: the surface sends MMS")
    if any(placeholders(part) for part in order.mms.texts()):
        raise BadRow("mms", "holds {{placeholders}}, which only a batch fills in: write the whole text")
    _check_entity(values)
    return _finished_mms(reading, recipient, order.mms, values, values, is_own=True)


def _finished(reading: Reading, recipient: str, text: str, effective: Values, own: Values) -> Checked:
    """With a text of its own."""
    manner = reading.manner
    segments = count(text, manner.language, manner.transliteration)
    if segments.parts > MOST_PARTS:
        raise BadRow("text", fault_of(segments) or "")
    values, warning = _screened(reading, recipient, text, effective, own)
    return Checked(recipient, text, values, segments, None, warning)


def _finished_mms(
    reading: Reading, recipient: str, mms: Mms, effective: Values, own: Values, *, is_own: bool
) -> Checked:
    """`is_own`: its content is not the batch's."""
    if is_own:
        _check_mms(mms, reading)
    warning: str | None = None
    if mms.fallback_text is not None:
        own, warning = _screened(reading, recipient, mms.fallback_text, effective, own, "mms.fallback_text")
    elif recipient.startswith(INDIA):
        warning = NO_FALLBACK
    return Checked(recipient, None, own, None, mms if is_own else None, warning)


def _composed(
    reading: Reading, recipient: str, given: Values, template: str, variables: Sequence[str], effective: Values
) -> Checked:
    """With the text that a DLT template makes of its variables."""
    if given.content_template_id is not None:
        raise BadRow("content_template_id", "follows from the template that is named: leave it out")
    if reading.screen is None:
        raise BadRow("template", "cannot be looked up here: send the whole text, with its content_template_id")
    try:
        made = reading.screen.compose(template, variables, effective.principal_entity_id)
    except Unfit as error:
        raise BadRow(error.field, error.reason) from error
    _check_text(made.text)
    own = made.values.over(given)
    return _finished(reading, recipient, made.text, own.over(effective), own)


def _screened(
    reading: Reading, recipient: str, text: str, effective: Values, own: Values, field: str = "text"
) -> tuple[Values, str | None]:
    """The values it keeps itself, with the DLT template that was found for it, and what is doubtful. `field`: where its
    text stands. Errors: BadRow."""
    screen = reading.screen
    if screen is None or not screen.is_on or not recipient.startswith(INDIA):
        return own, None
    try:
        found = screen.screen(text, effective)
    except Unfit as error:
        at_fault = field if error.field == "text" else error.field
        if screen.is_enforced:
            raise BadRow(at_fault, error.reason) from error
        return own, f"{at_fault}: {error.reason}"
    return (own if found is None else found.over(own)), None


def _takes(text: str, reading: Reading) -> Segments:
    return count(text, reading.manner.language, reading.manner.transliteration)


def _templates(mms: Mms) -> dict[str, Template]:
    """Of its texts those that rows fill, by field."""
    return {field: Template(text) for field, text in mms.named_texts() if placeholders(text)}


def _rendered(template: Template, row: Row, field: str = "text") -> str:
    try:
        text = template.render(row.variables or {}, MOST_TEXT_BYTES)
    except MissingVariables as error:
        raise BadRow("variables", str(error)) from error
    except TooLong as error:
        reason = f"has {error.count:,} characters with its placeholders filled: at most {MOST_TEXT_BYTES:,} bytes fit"
        raise BadRow(field, reason) from error
    _check_text(text, field)
    return text


def _refuse_bad_mms(mms: Mms, reading: Reading) -> None:
    """Errors: Refusal."""
    try:
        _check_mms(mms, reading)
    except BadRow as error:
        raise Refusal.of_field(error.field, error.reason) from error


def _check_mms(mms: Mms, reading: Reading) -> None:
    """Its texts as they are. Errors: BadRow."""
    try:
        check_mms(mms)
    except BadMms as error:
        raise BadRow(f"mms.{error.field}", error.reason) from error
    text = mms.fallback_text
    fault = None if text is None else text_fault(text) or fault_of(_takes(text, reading))
    if fault is not None:
        raise BadRow("mms.fallback_text", fault)


def refusal_of_rows(listed: Sequence[Rejected], count: int, *, is_all: bool = False, is_more: bool = False) -> Refusal:
    """Of a whole batch, naming the first of its `count` bad rows. `is_all`: no good one is left; `is_more`: the rows
    after these were not looked at."""
    faults = [Fault(row.field, row.reason, row.index) for row in listed[:MOST_LISTED]]
    unlisted = count - len(faults)
    wrong = f"{'at least ' if is_more else ''}{count:,} row{' is' if count == 1 else 's are'} wrong" + (
        f" (the first {len(faults):,} are listed, {unlisted:,} more are not)" if unlisted else ""
    )
    them = "it" if count == 1 else "them"
    advice = "none is left to send" if is_all else f'correct {them}, or send on_invalid "skip" to leave {them} out'
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


def _check_text(text: str, field: str = "text") -> None:
    fault = text_fault(text)
    if fault is not None:
        raise BadRow(field, fault)


def text_fault(text: str) -> str | None:
    """What keeps `text` from being sent."""
    if not text.strip():
        return "is empty"
    size = len(text) if text.isascii() else len(text.encode())
    return f"has {size:,} bytes in UTF-8: at most {MOST_TEXT_BYTES:,} fit" if size > MOST_TEXT_BYTES else None
