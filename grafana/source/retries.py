"""*Retries and expiry*: what is tried again and why, how much validity that leaves, and what is lost to the clock."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.source.frame import framed
from grafana.source.panels import (
    COUNT,
    KIND,
    LANE,
    LANE_NAME,
    NUMBER,
    PER_SECOND,
    RATE,
    SECONDS,
    SHARE,
    TYPE,
    USED,
    Panel,
    Query,
    Words,
    above,
    bars,
    heat,
    lines,
    or_none,
)

_ATTEMPTS = ("1", "2", "3", "4+")


def dashboard() -> Dashboard:
    return framed(
        "delivery-retries",
        "Retries and expiry",
        "What is tried again and why, how much validity is left for it, what expires, and what is held or in doubt.",
        {
            "Retries": _retries(),
            "Validity that is left at each attempt": [_left_at(attempt) for attempt in _ATTEMPTS],
            "Expiry": _expiry(),
            "Held and in doubt": _stuck(),
        },
    )


def _retries() -> list[Panel]:
    finish = "delivery_attempts_to_finish"
    delivered = f'sum(rate({finish}_count{{state="delivered"}}{RATE}))'
    return [
        lines(
            "Retries scheduled, by reason",
            PER_SECOND,
            [Query(f"topk(10, sum by (reason) (rate(delivery_retries_scheduled_total{RATE})))", "{{reason}}")],
            Words(
                "Attempts a second that failed for now, by what they met.",
                "one reason grows: docs/reasons.md says what it means. EC_ABSENT_SUBSCRIBER: phones are off.",
                "what-to-do",
            ),
            is_stacked=True,
        ),
        lines(
            "Waiting for the next attempt, by reason",
            COUNT,
            [
                Query(
                    f'sum by (reason) (delivery:undelivered_messages:max{{{KIND}, state="retrying"}})',
                    "{{reason}}",
                )
            ],
            Words(
                "Messages in state retrying, by what the last attempt met.",
                "it only grows: the retry schedule is long, or the trouble lasts; they come due together afterwards.",
                "what-to-do",
            ),
            is_stacked=True,
        ),
        lines(
            "Delivered by which attempt",
            SHARE,
            [
                Query(
                    f'sum(rate({finish}_bucket{{state="delivered", le="{most}.0"}}{RATE})) / {delivered}',
                    f"by attempt {most}",
                )
                for most in (1, 2, 3, 5)
            ],
            Words(
                "Share of the delivered messages that had arrived by their first, second, third and fifth attempt.",
                "the first falls: networks or phones. No gap between the last two: later attempts bring nothing, so a "
                "shorter validity costs nothing.",
                "messagesexpire",
            ),
        ),
        lines(
            "Attempts until the end",
            NUMBER,
            [
                Query(
                    f"sum by (state) (rate({finish}_sum{RATE})) / sum by (state) (rate({finish}_count{RATE}))",
                    "{{state}}",
                )
            ],
            Words(
                "Attempts that messages took on average, by how they ended.",
                "expired near 1: the validity leaves no room for retries, compare it with `DELIVERY_RETRY_SCHEDULE`.",
                "messagesexpire",
            ),
        ),
    ]


def _left_at(attempt: str) -> Panel:
    return heat(
        f"Attempt {attempt}",
        SECONDS,
        Query(
            f'sum by (le) (increase(delivery_remaining_validity_seconds_bucket{{{TYPE}, attempt="{attempt}"}}{RATE}))',
            "{{le}}",
        ),
        Words(
            f"Validity that was left when attempt {attempt} went out; dark is many messages.",
            "first attempts low on the scale: messages come late or wait for long. Later ones at the bottom: they have "
            "one try left.",
            "messagesexpire",
        ),
    )


def _expiry() -> list[Panel]:
    return [
        lines(
            "Expired by cause, last half hour",
            COUNT,
            [
                Query(
                    f'sum by (reason) (delivery:undelivered_messages:increase30m{{{KIND}, state="expired"}})',
                    "{{reason}}",
                )
            ],
            Words(
                "Messages that expired within the half hour before, by the last thing that went wrong.",
                "a reason of the network's: phones. One of ours: the lane was held or slow, see Backlog on Delivery.",
                "messagesexpire",
            ),
            is_stacked=True,
        ),
        lines(
            "Expired share, last hour",
            SHARE,
            [
                Query(
                    f"delivery:messages_expired:increase1h{{{LANE}}} / delivery:messages_tried:increase1h{{{LANE}}}",
                    LANE_NAME,
                )
            ],
            Words(
                "Share expired of what ended within the hour before.",
                "above a tenth: by cause, at the left. Replay what is still worth it with `delivery replay`.",
                "messagesexpire",
            ),
            steps=above(0.1),
        ),
        lines(
            "Will expire before their turn",
            COUNT,
            [Query(f"delivery:forecast_expiring_messages:max{{{LANE}}} {USED}", LANE_NAME)],
            Words(
                "The forecast: how many of the messages that wait will not leave in time at the rate of late.",
                "above zero for minutes: raise the rate, add workers, or cancel what matters least.",
                "messageswillexpire",
            ),
            steps=above(1),
        ),
        lines(
            "Validity ends within",
            COUNT,
            [Query(f"sum by (within) (delivery:expiring_messages:max{{{KIND}}})", "{{within}}")],
            Words(
                "Messages on their way whose validity ends soon; each line holds those of the shorter ones.",
                "many in 5m while their lane is held: they are lost unless it opens now.",
                "messageswillexpire",
            ),
        ),
    ]


def _stuck() -> list[Panel]:
    held = "delivery:lane_held:max"
    return [
        bars(
            "Held lanes",
            Query(or_none(f"{held}{{{LANE}}} > 0", held), f"{LANE_NAME} {{{{kind}}}}"),
            Words(
                "A bar is drawn while a lane is held, by what: fault (Infobip), account (key, address, credit).",
                "seconds of fault are normal. Account needs a hand: `delivery lanes` gives the reason.",
                "a-held-lane",
            ),
        ),
        lines(
            "In doubt",
            COUNT,
            [
                Query(f"delivery:messages_in_doubt:max{{{LANE}}} {USED}", f"messages, {LANE_NAME}"),
                Query("delivery:submissions_in_doubt:max", "requests, all lanes"),
            ],
            Words(
                "Messages of which nobody knows whether Infobip has them, and the requests that they were in.",
                "settled within half a minute as a rule; for longer, Infobip's logs do not answer: `logs_unreachable`.",
                "messagesindoubt",
            ),
        ),
    ]
