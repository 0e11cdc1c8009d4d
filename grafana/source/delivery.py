"""*Delivery*: what comes in, what leaves, what arrives, how long it takes, and what waits."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.source.frame import framed
from grafana.source.panels import (
    COUNT,
    KIND,
    LANE,
    LANE_NAME,
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
    below,
    lines,
    number,
    percentiles,
)


def dashboard() -> Dashboard:
    return framed(
        "delivery",
        "Delivery",
        "Begin here: whether messages come in, leave and arrive, how long that takes, and what waits.",
        {"Now": _now(), "Throughput": _throughput(), "Latency": _latency(), "Backlog": _backlog()},
    )


def _now() -> list[Panel]:
    delivered, tried = (f"sum(delivery:messages_{what}:increase1h{{{LANE}}})" for what in ("delivered", "tried"))
    return [
        number(
            "Delivered, last hour",
            SHARE,
            Query(f"{delivered} / {tried}"),
            Words(
                "Share of the messages that ended in the last hour, but for suppressed and cancelled ones.",
                "see which other end grew under Throughput, then its reasons on the dashboards Infobip and Retries.",
                "messagesfail",
            ),
            steps=below(0.8, 0.9),
        ),
        number(
            "Waiting",
            COUNT,
            Query(f'sum(delivery:messages:max{{{LANE}, state=~"queued|retrying"}})'),
            Words(
                "Messages that have yet to leave, whether due, scheduled, paused or waiting for their next attempt.",
                "look at what is due and does not leave: Oldest due message.",
                "transactionalmessageswait",
            ),
        ),
        number(
            "Oldest due",
            SECONDS,
            Query(f"max(delivery:oldest_due_seconds:max{{{LANE}}})"),
            Words(
                "How long the message that is due for longest has waited.",
                "find its lane under Backlog; it is held, has no worker, or is slower than what comes in.",
                "transactionalmessageswait",
            ),
            steps=above(900, 30),
        ),
        number(
            "Until drained",
            SECONDS,
            Query(f"max(delivery:drain_seconds:max{{{LANE}}})"),
            Words(
                "Time until all that waits has left, at the rate of late; infinite while nothing leaves.",
                "raise `messages_per_second` of the credential if Infobip allows more, or add workers.",
                "marketingmessageswait",
            ),
        ),
        number(
            "Will expire unsent",
            COUNT,
            Query(f"sum(delivery:forecast_expiring_messages:max{{{LANE}}})"),
            Words(
                "Messages that wait and will expire before their turn, if the rate stays as it is.",
                "open the lane, raise its rate, or cancel what matters least while it can still be replayed.",
                "messageswillexpire",
            ),
            steps=above(1),
        ),
        number(
            "Lanes held",
            COUNT,
            Query(f"sum(delivery:lane_held:max{{{LANE}}})"),
            Words(
                "Lanes from which nothing leaves at present. Seconds after a 429 are normal.",
                "read the reason with `delivery lanes`, or on the console.",
                "a-held-lane",
            ),
            steps=above(1),
        ),
    ]


def _throughput() -> list[Panel]:
    finished = "delivery:messages_finished_total:max"
    return [
        lines(
            "In, out, delivered",
            PER_SECOND,
            [
                Query(f"sum(rate(delivery:messages_enqueued_total:max{{{LANE}}}{RATE}))", "stored"),
                Query(f"sum(delivery:lane_messages_per_second:max{{{LANE}}})", "submitted"),
                Query(f'sum(rate({finished}{{{LANE}, state="delivered"}}{RATE}))', "delivered"),
            ],
            Words(
                "Messages a second: stored by the API, taken by Infobip (retries too), delivered.",
                "stored without submitted: the lane is held or slow. Submitted without delivered: reports do not come, "
                "or everything fails.",
                "slower-than-it-should-be",
            ),
        ),
        lines(
            "How messages ended",
            PER_SECOND,
            [Query(f"sum by (state) (rate({finished}{{{LANE}}}{RATE}))", "{{state}}")],
            Words(
                "Messages a second that reached their end, by which. Late deliveries count as both their ends.",
                "for failed and expired see the reasons on Infobip and Retries; unconfirmed: reports and logs are "
                "missing; suppressed: consent.",
                "messagesfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Success share",
            SHARE,
            [
                Query(
                    f"sum by (credential, message_type) (delivery:messages_delivered:increase1h{{{LANE}}}) / "
                    f"sum by (credential, message_type) (delivery:messages_tried:increase1h{{{LANE}}})",
                    "{{credential}} {{message_type}}",
                )
            ],
            Words(
                "Share delivered of what ended within the hour before.",
                "one credential falls: its account or sender. All of them: Infobip, or our webhooks.",
                "messagesfail",
            ),
            steps=below(0.8, 0.9),
        ),
        lines(
            "Messages not yet ended",
            COUNT,
            [
                Query(
                    f'sum by (state) (delivery:messages:max{{{LANE}, state=~"queued|sending|sent|retrying"}})',
                    "{{state}}",
                )
            ],
            Words(
                "Where messages are on their way.",
                "queued grows: held or slow. Sending stays: in doubt. Sent grows: reports do not come. Retrying grows: "
                "phones or networks are off.",
                "what-to-do",
            ),
            is_stacked=True,
        ),
    ]


def _latency() -> list[Panel]:
    return [
        lines(
            "From due to taken by Infobip",
            SECONDS,
            percentiles("delivery_enqueue_to_submit_seconds", "message_type", KIND),
            Words(
                "From when a message may first leave to Infobip's taking it. What still waits is not in it.",
                "transactional above seconds: look at Oldest due message and at free pool processes on Processes.",
                "transactionalmessageswait",
            ),
            steps=above(30),
        ),
        lines(
            "From submission to report",
            SECONDS,
            percentiles("delivery_submit_to_report_seconds", "message_type", TYPE),
            Words(
                "From an attempt's leaving to the report that ended it.",
                "one message type: networks or phones. Both: Infobip, or our webhooks, see Lag of reports on Infobip.",
                "reportsstopped",
            ),
        ),
    ]


def _backlog() -> list[Panel]:
    return [
        lines(
            "Waiting by lane",
            COUNT,
            [
                Query(
                    "sum by (credential, channel, message_type) "
                    f'(delivery:messages:max{{{LANE}, state=~"queued|retrying"}}) {USED}',
                    LANE_NAME,
                )
            ],
            Words(
                "What has yet to leave of each lane.",
                "it only grows: held, no worker on its queue, or a rate below what comes in.",
                "slower-than-it-should-be",
            ),
            is_stacked=True,
        ),
        lines(
            "Oldest due message",
            SECONDS,
            [Query(f"delivery:oldest_due_seconds:max{{{LANE}}} {USED}", LANE_NAME)],
            Words(
                "How long the message that is due for longest has waited, by lane.",
                "transactional above 30 s is an outage: is the lane held, does the worker of its queue run?",
                "transactionalmessageswait",
            ),
            steps=above(900, 30),
        ),
        lines(
            "Until drained, by lane",
            SECONDS,
            [Query(f"delivery:drain_seconds:max{{{LANE}}} {USED}", LANE_NAME)],
            Words(
                "Time until what waits has left, at the rate of late. A gap at the top is infinite: nothing leaves.",
                "longer than the validity of what waits: raise the rate or add workers before messages expire.",
                "messageswillexpire",
            ),
        ),
        lines(
            "Rate by lane",
            PER_SECOND,
            [Query(f"delivery:lane_messages_per_second:max{{{LANE}}} {USED}", LANE_NAME)],
            Words(
                "Messages a second that Infobip took of each lane, of late.",
                "below `messages_per_second` of the credential while much is due: Infobip is slow, or pool processes "
                "are too few.",
                "slower-than-it-should-be",
            ),
        ),
    ]
