"""*Batches and inbound*: batches in hand, replays, what consent stopped, what people write back, and who is told."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.source.frame import framed
from grafana.source.panels import COUNT, KIND, LANE, PER_SECOND, RATE, SECONDS, WIDE, Panel, Query, Words, above, lines


def dashboard() -> Dashboard:
    return framed(
        "delivery-batches",
        "Batches and inbound",
        "Batches in hand and replayed, what consent stopped, what people write back, and what journeys are told.",
        {"Batches": _batches(), "Consent": _consent(), "Inbound": _inbound(), "Events": _events()},
    )


def _batches() -> list[Panel]:
    return [
        lines(
            "Batches that are not over",
            COUNT,
            [Query("delivery:batches:max", "{{state}}")],
            Words(
                "Batches by their state.",
                "paused ones that nobody paused have a `pause_reason`: `GET /v1/batches?state=paused`.",
                "what-to-do",
            ),
        ),
        lines(
            "Replays, an hour",
            COUNT,
            [Query("sum(increase(delivery_replays_total[1h]))", "batches")],
            Words(
                "Batches made within the hour before that replay another one.",
                "more than anybody ordered: see `replay_of` of the newest batches, and whose token may replay.",
                "what-to-do",
            ),
        ),
    ]


def _consent() -> list[Panel]:
    ended = "delivery:messages_finished_total:max"
    return [
        lines(
            "Suppressed and cancelled",
            PER_SECOND,
            [
                Query(
                    f'sum by (state) (rate({ended}{{{LANE}, state=~"suppressed|cancelled"}}{RATE}))',
                    "{{state}}",
                )
            ],
            Words(
                "Messages a second that consent stopped, or a caller.",
                "suppressed grows with a campaign: its list is old. Transactional ones: numbers that Infobip blocks.",
                "what-to-do",
            ),
            is_stacked=True,
        ),
        lines(
            "Suppressed by reason",
            COUNT,
            [
                Query(
                    f'sum by (reason) (delivery:undelivered_messages:max{{{KIND}, state="suppressed"}})',
                    "{{reason}}",
                )
            ],
            Words(
                "All messages that are suppressed, by why. How fast a line climbs is what counts.",
                "number_blocked climbs: a list of old numbers. opted_out: `GET /v1/consents/{to}/history` says when.",
                "what-to-do",
            ),
            is_stacked=True,
        ),
    ]


def _inbound() -> list[Panel]:
    inbound = "delivery_inbound_messages_total"
    return [
        lines(
            "Inbound by what it asks for",
            PER_SECOND,
            [Query(f"sum by (action) (rate({inbound}{RATE}))", "{{action}}")],
            Words(
                "Messages a second that people write, by what we understood.",
                "none, near_miss: read `GET /v1/inbound`, a keyword may be missing. other_number: the "
                "`inbound_number` of the credential.",
                "webhooksfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Opt-outs, an hour",
            COUNT,
            [
                Query(f'sum(increase({inbound}{{action="opt_out"}}[1h]))', "opt out"),
                Query(f'sum(increase({inbound}{{action=~"opt_in|double_opt_in"}}[1h]))', "opt in"),
            ],
            Words(
                "People who left, and who came back, within the hour before.",
                "a jump follows a campaign: its content or its list. None at all for long: does inbound arrive?",
                "webhooksfail",
            ),
        ),
        lines(
            "Inbound pulled, by outcome",
            PER_SECOND,
            [Query(f"sum by (outcome) (rate(delivery_inbound_pulls_total{RATE}))", "{{outcome}}")],
            Words(
                "Requests a second for inbound messages, where a credential has `inbound_pull`. Empty where none has.",
                "others than answered: `inbox_unreachable` in the log says why. None: no worker consumes upkeep.",
                "workersilent",
            ),
            is_stacked=True,
            width=WIDE,
        ),
    ]


def _events() -> list[Panel]:
    return [
        lines(
            "Pushes of events, by outcome",
            PER_SECOND,
            [Query(f"sum by (outcome) (rate(delivery_event_pushes_total{RATE}))", "{{outcome}}")],
            Words(
                "Requests a second to event endpoints. Empty where there is no endpoint.",
                "others than arrived: `GET /v1/event-endpoints` says which one fails, its deliveries say why.",
                "eventsdonotarrive",
            ),
            is_stacked=True,
        ),
        lines(
            "Events that arrived",
            PER_SECOND,
            [Query(f"sum(rate(delivery_events_pushed_total{RATE}))", "events")],
            Words(
                "Events a second that event endpoints took.",
                "none while messages end: as at the left, or the feed stands still.",
                "eventsdonotarrive",
            ),
        ),
        lines(
            "Feed lag",
            SECONDS,
            [Query("delivery:feed_lag_seconds:max", "lag")],
            Words(
                "How long the oldest event or report has waited that feeds may not tell yet.",
                "above a minute: a transaction somewhere in the cluster was left open.",
                "feeds-that-stand-still",
            ),
            steps=above(300),
            width=WIDE,
        ),
    ]
