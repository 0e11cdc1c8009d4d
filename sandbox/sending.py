"""The call that sends, as both channels have it: read, refuse as a whole, or take in and answer for each recipient."""

import uuid
from collections.abc import Callable

import orjson

from sandbox import codes
from sandbox.acceptance import Acceptance, Order
from sandbox.account import Account
from sandbox.calls import Answer, Call
from sandbox.errors import flat
from sandbox.wire import Refused

JSON = "application/json"

# Reads the body of a request; errors: Refused.
Read = Callable[[Account, Call], Order]


def send(read: Read, account: Account, call: Call) -> Answer:
    if call.media_type != JSON:
        return Answer(400, flat(400, [("Content-Type", f"must be {JSON}")]))
    try:
        order = read(account, call)
    except Refused as refused:
        return Answer(400, flat(400, refused.violations))
    if order.is_poisoned:
        return Answer(400, flat(400))
    bulk_id = order.bulk_id or str(uuid.uuid4())
    has_no_credit = call.key.startswith("nocredit")
    acceptance = Acceptance(account, call.arrived_ms, bulk_id, codes.NOT_ENOUGH_CREDITS if has_no_credit else None)
    acceptance.take(order)
    return Answer(200, orjson.dumps({"bulkId": bulk_id, "messages": acceptance.entries}))
