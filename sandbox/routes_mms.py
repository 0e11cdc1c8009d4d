"""Infobip's MMS calls: send, upload, logs, and the pulls of reports and of inbound messages."""

import re
from functools import partial

import orjson
from starlette.routing import Route

from sandbox import codes
from sandbox.acceptance import Addressed, Order
from sandbox.account import Account
from sandbox.calls import Answer, Call, infobip_route, media_type_in
from sandbox.channels import Channel
from sandbox.errors import flat, nested, of_upload
from sandbox.reading import pull_mms, pull_reports, read_logs
from sandbox.sending import send
from sandbox.store import Message
from sandbox.wire import Violations, bulk_id_of, seconds_of, send_at_of
from sandbox.wire_mms import MmsMessage, parse_mms, recipients_of

MAX_TEXT_LENGTH = 1600  # Infobip's schema lets 4096 pass, and its status 77 then refuses the message.
UPLOAD_KEPT_MINUTES = 69_120
BINARY = "application/octet-stream"

_POSITIVE_INT64 = re.compile(r"[1-9][0-9]{0,17}")


def mms_routes(account: Account) -> list[Route]:
    return [
        infobip_route(account, "POST", "/mms/2/messages", partial(send, read_order), flat),
        infobip_route(account, "GET", "/mms/2/logs", partial(read_logs, Channel.MMS), flat),
        infobip_route(account, "GET", "/mms/2/reports", partial(pull_reports, Channel.MMS), flat),
        infobip_route(account, "GET", "/mms/1/inbox/reports", pull_mms, nested),
        infobip_route(account, "POST", "/mms/1/content", upload, of_upload),
    ]


def read_order(account: Account, call: Call) -> Order:
    request = parse_mms(call.body, lambda uploaded_id: account.uploads.has(uploaded_id, call.arrived_ms))
    options = request.get("options", {})
    return Order([_addressed(message) for message in request["messages"]], bulk_id_of(options), send_at_of(options))


def _addressed(message: MmsMessage) -> Addressed:
    content, options, webhooks = message["content"], message.get("options", {}), message.get("webhooks", {})
    texts = [segment["text"] for segment in content["messageSegments"] if segment["type"] == "TEXT"]
    shared = Message(
        channel=Channel.MMS,
        sender=message["sender"],
        content=content,
        text=texts[0] if texts else None,
        callback_data=webhooks.get("callbackData"),
        principal_entity_id=None,
        content_template_id=None,
        campaign_reference_id=options.get("campaignReferenceId"),
        platform=options.get("platform"),
        validity_seconds=seconds_of(options.get("validityPeriod")),
        count=1,
    )
    is_too_long = any(len(text) > MAX_TEXT_LENGTH for text in texts)
    return Addressed(
        shared,
        recipients_of(message),
        webhooks.get("delivery", {}),
        codes.TEXT_TOO_LONG if is_too_long else None,
    )


def upload(account: Account, call: Call) -> Answer:
    """Takes the bytes of a medium, to be named by `uploadedContentId`. How large it may be is not documented."""
    if broken := _broken_upload_rules(call):
        return Answer(400, of_upload(400, broken))
    kept_minutes = int(call.header("X-Validity-Period-Minutes") or UPLOAD_KEPT_MINUTES)
    uploaded_id = account.uploads.keep(call.arrived_ms + kept_minutes * 60_000)
    return Answer(200, orjson.dumps({"uploadedContentId": uploaded_id}))


def _broken_upload_rules(call: Call) -> Violations:
    """Infobip's documents name one content type, its own client sends the other."""
    media_type = media_type_in(call.header("X-Media-Type"))
    kind, _, subtype = media_type.partition("/")
    broken: Violations = []
    if not call.header("X-Content-Id"):
        broken.append(("X-Content-Id", "header is required"))
    if not (kind and subtype):
        broken.append(("X-Media-Type", "header is required, a media type like image/jpeg"))
    if call.media_type not in (BINARY, media_type):
        broken.append(("Content-Type", f"must be {BINARY} or what X-Media-Type says"))
    minutes = call.header("X-Validity-Period-Minutes")
    if minutes and not _POSITIVE_INT64.fullmatch(minutes):
        broken.append(("X-Validity-Period-Minutes", "must be a whole number of minutes, at least 1"))
    if not call.body:
        broken.append(("body", "is empty"))
    return broken
