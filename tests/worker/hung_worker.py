"""`delivery worker` that takes nothing from its queues once it is ready, as a worker may after a reconnect to Redis.

The watchdog is in more of a hurry than in production.
"""

from typing import Any

from celery.signals import worker_ready

from cli import main
from worker import watchdog

SAMPLE_SECONDS = 0.1


def stop_consuming(sender: Any, **_: object) -> None:
    for queue in list(sender.app.amqp.queues.consume_from):
        sender.cancel_task_queue(queue)


if __name__ == "__main__":
    watchdog.SAMPLE_SECONDS = SAMPLE_SECONDS
    worker_ready.connect(stop_consuming, weak=False)
    main.run()
