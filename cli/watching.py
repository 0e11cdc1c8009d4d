"""What `delivery watch` knows: the latest look, and how fast things move from one look to the next.

However long it is left open, it keeps no more than its newest looks.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli.api_client import ApiClient
from worker.states import FINAL, LIVE, WAITING, State

RECENT_SECONDS = 300
_RATE_SECONDS = 5.0  # a rate is the mean of these: answers of Infobip come by the hundreds
_HISTORY = 120  # looks
_STATES = ("running", "paused", "scheduled")  # of batches, in the order in which they are shown
_MOST_OF_A_STATE = 50
_REASON_LOOKS = 60  # kept of the recent past, evenly

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """One look. Rates are messages that ended, a second; None where there was no look before.

    `reasons`: why messages did not arrive, of the last `reason_seconds`; where that is None, of all that is kept.
    """

    at: datetime
    lanes: Sequence[Item] = ()
    batches: Sequence[Item] = ()
    has_more: bool = False  # batches, than those
    rates: Mapping[str, float] = field(default_factory=dict)  # by the ID of a lane or batch
    rate: float | None = None
    history: Sequence[float] = ()
    reasons: Sequence[tuple[str, int]] = ()
    reason_seconds: float | None = None


class Watch:
    """`batch_id`: that batch alone. `now` is monotonic, in seconds. Errors of a look: CommandError."""

    def __init__(self, batch_id: str | None = None) -> None:
        self.batch_id = batch_id
        self._ended: deque[tuple[float, dict[str, int]]] = deque()
        self._history: deque[float] = deque(maxlen=_HISTORY)
        self._reasons: deque[tuple[float, Counter[str]]] = deque()

    def look(self, api: ApiClient, now: float) -> Seen:
        if self.batch_id is not None:
            return self.saw([], [api.glance(f"/v1/batches/{self.batch_id}")], now)
        lanes = api.glance("/v1/lanes")["items"]
        pages = [api.glance("/v1/batches", state=state, limit=_MOST_OF_A_STATE) for state in _STATES]
        # One that changes its state from page to page may stand on two, as it then was.
        batches = {batch["id"]: batch for page in pages for batch in page["items"]}
        return self.saw(lanes, list(batches.values()), now, any(page["next_cursor"] for page in pages))

    def saw(self, lanes: Sequence[Item], batches: Sequence[Item], now: float, has_more: bool = False) -> Seen:
        """What follows from these answers of the API."""
        counted = lanes or batches
        rates = self._rates([*lanes, *batches], now)
        rate = sum(rates.get(item["id"], 0.0) for item in counted) if rates else None
        if rate is not None:
            self._history.append(rate)
        reasons: Counter[str] = Counter()
        for item in counted:
            for reason in item["reasons"]:
                reasons[reason["reason"]] += reason["count"]
        recent, seconds = self._recent(reasons, now)
        return Seen(
            at=datetime.now(UTC),
            lanes=lanes,
            batches=batches,
            has_more=has_more,
            rates=rates,
            rate=rate,
            history=tuple(self._history),
            reasons=recent.most_common(),
            reason_seconds=seconds,
        )

    def _rates(self, items: Sequence[Item], now: float) -> dict[str, float]:
        ended = {item["id"]: in_states(item, FINAL) for item in items}
        before = next(iter(self._ended), None)
        self._ended.append((now, ended))
        while len(self._ended) > 2 and self._ended[1][0] <= now - _RATE_SECONDS:
            self._ended.popleft()
        if before is None or now <= before[0]:
            return {}
        seconds = now - before[0]
        # What was not there before is new: it says nothing yet. Deleted rows make counts fall.
        return {key: max(0, n - before[1][key]) / seconds for key, n in ended.items() if key in before[1]}

    def _recent(self, reasons: Counter[str], now: float) -> tuple[Counter[str], float | None]:
        kept = self._reasons
        if not kept or now - kept[-1][0] >= RECENT_SECONDS / _REASON_LOOKS:
            kept.append((now, reasons))
        while len(kept) > 1 and kept[1][0] <= now - RECENT_SECONDS:
            kept.popleft()
        seconds = now - kept[0][0]
        return (reasons - kept[0][1], seconds) if seconds else (reasons, None)


def in_states(item: Item, states: Sequence[State]) -> int:
    return sum(item["counts"].get(state, 0) for state in states)


def is_over(batch: Item) -> bool:
    return not in_states(batch, LIVE)


def waiting(item: Item) -> int:
    return in_states(item, WAITING)


def under_way(item: Item) -> int:
    return in_states(item, (State.SENDING, State.SENT))
