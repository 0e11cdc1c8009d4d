"""Every queue has a consumer, every scheduled task exists and goes where somebody listens."""

import os
import subprocess
import sys

from cli.programs import stack_programs

PRINT_SCHEDULE = """
import json
from worker.app import QUEUES, celery_app
celery_app.loader.import_default_modules()
entries = celery_app.conf.beat_schedule.values()
print(json.dumps({
    "queues": [str(queue) for queue in QUEUES],
    "tasks": [name for name in celery_app.tasks if name.startswith("worker.")],
    "scheduled": [[entry["task"], entry["options"]["queue"]] for entry in entries],
    "late": celery_app.conf.task_acks_late,
    "routes": celery_app.conf.task_default_queue,
}))
"""


def schedule() -> dict[str, list[str]]:
    import json

    environment = {**os.environ, "DELIVERY_REDIS_URL": "redis://127.0.0.1:9/0"}
    run = subprocess.run([sys.executable, "-c", PRINT_SCHEDULE], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout))


def consumed() -> set[str]:
    """The queues that `delivery up` starts workers for."""
    queues: set[str] = set()
    for program in stack_programs(port=1, sandbox_port=2, metrics_port=0, workers=1):
        argv = list(program.argv)
        if "--queues" in argv:
            queues |= set(argv[argv.index("--queues") + 1].split(","))
    return queues


def test_every_queue_has_a_consumer() -> None:
    assert consumed() == set(schedule()["queues"])


def test_every_scheduled_task_exists_and_its_queue_is_consumed() -> None:
    found = schedule()
    assert found["scheduled"]
    for task, queue in found["scheduled"]:
        assert task in found["tasks"]
        assert queue in consumed()
    assert found["routes"] in consumed()
