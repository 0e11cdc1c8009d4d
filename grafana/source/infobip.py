"""*Infobip*: what it answers and how fast, what it reports and when, which errors it names, and what it costs."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.source.frame import framed
from grafana.source.panels import (
    CHANNEL,
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
    WIDE,
    Panel,
    Query,
    Words,
    above,
    bars,
    lines,
    or_none,
    percentiles,
)


def dashboard() -> Dashboard:
    return framed(
        "delivery-infobip",
        "Infobip",
        "What Infobip answers and how fast, what it reports and when, which errors it names, and what it costs.",
        {"Requests": _requests(), "Reports": _reports(), "Errors and price": _errors()},
    )


def _requests() -> list[Panel]:
    submissions, size = "delivery_submissions_total", "delivery_submission_messages"
    held = "delivery:lane_held:max"
    troubled = 'outcome=~"too_many_requests|unknown_fate|connection_failed|credential_refused"'
    return [
        lines(
            "Requests by outcome",
            PER_SECOND,
            [Query(f"sum by (outcome) (rate({submissions}{{{LANE}}}{RATE}))", "{{outcome}}")],
            Words(
                "Requests with messages a second, by how they ended.",
                "too_many_requests: 429, the rate halves by itself. unknown_fate: 5xx or silence. refused_by_infobip: "
                "a message is wrong and is sought. unsent: workers are too slow.",
                "a-held-lane",
            ),
            is_stacked=True,
        ),
        lines(
            "429, 5xx and no connection",
            SHARE,
            [
                Query(
                    or_none(
                        f"sum by (credential, outcome) (rate({submissions}{{{LANE}, {troubled}}}{RATE})) "
                        f"/ ignoring (outcome) group_left () sum by (credential) (rate({submissions}{{{LANE}}}{RATE}))",
                        f"rate({submissions}{RATE})",
                    ),
                    "{{credential}} {{outcome}}",
                )
            ],
            Words(
                "Share of the requests that Infobip did not take, by credential.",
                "429 for long: lower `messages_per_second` or have the limit raised. Others: Infobip's status page, "
                "then the way there.",
                "laneheldbyfault",
            ),
            steps=above(0.05),
        ),
        lines(
            "Time of a request",
            SECONDS,
            percentiles("delivery_submission_seconds", "channel", CHANNEL),
            Words(
                "Time of one request with messages.",
                "near `DELIVERY_REQUEST_TIMEOUT_SECONDS` messages are in doubt. Large requests take longer.",
                "slower-than-it-should-be",
            ),
        ),
        bars(
            "Circuit",
            Query(or_none(f'{held}{{{LANE}, kind="fault"}} > 0', held), LANE_NAME),
            Words(
                "A bar is drawn while a lane waits because Infobip answers badly or not at all.",
                "for minutes: Infobip is in trouble. Nothing is lost but time; see what will expire on Retries.",
                "laneheldbyfault",
            ),
        ),
        lines(
            "Attempts by outcome",
            PER_SECOND,
            [Query(f"sum by (outcome) (rate(delivery_attempts_total{{{KIND}}}{RATE}))", "{{outcome}}")],
            Words(
                "Messages a second in answers, by what each says; pending is taken.",
                "permanent, transient: see Errors. account: credit or package. missing, duplicate: the logs are asked.",
                "messagesfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Messages in a request",
            NUMBER,
            [
                Query(f"sum(rate({size}_sum{RATE})) / sum(rate({size}_count{RATE}))", "mean"),
                Query(f"histogram_quantile(0.95, sum by (le) (rate({size}_bucket{RATE})))", "p95"),
            ],
            Words(
                "How full requests are; `DELIVERY_SUBMISSION_SIZE` is the most.",
                "small while much is due: the rate is the limit, or refused requests are being split.",
                "slower-than-it-should-be",
            ),
        ),
    ]


def _reports() -> list[Panel]:
    reports = "delivery_reports_total"
    return [
        lines(
            "Reports by group",
            PER_SECOND,
            [Query(f"sum by (group) (rate({reports}{RATE}))", "{{group}}")],
            Words(
                "Delivery reports a second, by Infobip's group.",
                "none while messages leave: Infobip does not reach `DELIVERY_PUBLIC_URL`.",
                "reportsstopped",
            ),
            is_stacked=True,
        ),
        lines(
            "Reports by what they did",
            PER_SECOND,
            [Query(f"sum by (source, result) (rate({reports}{RATE}))", "{{source}} {{result}}")],
            Words(
                "Pushed to us, or pulled from the logs; and what became of them.",
                "pull in the place of push: webhooks fail. repeated: our 200 comes too late. unmatched, malformed: "
                "rows of `unmatched_report`.",
                "reportsstopped",
            ),
            is_stacked=True,
        ),
        lines(
            "Lag of reports",
            SECONDS,
            percentiles("delivery_report_lag_seconds", "source"),
            Words(
                "From Infobip's time of a report to its being recorded here.",
                "of push: Infobip could not reach us at once, see Pushes by answer on Processes. Of pull it is as long "
                "as it took to ask.",
                "webhooksfail",
            ),
            width=WIDE,
        ),
    ]


def _errors() -> list[Panel]:
    return [
        lines(
            "Failed by reason, last half hour",
            COUNT,
            [
                Query(
                    "topk(10, sum by (reason) "
                    f'(delivery:undelivered_messages:increase30m{{{KIND}, state=~"failed|unconfirmed"}}))',
                    "{{reason}}",
                )
            ],
            Words(
                "Messages that failed or stayed unconfirmed within the half hour before, by the ten commonest reasons.",
                "docs/reasons.md says what each means. EC_TEMPLATE_*, EC_ENTITY_*: DLT, and one batch most often.",
                "messagesfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Codes that we do not know",
            PER_SECOND,
            [Query(f"sum(rate(delivery_unknown_codes_total{RATE}))", "unknown")],
            Words(
                "Answers and reports a second with a status or error that is not in our tables.",
                "Infobip has a new one: `GET /v1/reports` shows it, and its row in `worker/infobip/` is missing.",
                "messagesfail",
            ),
        ),
        lines(
            "Price an hour",
            NUMBER,
            [Query(f"3600 * sum by (currency) (rate(delivery_price_total{RATE}))", "{{currency}}")],
            Words(
                "What Infobip reported as price, for an hour at the present pace.",
                "it grows faster than messages: longer texts (Parts by alphabet), dearer networks, or many retries.",
                "messagesfail",
            ),
        ),
        lines(
            "Parts by alphabet",
            PER_SECOND,
            [
                Query(
                    f"sum by (encoding) (rate(delivery_segments_total{{{TYPE}}}{RATE}))",
                    "{{encoding}}",
                )
            ],
            Words(
                "Parts a second that accepted SMS are billed as.",
                "UCS-2 grows: one character makes texts Unicode, over twice as dear. `POST /v1/preview` names it.",
                "messagesfail",
            ),
            is_stacked=True,
        ),
    ]
