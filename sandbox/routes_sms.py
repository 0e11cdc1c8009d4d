"""Infobip's SMS calls: send, preview, logs, and the pulls of reports and of inbound messages."""

from functools import lru_cache, partial

import orjson
from starlette.routing import Route

from sandbox import codes
from sandbox.acceptance import Addressed, Order
from sandbox.account import Account
from sandbox.calls import Answer, Call, infobip_route
from sandbox.channels import Channel
from sandbox.errors import flat, nested
from sandbox.reading import pull_reports, pull_sms, read_logs
from sandbox.sending import JSON, send
from sandbox.store import Message
from sandbox.text import MAX_PARTS, measure, transliterate
from sandbox.wire import Refused, bulk_id_of, seconds_of, send_at_of
from sandbox.wire_sms import SmsContent, SmsMessage, parse_preview, parse_sms

_measure = lru_cache(maxsize=4096)(measure)  # One text often goes to many.


def sms_routes(account: Account) -> list[Route]:
    return [
        infobip_route(account, "POST", "/sms/3/messages", partial(send, read_order), flat),
        infobip_route(account, "GET", "/sms/3/logs", partial(read_logs, Channel.SMS), flat),
        infobip_route(account, "GET", "/sms/3/reports", partial(pull_reports, Channel.SMS), flat),
        infobip_route(account, "GET", "/sms/1/inbox/reports", pull_sms, nested),
        infobip_route(account, "POST", "/sms/1/preview", preview, nested),
    ]


def read_order(account: Account, call: Call) -> Order:
    request = parse_sms(call.body)
    options = request.get("options", {})
    with_count = options.get("includeSmsCountInResponse", False)
    addressed = [_addressed(message, with_count) for message in request["messages"]]
    return Order(addressed, bulk_id_of(options), send_at_of(options))


def _addressed(message: SmsMessage, with_count: bool) -> Addressed:
    content, options, webhooks = message["content"], message.get("options", {}), message.get("webhooks", {})
    count = _part_count(content)
    india = options.get("regional", {}).get("indiaDlt")
    shared = Message(
        Channel.SMS,
        message.get("sender"),
        content,
        content.get("text"),
        webhooks.get("callbackData"),
        india["principalEntityId"] if india else None,
        india.get("contentTemplateId") if india else None,
        options.get("campaignReferenceId"),
        options.get("platform"),
        seconds_of(options.get("validityPeriod")),
        count,
    )
    return Addressed(
        shared,
        message["destinations"],
        webhooks.get("delivery", {}),
        codes.MESSAGE_TOO_LONG if count > MAX_PARTS else None,
        {"messageCount": count} if with_count and "text" in content else None,
    )


def _part_count(content: SmsContent) -> int:
    if "text" not in content:
        octets = len(content["hex"].replace(" ", "")) // 2
        return 1 if octets <= 140 else -(-octets // 134)
    return _measure(content["text"], content.get("language", {}).get("languageCode"))[0]


def preview(account: Account, call: Call) -> Answer:
    if call.media_type != JSON:
        return Answer(400, nested(400, [("Content-Type", f"must be {JSON}")]))
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
