"""The Celery application: queues, workers' settings, and beat's schedule.

A task is a nudge and holds nothing that matters. So tasks are acknowledged before they run, none is retried, none has a
delay or an expiry, and no result is kept: the retry schedule lives in PostgreSQL (docs/decisions/0002).
"""

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from worker.logs import configure_logging
from worker.settings import settings
from worker.words import MessageType

UPKEEP = "upkeep"
QUEUES = (*MessageType, UPKEEP)
TICK_SECONDS = 1.0
PURGE_SECONDS = 600.0


def _broker_url() -> str:
    url = settings().redis_url
    if url is None:
        raise SystemExit("DELIVERY_REDIS_URL is not set: start with `delivery up`, or name a Redis server")
    return url.get_secret_value()


def make_celery() -> Celery:
    app = Celery("delivery", broker=_broker_url(), include=["worker.tasks"])
    app.conf.update(
        task_default_queue=UPKEEP,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Publishing must not hold up a request when Redis is away; consuming finds a dead connection within seconds.
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
        },
        beat_schedule=_schedule(),
        timezone="UTC",
    )
    return app


def _schedule() -> dict[str, dict[str, Any]]:
    looks = {
        f"look at due {message_type} lanes": {
            "task": "worker.tasks.look_at_due_lanes",
            "schedule": TICK_SECONDS,
            "args": (message_type.value,),
            "options": {"queue": message_type.value},
        }
        for message_type in MessageType
    }
    return {
        **looks,
        "sweep": {"task": "worker.tasks.sweep", "schedule": TICK_SECONDS, "options": {"queue": UPKEEP}},
        "look": {"task": "worker.tasks.look", "schedule": TICK_SECONDS, "options": {"queue": UPKEEP}},
        "purge": {"task": "worker.tasks.purge", "schedule": PURGE_SECONDS, "options": {"queue": UPKEEP}},
    }


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging()


celery_app = make_celery()
