"""Infobip's SMS calls: send, preview, logs, and the pulls of reports and of inbound messages."""

import uuid
from collections.abc import Iterator

import orjson
from starlette.routing import Route

from sandbox import codes
from sandbox.acceptance import Acceptance, is_poisoned
from sandbox.account import Account
from sandbox.calls import Answer, Call, Handler, InfobipCall
from sandbox.clock import format_ms, now_ms
from sandbox.errors import ErrorBody, flat, nested
from sandbox.inbound import InboundMessage
from sandbox.outcomes import network_of
from sandbox.queries import InboxQuery, LogsQuery, ReportsQuery, format_cursor, parse_query
from sandbox.reports import Report
from sandbox.store import Record
from sandbox.text import measure, transliterate
from sandbox.wire import Refused, parse_preview, parse_send

RETENTION_MS = 48 * 3600 * 1000


def sms_routes(account: Account) -> list[Route]:
    def route(method: str, path: str, handler: Handler, error_body: ErrorBody) -> Route:
        return Route(path, InfobipCall(account, handler, error_body), methods=[method])

    return [
        route("POST", "/sms/3/messages", send, flat),
        route("GET", "/sms/3/logs", read_logs, flat),
        route("GET", "/sms/3/reports", pull_reports, flat),
        route("GET", "/sms/1/inbox/reports", pull_inbound, nested),
        route("POST", "/sms/1/preview", preview, nested),
    ]


def _is_json(call: Call) -> bool:
    return call.content_type.partition(";")[0].strip().lower() == "application/json"


def send(account: Account, call: Call) -> Answer:
    if not _is_json(call):
        return Answer(400, flat(400, [("Content-Type", "must be application/json")]))
    try:
        request = parse_send(call.body)
    except Refused as refused:
        return Answer(400, flat(400, refused.violations))
    if is_poisoned(request):
        return Answer(400, flat(400))
    bulk_id = request.get("options", {}).get("schedule", {}).get("bulkId") or str(uuid.uuid4())
    has_no_credit = call.key.startswith("nocredit")
    acceptance = Acceptance(account, call.arrived_ms, bulk_id, codes.NOT_ENOUGH_CREDITS if has_no_credit else None)
    acceptance.take(request)
    return Answer(200, orjson.dumps({"bulkId": bulk_id, "messages": acceptance.entries}))


def preview(account: Account, call: Call) -> Answer:
    if not _is_json(call):
        return Answer(400, nested(400, [("Content-Type", "must be application/json")]))
    try:
        request = parse_preview(call.body)
    except Refused as refused:
        return Answer(400, nested(400, refused.violations))
    text, language, alphabet = request["text"], request.get("languageCode"), request.get("transliteration")
    previews = [_preview_entry(text, measure(text), {})]
    if language or alphabet:
        changed = transliterate(text, alphabet) if alphabet and alphabet != "NONE" else text
        configuration: dict[str, object] = {}
        if language:
            configuration["language"] = {"languageCode": language}
        if alphabet:
            configuration["transliteration"] = alphabet
        previews.append(_preview_entry(changed, measure(changed, language), configuration))
    return Answer(200, orjson.dumps({"originalText": text, "previews": previews}))


def _preview_entry(text: str, measured: tuple[int, int], configuration: dict[str, object]) -> dict[str, object]:
    parts, remaining = measured
    return {
        "textPreview": text,
        "messageCount": parts,
        "charactersRemaining": remaining,
        "configuration": configuration,
    }


def read_logs(account: Account, call: Call) -> Answer:
    """Newest first, so that a cursor stays right while more is being sent."""
    if wait := account.logs_throttle.seconds_to_wait():
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
    platform = record.platform or {}
    mcc, mnc = network_of(record.to) if query.mcc is not None else ("", "")
    return (
        record.sent_ms >= now - RETENTION_MS
        and (not query.message_id or record.message_id in query.message_id)
        and (not query.bulk_id or record.bulk_id in query.bulk_id)
        and (query.destination is None or record.to == query.destination)
        and (query.sender is None or record.sender == query.sender)
        and (query.mcc is None or mcc == query.mcc)
        and (query.mnc is None or mnc == query.mnc)
        and (query.sent_since is None or record.sent_ms >= query.sent_since)
        and (query.sent_until is None or record.sent_ms <= query.sent_until)
        and (query.general_status is None or record.status(now)["groupName"] == query.general_status)
        and (query.entity_id is None or platform.get("entityId") == query.entity_id)
        and (query.application_id is None or platform.get("applicationId") == query.application_id)
        and (not query.campaign_reference_id or record.campaign_reference_id in query.campaign_reference_id)
    )


def _log_row(record: Record, now: int) -> dict[str, object]:
    content = record.content
    text_or_binary = {"text": content["text"]} if "text" in content else content
    row: dict[str, object] = {
        "bulkId": record.bulk_id,
        "messageId": record.message_id,
        "destination": record.to,
        "sentAt": format_ms(record.sent_ms),
        "messageCount": record.message_count,
        "mccMnc": record.mcc_mnc,
        "price": record.price,
        "status": record.status(now),
        "error": record.error if record.is_done(now) else codes.NO_ERROR,
        "content": text_or_binary,
    }
    if record.is_done(now):
        row["doneAt"] = format_ms(record.done_ms)
    if record.sender is not None:
        row["sender"] = record.sender
    if record.platform is not None:
        row["platform"] = record.platform
    if record.campaign_reference_id is not None:
        row["campaignReferenceId"] = record.campaign_reference_id
    return row


def pull_reports(account: Account, call: Call) -> Answer:
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
        if _is_offered(report, query, now):
            taken.append(report)
    for report in taken:
        del account.pull_queue[report.record.message_id]
    return Answer(200, orjson.dumps({"results": [report.as_wire() for report in taken]}))


def _is_offered(report: Report, query: ReportsQuery, now: int) -> bool:
    record = report.record
    platform = record.platform or {}
    return (
        now - RETENTION_MS <= record.sent_ms
        and report.done_ms <= now
        and (query.bulk_id is None or record.bulk_id == query.bulk_id)
        and (query.message_id is None or record.message_id == query.message_id)
        and (query.entity_id is None or platform.get("entityId") == query.entity_id)
        and (query.application_id is None or platform.get("applicationId") == query.application_id)
        and (query.campaign_reference_id is None or record.campaign_reference_id == query.campaign_reference_id)
    )


def pull_inbound(account: Account, call: Call) -> Answer:
    """Each message once: what is answered here is gone, even where the answer reaches nobody."""
    try:
        query = parse_query(InboxQuery, call.query)
    except Refused as refused:
        return Answer(400, nested(400, refused.violations))
    offered: list[InboundMessage] = []
    # What waits belongs to no application, entity or campaign: who names one is offered nothing.
    if query.application_id is query.entity_id is query.campaign_reference_id is None:
        oldest_ms = now_ms() - RETENTION_MS
        offered = [message for message in account.inbox if message.received_ms >= oldest_ms]
        account.inbox = offered[query.limit :]
    taken = offered[: query.limit]
    page = {
        "results": [message.as_wire() for message in taken],
        "messageCount": len(taken),
        "pendingMessageCount": len(offered) - len(taken),
    }
    return Answer(200, orjson.dumps(page))
