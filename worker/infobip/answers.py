"""What Infobip answers to a send, and to a question of its logs or of its inbox: the bodies of a 200. All others:
http_errors.py."""

from dataclasses import dataclass
from typing import NamedTuple

from worker.errors import OutcomeUncertain
from worker.infobip.inbound import Inbound, parse_messages
from worker.infobip.reading import BadItem, Unreadable, as_int, as_object, read_json, storable
from worker.infobip.reports import Report, parse_results, read_verdict
from worker.infobip.statuses import Verdict
from worker.words import MOST_WORDS, Outcome

MOST_UNREADABLE_BYTES = 64 * 1024  # kept of a page of the inbox that is none


@dataclass(frozen=True, slots=True)
class Answer:
    """What Infobip says of each message of a request, by its wire ID. Entries may be missing."""

    verdicts: dict[str, Verdict]
    details: dict[str, str]  # Infobip's words, where it did not just take the message


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows of Infobip's logs; `cursor` asks for those that follow, None where there are none."""

    rows: list[Report | BadItem]
    cursor: str | None


class InboxPage(NamedTuple):
    """Inbound messages that Infobip has kept for us, and how many more it says it has; 0 where it does not say.

    What cannot be read as a page is one too, with all that came as one BadItem: it may hold messages, and Infobip does
    not give them again.
    """

    messages: list[Inbound | BadItem]
    pending_count: int
    is_readable: bool = True


def read_answer(status: int, body: bytes) -> Answer:
    """The answer to a send that came with this HTTP status. Shape: {"messages": [{"messageId", "status"}]}.

    Errors: OutcomeUncertain if it cannot be read.
    """
    try:
        document = read_json(body)
    except Unreadable as error:
        raise OutcomeUncertain(f"HTTP {status} with an answer that is not JSON") from error
    entries = as_object(document).get("messages")
    if not isinstance(entries, list):
        raise OutcomeUncertain(f'HTTP {status} with an answer that has no "messages" list')
    answer = Answer({}, {})
    for entry in map(as_object, entries):
        wire_id, said = entry.get("messageId"), entry.get("status")
        if not isinstance(wire_id, str) or not isinstance(said, dict):
            continue  # as good as missing: the message it was meant for stays in doubt
        verdict = read_verdict(said, as_object(entry.get("error")))
        answer.verdicts[wire_id] = verdict
        if verdict.outcome is not Outcome.PENDING:
            words = [said.get(key) for key in ("name", "description", "action")]
            answer.details[wire_id] = storable(". ".join(word for word in words if isinstance(word, str))[:MOST_WORDS])
    return answer


def read_log_page(body: bytes, cursor: str | None) -> LogPage:
    """The page that was asked for with this cursor. An empty page, or the same cursor again, is the end.

    Shape: {"results": [as in a report], "cursor": {"nextCursor"}}. Errors: OutcomeUncertain if it cannot be read.
    """
    try:
        document = read_json(body)
        rows = parse_results(document)
    except Unreadable as error:
        raise OutcomeUncertain(f"the logs answered, but {error}") from error
    following = as_object(document.get("cursor")).get("nextCursor")
    return LogPage(rows, following if isinstance(following, str) and rows and following != cursor else None)


def read_inbox_page(body: bytes) -> InboxPage:
    """Shape: {"results": [messages, inbound.py], "pendingMessageCount", which that for MMS does not give}. Any body
    is a page."""
    try:
        document = read_json(body)
        messages = parse_messages(document)
    except Unreadable:
        kept = body[:MOST_UNREADABLE_BYTES].decode(errors="replace")
        return InboxPage([BadItem("unreadable page", kept)], 0, is_readable=False)
    return InboxPage(messages, max(as_int(document.get("pendingMessageCount")) or 0, 0))


def read_upload(body: bytes) -> str:
    """Infobip's ID of a file that was handed over. Shape: {"uploadedContentId"}. Errors: OutcomeUncertain."""
    try:
        uploaded_id = as_object(read_json(body)).get("uploadedContentId")
    except Unreadable as error:
        raise OutcomeUncertain(f"the upload was answered, but {error}") from error
    if not isinstance(uploaded_id, str) or not storable(uploaded_id).strip():
        raise OutcomeUncertain('the upload was answered, but without an "uploadedContentId"')
    return str(storable(uploaded_id))
