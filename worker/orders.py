"""Sends as they are asked for: a batch with its rows, or a single message. What becomes of them: enqueue.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from worker.alphabets import Language
from worker.hours import Hours
from worker.mms import Mms
from worker.transliteration import Transliteration


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What may be given at every level; None: not given here."""

    callback_data: str | None = None
    content_template_id: str | None = None
    principal_entity_id: str | None = None

    def over(self, below: "Values") -> "Values":
        """These values where given, else those of the level below."""
        return Values(
            callback_data=below.callback_data if self.callback_data is None else self.callback_data,
            content_template_id=self.content_template_id or below.content_template_id,
            principal_entity_id=self.principal_entity_id or below.principal_entity_id,
        )


NOTHING_GIVEN = Values()

Off = Literal["off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How texts are sent, and when: given by a batch, else by its surface; None: not given here."""

    transliteration: Transliteration | None = None
    language: Language | None = None
    sending_window: Hours | Off | None = None

    def over(self, below: "Manner") -> "Manner":
        """This manner where given, else that of the level below."""
        return Manner(
            transliteration=self.transliteration or below.transliteration,
            language=self.language or below.language,
            sending_window=self.sending_window or below.sending_window,
        )


USUAL_MANNER = Manner()


@dataclass(slots=True)  # not frozen: 10,000 times a batch, it is made in half the time
class Row:
    """One message of a batch, as asked for. `index` counts the rows of the request from 0."""

    index: int
    to: str
    text: str | None = None
    variables: Mapping[str, str] | None = None
    values: Values = NOTHING_GIVEN
    template: str | None = None  # a DLT template, by its content template ID or its name
    template_variables: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be sent, and why; `to` as it was given, if it was."""

    index: int
    to: str | None
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """A batch, as asked for. `rejected` are rows that were found wrong before (their shape). Of one whose rows come one
    after the other, and are many, neither stands here: audience.py."""

    surface: str
    rows: Sequence[Row] = ()
    rejected: Sequence[Rejected] = ()
    text: str | None = None
    mms: Mms | None = None
    template: str | None = None
    template_variables: Sequence[str] | None = None
    values: Values = NOTHING_GIVEN
    manner: Manner = USUAL_MANNER
    window_off_reason: str | None = None
    journey: Any = None
    send_at: datetime | None = None
    validity: timedelta | None = None
    skips_invalid: bool = False
    deduplicates: bool = False  # the first row of each recipient counts, the others are dropped
    messages_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOrder:
    """A single send, as asked for."""

    surface: str
    to: str
    text: str | None = None
    mms: Mms | None = None
    template: str | None = None
    template_variables: Sequence[str] | None = None
    values: Values = NOTHING_GIVEN
    send_at: datetime | None = None
    validity: timedelta | None = None
