"""What a worker says of itself: how many processes it has and how many are at work, and when beat's last tick came."""

from typing import Any

from billiard import current_process
from celery.signals import task_postrun, task_prerun, worker_process_init

from worker.app import TaskName
from worker.metrics import (
    begin_at_zero,
    event_pushes_total,
    inbound_pulls_total,
    last_tick_timestamp_seconds,
    pool_processes,
    pool_processes_started_total,
    tasks_running,
)
from worker.metrics_server import take_place
from worker.push_client import PushOutcome
from worker.words import SubmissionOutcome


@worker_process_init.connect
def _begin(**_: object) -> None:
    take_place(current_process().index)
    begin_at_zero()
    inbound_pulls_total.labels(SubmissionOutcome.ANSWERED)
    for outcome in PushOutcome:
        event_pushes_total.labels(outcome)
    pool_processes.set(1)
    tasks_running.set(0)
    pool_processes_started_total.inc()


@task_prerun.connect
def _take(task: Any, **_: object) -> None:
    tasks_running.set(1)
    if task.name != TaskName.DELIVER_LANE:  # a nudge, which beat has no part in
        last_tick_timestamp_seconds.labels(task.request.delivery_info["routing_key"]).set_to_current_time()


@task_postrun.connect
def _finish(**_: object) -> None:
    tasks_running.set(0)
