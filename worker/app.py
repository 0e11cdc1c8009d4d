"""The Celery application: queues, names of tasks, workers' settings, and beat's schedule.

A task is a nudge and holds nothing that matters. So tasks are acknowledged before they run, none is retried, none has a
delay or an expiry, and no result is kept: the retry schedule lives in PostgreSQL (docs/decisions/0002).

Celery puts a task that names its queue on that queue's list, whatever is bound to it. So an emptied Redis takes tasks,
and gives them out, as before; nothing has to be declared again.
"""

from enum import StrEnum
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import setup_logging
from kombu.connection import Connection

from worker.beat import TickScheduler
from worker.logs import configure_logging
from worker.redis_connection import redis_url
from worker.words import MessageType

UPKEEP = "upkeep"
QUEUES = (*MessageType, UPKEEP)
TICK_SECONDS = 1.0
PULL_SECONDS = 5.0
CLOSE_SECONDS = 10.0
PURGE_SECONDS = 600.0
RECONNECT_SECONDS = 2.0


class TaskName(StrEnum):
    """Each is sent by its name alone, so that who sends it need not import what it does."""

    LOOK_AT_DUE_LANES = "worker.tasks.look_at_due_lanes"
    DELIVER_LANE = "worker.tasks.deliver_lane"
    SWEEP = "worker.tasks.sweep"
    LOOK = "worker.tasks.look"
    PULL = "worker.tasks.pull"
    PUSH_EVENTS = "worker.tasks.push_events"
    CLOSE = "worker.tasks.close"
    PURGE = "worker.tasks.purge"


class _PatientConnection(Connection):
    """Tries a Redis that is away again and again at one pace: kombu's own pauses grow to 30 s, and delivery would wait
    as long after Redis' return."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        pace = {"interval_start": RECONNECT_SECONDS, "interval_step": 0, "interval_max": RECONNECT_SECONDS}
        return super().ensure_connection(*args, **{**pace, **options})  # type: ignore[no-untyped-call] # as all of kombu


class _Amqp(AMQP):  # type: ignore[misc] # Celery is untyped
    Connection = _PatientConnection


def make_celery() -> Celery:
    app = Celery("delivery", broker=redis_url(), include=["worker.tasks"], amqp=_Amqp)
    app.conf.update(
        task_default_queue=UPKEEP,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        # These two are for tasks that are given out again after a reconnect, which ours are not. The first is on since
        # Celery warns at each reconnect while it is off.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_enable_prefetch_count_reduction=False,
        # Nobody asks workers anything by Redis, and each subscription is one more connection to lose.
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Publishing must not hold up a request when Redis is away; consuming finds a dead connection within seconds.
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
            # Tasks in hand are not kept in Redis: that would bring a nudge of a worker that died back in an hour, and
            # costs two transactions for each task.
            "ack_emulation": False,
            # Longer than from tick to tick, so that the wait for a task seldom ends without one.
            "polling_interval": 2,
        },
        beat_scheduler=TickScheduler,
        beat_schedule=_schedule(),
        timezone="UTC",
    )
    return app


def _schedule() -> dict[str, dict[str, Any]]:
    looks = {
        f"look at due {message_type} lanes": _tick(
            TaskName.LOOK_AT_DUE_LANES, message_type, TICK_SECONDS, args=(message_type.value,)
        )
        for message_type in MessageType
    }
    return {
        **looks,
        "sweep": _tick(TaskName.SWEEP, UPKEEP, TICK_SECONDS),
        "look": _tick(TaskName.LOOK, UPKEEP, TICK_SECONDS),
        "pull": _tick(TaskName.PULL, UPKEEP, PULL_SECONDS),
        "push events": _tick(TaskName.PUSH_EVENTS, UPKEEP, TICK_SECONDS),
        "close": _tick(TaskName.CLOSE, UPKEEP, CLOSE_SECONDS),
        "purge": _tick(TaskName.PURGE, UPKEEP, PURGE_SECONDS),
    }


def _tick(task: TaskName, queue: str, seconds: float, args: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "task": task.value,
        "schedule": seconds,
        "args": args,
        "options": {"queue": str(queue)},
    }


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging()


celery_app = make_celery()
