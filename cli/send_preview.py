"""The API's own preview of a send's first messages: when they would leave, what they cost, what only it can judge."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cli.api_client import ApiClient, ApiRefusal
from cli.errors import CommandError
from cli.send_faults import in_options
from cli.tables import clock
from worker.sentences import explain

_AT_ONCE = timedelta(seconds=30)  # the clocks of two machines
_UNPROCESSABLE = 422


def preview(api: ApiClient, send: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The answer to POST /v1/preview. None where there is none: without rows, for a token that may only read, from an
    API that is away or knows no preview. `send`: in the API's words, what the rows share.

    Errors: CommandError of that, as the send itself would meet it.
    """
    if not rows:
        return None
    try:
        answer: dict[str, Any] = api.ask("/v1/preview", {**send, "messages": list(rows)})
    except ApiRefusal as refusal:
        if refusal.status == _UNPROCESSABLE:
            raise in_options(refusal) from refusal
        return None
    except CommandError:
        return None
    return answer


def preview_facts(answer: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Of the messages of a preview, for people."""
    items = answer["items"]
    turns = [item["leaves_at"] for item in items if item["leaves_at"] is not None]
    barred = [item["not_sent"] for item in items if item["not_sent"] is not None]
    facts = []
    if turns:
        first = min(turns, key=datetime.fromisoformat)
        is_soon = datetime.fromisoformat(first) <= now + _AT_ONCE
        facts.append(("first leaves", "at once" if is_soon else f"at {clock(first)}"))
        facts.append(("cost", _cost(answer["cost"], len(turns))))
    if barred:
        facts.append(("not sent", f"{len(barred)} of the first {len(items)}: {explain(barred[0])}"))
    return facts


def _cost(costs: Sequence[Mapping[str, Any]], count: int) -> str:
    """By past prices, which are not known of every network."""
    sums: dict[str, float] = defaultdict(float)
    unknown = 0
    for cost in costs:
        if cost["amount"] is None:
            unknown += cost["messages"]
        else:
            sums[cost["currency"]] += cost["amount"]
    whose = "this message" if count == 1 else f"the first {count}"
    if not sums:
        return f"no price is known for {whose}"
    told = " and ".join(f"{amount:.4f} {currency}" for currency, amount in sorted(sums.items()))
    return f"{told} for {whose}, by past prices" + (f"; of {unknown} of them no price is known" if unknown else "")
