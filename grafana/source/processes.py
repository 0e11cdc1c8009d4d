"""*Processes*: the API, the workers, beat, and the database as they see it."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.source.frame import framed
from grafana.source.panels import COUNT, PER_SECOND, RATE, SECONDS, Panel, Query, Words, above, lines


def dashboard() -> Dashboard:
    return framed(
        "delivery-processes",
        "Processes",
        "Whether the API, the workers and beat live and keep up, and how the database answers them.",
        {"Alive": _alive(), "API": _api(), "Workers": _workers(), "Database": _database()},
        has_choices=False,
    )


def _alive() -> list[Panel]:
    return [
        lines(
            "Processes that answer",
            COUNT,
            [Query('sum by (job) (up{job=~"api|worker"})', "{{job}}")],
            Words(
                "Processes whose metrics Prometheus can read.",
                "fewer than run: a process died, or the port of its metrics is taken (`metrics_not_served`).",
                "processaway",
            ),
        ),
        lines(
            "Since the last tick",
            SECONDS,
            [Query("time() - max by (queue) (delivery_last_tick_timestamp_seconds)", "{{queue}}")],
            Words(
                "How long ago a worker took a tick of beat's from each queue; a second or two is right.",
                "one queue climbs: its worker. All climb together: beat, or Redis.",
                "workersilent",
            ),
            steps=above(60),
        ),
    ]


def _api() -> list[Panel]:
    requests, seconds = "delivery_http_requests_total", "delivery_http_request_seconds"
    return [
        lines(
            "Requests by answer",
            PER_SECOND,
            [Query(f"sum by (status) (rate({requests}{RATE}))", "{{status}}")],
            Words(
                "Requests to the API a second, by status.",
                "503: PostgreSQL is away. 500: a bug, `request_failed` in the log. 429: a quota. 422: a caller.",
                "requestsfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Requests by route",
            PER_SECOND,
            [Query(f"topk(10, sum by (method, route) (rate({requests}{RATE})))", "{{method}} {{route}}")],
            Words(
                "The ten most used routes.",
                "one that nobody expects: the access log names the request IDs and the tokens.",
                "requestsfail",
            ),
            is_stacked=True,
        ),
        lines(
            "Time by route, p95",
            SECONDS,
            [
                Query(
                    f"histogram_quantile(0.95, sum by (le, method, route) (rate({seconds}_bucket{RATE})))",
                    "{{method}} {{route}}",
                )
            ],
            Words(
                "Within which time 95 of 100 requests were answered.",
                "all slower: the database, or more requests than the processes take: add API processes.",
                "requestsfail",
            ),
        ),
        lines(
            "Pushes by answer",
            PER_SECOND,
            [Query(f"sum by (kind, status) (rate(delivery_webhook_requests_total{RATE}))", "{{kind}} {{status}}")],
            Words(
                "What we answered Infobip's pushes of reports and inbound messages.",
                "404: Infobip has an address of former times, see `webhook_urls` of the credential. 503: PostgreSQL.",
                "webhooksfail",
            ),
            is_stacked=True,
        ),
    ]


def _workers() -> list[Panel]:
    return [
        lines(
            "Pool processes with a task in hand",
            COUNT,
            [
                Query('sum by (instance) (delivery_tasks_running{job="worker"})', "{{instance}} busy"),
                Query('sum by (instance) (delivery_pool_processes{job="worker"})', "{{instance}} of"),
            ],
            Words(
                "How many pool processes of each worker are busy, of how many.",
                "all busy for long while messages are due: add processes (`--processes`) or workers.",
                "slower-than-it-should-be",
            ),
        ),
        lines(
            "Pool processes started, half an hour",
            COUNT,
            [
                Query(
                    'sum by (instance) (increase(delivery_pool_processes_started_total{job="worker"}[30m]))',
                    "{{instance}}",
                )
            ],
            Words(
                "Pool processes that started within the half hour before; a deployment starts each once.",
                "it goes on: something kills them, memory most often. Look at the kernel's log.",
                "poolprocessesdie",
            ),
        ),
    ]


def _database() -> list[Panel]:
    figures = "delivery_database_figures"
    return [
        lines(
            "Time of the database's figures",
            SECONDS,
            [
                Query(f"histogram_quantile({share}, sum by (le) (rate({figures}_seconds_bucket{RATE})))", name)
                for share, name in ((0.5, "p50"), (0.95, "p95"))
            ],
            Words(
                "Time of the one query behind all backlog figures.",
                "near 1 s the figures go missing: the database is busy, or tables have not been vacuumed.",
                "databasefiguresmissing",
            ),
            steps=above(1),
        ),
        lines(
            "Scrapes without the database's figures",
            PER_SECOND,
            [Query(f"sum(rate({figures}_missed_total{RATE}))", "missed")],
            Words(
                "Scrapes a second to which the database did not answer in time. Backlog panels have gaps then.",
                "PostgreSQL is away or busy: `GET /readyz`, then its own log.",
                "databasefiguresmissing",
            ),
        ),
    ]
