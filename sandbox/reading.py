"""What an account may read, of one channel at a time: the logs as often as asked; delivery reports and inbound messages
each once."""

from collections.abc import Iterator

import orjson

from sandbox import codes
from sandbox.account import Account
from sandbox.calls import Answer, Call
from sandbox.channels import Channel
from sandbox.clock import format_ms, now_ms
from sandbox.errors import flat, nested
from sandbox.inbound import InboundMessage
from sandbox.outcomes import network_of
from sandbox.queries import InboxQuery, LogsQuery, MmsInboxQuery, ReportsQuery, format_cursor, parse_query
from sandbox.reports import Report
from sandbox.store import Message, Record
from sandbox.wire import Refused

RETENTION_MS = 48 * 3600 * 1000


def read_logs(channel: Channel, account: Account, call: Call) -> Answer:
    """Newest first, so that a cursor stays right while more is being sent."""
    if wait := account.logs_throttles[channel].seconds_to_wait():
        return Answer(429, flat(429), wait)
    try:
        query = parse_query(LogsQuery, call.query)
    except Refused as refused:
        return Answer(400, flat(400, refused.violations))
    now = now_ms()
    shown_since = now - round(account.faults.chosen.logs_seconds * 1000)
    rows: list[dict[str, object]] = []
    page: dict[str, object] = {"results": rows}
    last_sequence = 0
    more = False
    for record in _candidates(account, query):
        if record.message.channel is not channel:
            continue
        if query.cursor is not None and record.sequence >= query.cursor:
            continue
        if record.accepted_ms > shown_since or not _is_wanted(record, query, now):
            continue
        if len(rows) == query.limit:
            more = True
            break
        rows.append(_log_row(record, now))
        last_sequence = record.sequence
    if query.use_cursor:
        page["cursor"] = {"limit": query.limit}
        if more:
            page["cursor"] = {"limit": query.limit, "nextCursor": format_cursor(last_sequence)}
    return Answer(200, orjson.dumps(page))


def _candidates(account: Account, query: LogsQuery) -> Iterator[Record]:
    """Records, newest first, that may match: by index where the query names ids, else all."""
    store = account.store
    if query.message_id:
        found = {record.sequence: record for name in query.message_id if (record := store.get(name))}
    elif query.bulk_id:
        found = {record.sequence: record for name in query.bulk_id for record in store.of_bulk(name)}
    else:
        return store.newest_first()
    return iter([found[sequence] for sequence in sorted(found, reverse=True)])


def _is_wanted(record: Record, query: LogsQuery, now: int) -> bool:
    message, platform = record.message, record.message.platform or {}
    mcc, mnc = network_of(record.to) if query.mcc is not None else ("", "")
    return (
        record.sent_ms >= now - RETENTION_MS
        and (not query.message_id or record.message_id in query.message_id)
        and (not query.bulk_id or record.bulk_id in query.bulk_id)
        and (query.destination is None or record.to == query.destination)
        and (query.sender is None or message.sender == query.sender)
        and (query.mcc is None or mcc == query.mcc)
        and (query.mnc is None or mnc == query.mnc)
        and (query.sent_since is None or record.sent_ms >= query.sent_since)
        and (query.sent_until is None or record.sent_ms <= query.sent_until)
        and (query.general_status is None or record.status(now)["groupName"] == query.general_status)
        and (query.entity_id is None or platform.get("entityId") == query.entity_id)
        and (query.application_id is None or platform.get("applicationId") == query.application_id)
        and (not query.campaign_reference_id or message.campaign_reference_id in query.campaign_reference_id)
    )


def _log_row(record: Record, now: int) -> dict[str, object]:
    message = record.message
    row: dict[str, object] = {
        "bulkId": record.bulk_id,
        "messageId": record.message_id,
        "destination": record.to,
        "sentAt": format_ms(record.sent_ms),
        "messageCount": message.count,
        "mccMnc": record.mcc_mnc,
        "price": record.price,
        "status": record.status(now),
        "error": record.error if record.is_done(now) else codes.NO_ERROR,
        "content": _logged_content(message),
    }
    if "title" in message.content:
        row["title"] = message.content["title"]
    if record.is_done(now):
        row["doneAt"] = format_ms(record.done_ms)
    if message.sender is not None:
        row["sender"] = message.sender
    if message.platform is not None:
        row["platform"] = message.platform
    if message.campaign_reference_id is not None:
        row["campaignReferenceId"] = message.campaign_reference_id
    return row


def _logged_content(message: Message) -> object:
    """Of a text SMS the text alone; anything else as it was sent."""
    return {"text": message.text} if "text" in message.content else message.content


def pull_reports(channel: Channel, account: Account, call: Call) -> Answer:
    """Each report once: what is answered here is gone."""
    try:
        query = parse_query(ReportsQuery, call.query)
    except Refused as refused:
        return Answer(400, flat(400, refused.violations))
    now = now_ms()
    taken: list[Report] = []
    for report in account.pull_queue.values():
        if len(taken) == query.limit:
            break
        if report.record.message.channel is channel and _is_offered(report, query, now):
            taken.append(report)
    for report in taken:
        del account.pull_queue[report.record.message_id]
    return Answer(200, orjson.dumps({"results": [report.as_wire() for report in taken]}))


def _is_offered(report: Report, query: ReportsQuery, now: int) -> bool:
    record, message = report.record, report.record.message
    platform = message.platform or {}
    return (
        now - RETENTION_MS <= record.sent_ms
        and report.done_ms <= now
        and (query.bulk_id is None or record.bulk_id == query.bulk_id)
        and (query.message_id is None or record.message_id == query.message_id)
        and (query.entity_id is None or platform.get("entityId") == query.entity_id)
        and (query.application_id is None or platform.get("applicationId") == query.application_id)
        and (query.campaign_reference_id is None or message.campaign_reference_id == query.campaign_reference_id)
    )


def pull_sms(account: Account, call: Call) -> Answer:
    """Each inbound message once: what is answered here is gone, even where the answer reaches nobody."""
    try:
        query = parse_query(InboxQuery, call.query)
    except Refused as refused:
        return Answer(400, nested(400, refused.violations))
    taken, left_count = _take_inbound(account, Channel.SMS, query, query.campaign_reference_id)
    page = {
        "results": [message.as_pulled() for message in taken],
        "messageCount": len(taken),
        "pendingMessageCount": left_count,
    }
    return Answer(200, orjson.dumps(page))


def pull_mms(account: Account, call: Call) -> Answer:
    """As the pull of SMS, but it does not tell how many more wait."""
    try:
        query = parse_query(MmsInboxQuery, call.query)
    except Refused as refused:
        return Answer(400, nested(400, refused.violations))
    taken, _ = _take_inbound(account, Channel.MMS, query)
    return Answer(200, orjson.dumps({"results": [message.as_pulled() for message in taken]}))


def _take_inbound(
    account: Account, channel: Channel, query: MmsInboxQuery, campaign_reference_id: str | None = None
) -> tuple[list[InboundMessage], int]:
    """What is answered, and how many more wait."""
    # What waits belongs to no application, entity or campaign: who names one is offered nothing.
    if not (query.application_id is query.entity_id is campaign_reference_id is None):
        return [], 0
    oldest_ms = now_ms() - RETENTION_MS
    offered = [message for message in account.inboxes[channel] if message.received_ms >= oldest_ms]
    account.inboxes[channel] = offered[query.limit :]
    return offered[: query.limit], len(account.inboxes[channel])
