"""Figures: how all lanes and batches stand, for Prometheus. One statement, quick whatever waits.

Counts come from the tally and are exact. What waits is known by batch: how many (tally) and until when. Messages
without a batch are what the lane has besides: the first of those that are due say how long they have; of others it is
not known when they expire, and the forecast takes none of them for lost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from worker.feeds import LAG
from worker.forecast import Waiting, drain_seconds, expiring
from worker.gate import WAITS
from worker.states import LIVE, WAITING, State
from worker.tally import count_in
from worker.words import UNSETTLED, SubmissionOutcome, listed

BATCH_STATES: Final = ("running", "paused", "scheduled")
WITHIN: Final = {"5m": 300, "1h": 3_600, "6h": 21_600, "24h": 86_400}  # seconds
LATELY: Final = timedelta(seconds=60)  # of what left in that time, the rate
MOST_COUNTED: Final = 10_000  # of what no tally counts
_CLOCKS_DIFFER = timedelta(seconds=60)  # IDs are made by the processes' clocks
_SAMPLE = 200
_SHORTEST_SECONDS = 5.0  # of the time over which a rate is taken
_QUEUES_FROM_SECONDS = 5.0  # a lane whose messages leave sooner has no queue

# The first UUIDv7 of that instant, as ids.first_id_at makes it.
_EARLIEST = f"""CAST(lpad(to_hex((extract(epoch FROM statement_timestamp()) * 1000)::bigint
    - {(LATELY + _CLOCKS_DIFFER) // timedelta(milliseconds=1)}), 12, '0') || '70008000000000000000' AS uuid)"""
_READ = text(f"""
    WITH lanes AS MATERIALIZED (
        SELECT l.id, l.channel, l.message_type, l.kind, c.name AS credential, due.oldest_seconds, due.singles_left
        FROM lane l JOIN credential c ON c.id = l.credential_id CROSS JOIN LATERAL (
            SELECT coalesce(extract(epoch FROM statement_timestamp() - min(head.next_attempt_at)), 0) AS oldest_seconds,
                   percentile_disc(ARRAY[0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
                       WITHIN GROUP (ORDER BY extract(epoch FROM head.expires_at - statement_timestamp()))
                       FILTER (WHERE head.batch_id IS NULL) AS singles_left
            FROM (
                SELECT m.next_attempt_at, m.expires_at, m.batch_id FROM message m
                WHERE m.lane_id = l.id AND {WAITS} AND m.next_attempt_at <= statement_timestamp()
                ORDER BY m.next_attempt_at, m.id LIMIT {_SAMPLE}) AS head
        ) AS due
    ), counted AS (
        SELECT l.id, of_lane.* FROM lanes l CROSS JOIN LATERAL (
            SELECT t.state, t.reason, sum(t.n)::bigint AS n
            FROM tally t WHERE t.subject_id = l.id GROUP BY 1, 2 HAVING sum(t.n) <> 0
        ) AS of_lane
    ), going AS (
        SELECT b.lane_id, b.paused_at IS NOT NULL AS is_paused, b.send_at > statement_timestamp() AS is_ahead,
               extract(epoch FROM b.expires_at - statement_timestamp()) AS seconds_left,
               {count_in("b.id", WAITING)} AS waiting, {count_in("b.id", LIVE)} AS live
        FROM batch b WHERE b.is_over <= false AND b.cancelled_at IS NULL
        ORDER BY coalesce(b.send_at, b.created_at), b.id
    ), lately AS (
        SELECT s.lane_id AS id, sum(s.message_count) FILTER (WHERE s.outcome = '{SubmissionOutcome.ANSWERED}'
                   AND s.opened_at > statement_timestamp() - make_interval(secs => least(
                       greatest(l.oldest_seconds, {_SHORTEST_SECONDS}), {LATELY.total_seconds()}))) AS n,
               sum(s.message_count) FILTER (WHERE s.outcome IS NULL) AS open
        FROM submission s JOIN lanes l ON l.id = s.lane_id WHERE s.id > {_EARLIEST} GROUP BY 1
    ), ending AS (
        SELECT m.lane_id, m.seconds FROM unnest(CAST(:live AS text[])) AS one (state) CROSS JOIN LATERAL (
            SELECT lane_id, batch_id, extract(epoch FROM expires_at - statement_timestamp()) AS seconds FROM message
            WHERE state = one.state AND state IN ({listed(LIVE)})
            ORDER BY expires_at LIMIT {MOST_COUNTED // 10}) AS m
        WHERE m.batch_id IS NULL
    )
    SELECT (SELECT json_agg(row_to_json(lanes)) FROM lanes) AS lanes,
           (SELECT json_agg(json_build_array(id, state, reason, n)) FROM counted) AS counted,
           (SELECT json_agg(row_to_json(going)) FROM going) AS going,
           (SELECT json_object_agg(id, json_build_array(n, open)) FROM lately) AS lately,
           (SELECT json_agg(json_build_array(lane_id, seconds)) FROM ending) AS ending,
           (SELECT count(DISTINCT submission_id) FROM (
               SELECT submission_id FROM attempt WHERE outcome IN ({listed(UNSETTLED)}) LIMIT {MOST_COUNTED}
           ) AS first_ones) AS submissions_in_doubt,
           ({LAG.text}) AS feed_lag_seconds
""")


class LaneName(NamedTuple):
    """As metrics name a lane. Those of deleted credentials count on under their names."""

    credential: str
    channel: str
    message_type: str


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """`ended`: how many ever ended in each state. `queue`: what waits and has begun, in the order of its turns."""

    name: LaneName
    kind: str | None  # of its hold
    counts: Mapping[tuple[State, str], int]
    oldest_due_seconds: float
    messages_per_second: float
    queue: Sequence[Waiting]
    messages_in_doubt: int

    def in_state(self, state: State) -> int:
        return sum(n for (found, _), n in self.counts.items() if found is state)

    def ended_in(self, state: State) -> int:
        """How many ever did: those too that were delivered after it."""
        return self.in_state(state) + self.counts.get((State.DELIVERED, state.value), 0)

    @property
    def is_queueing(self) -> bool:
        """Else its rate says nothing of what it could do: nobody asks more of it."""
        return self.oldest_due_seconds >= _QUEUES_FROM_SECONDS

    @property
    def drain_seconds(self) -> float:
        waiting = sum(group.messages for group in self.queue) if self.is_queueing else 0
        return drain_seconds(waiting, self.messages_per_second)

    @property
    def forecast_expiring(self) -> int:
        return expiring(self.queue, self.messages_per_second) if self.is_queueing else 0


@dataclass(frozen=True, slots=True)
class Figures:
    lanes: Sequence[LaneFigures]
    batches: Mapping[str, int]
    expiring: Mapping[tuple[str, str, str], int]  # by channel, message type and a word of WITHIN
    submissions_in_doubt: int
    feed_lag_seconds: float


def read_figures(connection: Connection) -> Figures:
    row = connection.execute(_READ, {"live": [state.value for state in LIVE]}).one()
    lanes = {lane["id"]: lane for lane in row.lanes or ()}
    going = [batch for batch in row.going or () if batch["lane_id"] in lanes]
    counts: dict[str, dict[tuple[State, str], int]] = {lane_id: {} for lane_id in lanes}
    for lane_id, state, reason, n in row.counted or ():
        counts[lane_id][State(state), reason] = n
    lately = row.lately or {}
    return Figures(
        lanes=[
            _lane(lane, counts[lane_id], [batch for batch in going if batch["lane_id"] == lane_id], lately.get(lane_id))
            for lane_id, lane in lanes.items()
        ],
        batches={state: [_state(batch) for batch in going].count(state) for state in BATCH_STATES},
        expiring=_expiring(lanes, going, row.ending or ()),
        submissions_in_doubt=row.submissions_in_doubt,
        feed_lag_seconds=row.feed_lag_seconds or 0.0,
    )


def _lane(
    lane: Mapping[str, Any],
    counts: Mapping[tuple[State, str], int],
    going: Sequence[Mapping[str, Any]],
    lately: Sequence[int | None] | None,
) -> LaneFigures:
    left, leaving = (n or 0 for n in lately or (0, 0))
    span = min(max(lane["oldest_seconds"], _SHORTEST_SECONDS), LATELY.total_seconds())
    sending = sum(n for (state, _), n in counts.items() if state is State.SENDING)
    return LaneFigures(
        name=LaneName(lane["credential"], lane["channel"], lane["message_type"]),
        kind=lane["kind"],
        counts=counts,
        oldest_due_seconds=lane["oldest_seconds"],
        messages_per_second=left / span,
        queue=_queue(sum(n for (state, _), n in counts.items() if state in WAITING), lane["singles_left"], going),
        messages_in_doubt=max(0, sending - leaving),
    )


def _queue(waiting: int, singles_left: Sequence[float] | None, going: Sequence[Mapping[str, Any]]) -> list[Waiting]:
    """Single sends first, the sample of them standing for all; then the batches that have begun, as they began."""
    of_batches = sum(batch["waiting"] for batch in going)
    queue = []
    if singles_left:
        singles = max(0, waiting - of_batches)
        parts = [singles * (place + 1) // len(singles_left) for place in range(len(singles_left))]
        for n, through, seconds in zip([0, *parts], parts, singles_left, strict=False):
            queue.append(Waiting(through - n, seconds))
    begun = [batch for batch in going if not batch["is_paused"] and not batch["is_ahead"]]
    return queue + [Waiting(min(batch["waiting"], waiting), batch["seconds_left"]) for batch in begun]


def _state(batch: Mapping[str, Any]) -> str:
    if batch["is_paused"]:
        return "paused"
    return "scheduled" if batch["is_ahead"] and batch["waiting"] == batch["live"] else "running"


def _expiring(
    lanes: Mapping[str, Any], going: Sequence[Mapping[str, Any]], ending: Sequence[tuple[str, float]]
) -> dict[tuple[str, str, str], int]:
    """Of batches exact; of single sends, as many as are among the next 1,000 of each state to end."""
    endings = [(batch["lane_id"], batch["seconds_left"], batch["live"]) for batch in going]
    endings += [(lane_id, seconds, 1) for lane_id, seconds in ending if lane_id in lanes]
    found: Counter[tuple[str, str, str]] = Counter()
    for lane_id, seconds_left, n in endings:
        lane = lanes[lane_id]
        for word, seconds in WITHIN.items():
            if seconds_left <= seconds:
                found[lane["channel"], lane["message_type"], word] += n
    return found
