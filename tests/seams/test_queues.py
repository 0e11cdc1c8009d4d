"""Every task is sent by beat or as a nudge, with what it takes, to a queue for which everybody starts a worker."""

import base64
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import redis

from cli.programs import stack_programs

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NUDGE_AND_PRINT = """
import inspect, json, uuid
from worker.app import QUEUES, TaskName, celery_app
from worker.nudges import send_nudge
from worker.words import MessageType

for message_type in MessageType:
    send_nudge(uuid.uuid4(), message_type)
celery_app.loader.import_default_modules()
tasks = {name: task for name, task in celery_app.tasks.items() if name.startswith("worker.")}
entries = celery_app.conf.beat_schedule.values()
print(json.dumps({
    "queues": [str(queue) for queue in QUEUES],
    "default_queue": celery_app.conf.task_default_queue,
    "names": list(TaskName),
    "parameters": {name: len(inspect.signature(task.run).parameters) for name, task in tasks.items()},
    "ticks": [[entry["task"], entry["options"]["queue"], len(entry["args"])] for entry in entries],
}))
"""


@dataclass(frozen=True)
class Sent:
    task: str
    queue: str
    arguments: int


@dataclass(frozen=True)
class Traffic:
    queues: set[str]
    default_queue: str
    names: list[str]  # all that anybody sends by
    parameters: dict[str, int]  # how many each task takes, of those that are registered
    ticks: list[Sent]
    nudges: list[Sent]


@pytest.fixture(scope="module")
def traffic(redis_url: str) -> Traffic:
    environment = {**os.environ, "DELIVERY_REDIS_URL": redis_url}
    run = subprocess.run([sys.executable, "-c", NUDGE_AND_PRINT], capture_output=True, env=environment, cwd=ROOT)
    assert run.returncode == 0, run.stderr.decode()
    printed = orjson.loads(run.stdout)
    nudges = []
    with redis.Redis.from_url(redis_url) as client:
        for queue in client.scan_iter(_type="list"):
            for message in map(orjson.loads, client.lrange(queue, 0, -1)):
                arguments, _, _ = orjson.loads(base64.b64decode(message["body"]))
                nudges.append(Sent(message["headers"]["task"], queue.decode(), len(arguments)))
    return Traffic(
        set(printed["queues"]),
        printed["default_queue"],
        printed["names"],
        printed["parameters"],
        [Sent(*tick) for tick in printed["ticks"]],
        nudges,
    )


def consumed() -> set[str]:
    """The queues that `delivery up` starts workers for."""
    queues: set[str] = set()
    for program in stack_programs(port=1, sandbox_port=2, metrics_port=0, workers=1):
        argv = list(program.argv)
        if "--queues" in argv:
            queues |= set(argv[argv.index("--queues") + 1].split(","))
    return queues


def told(document: Path) -> set[str]:
    """The queues that it names behind `--queues`, and in the enumeration that goes on from there."""
    listed = re.findall(r"--queues ([a-z,]+)`?((?:[(),\s]|and|`[a-z]+`)*)", document.read_text())
    return {queue for first, others in listed for queue in (*first.split(","), *re.findall(r"`([a-z]+)`", others))}


def test_every_queue_has_a_consumer(traffic: Traffic) -> None:
    assert consumed() == traffic.queues


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_who_starts_the_processes_one_by_one_is_told_every_queue(document: str, traffic: Traffic) -> None:
    assert told(ROOT / document) == traffic.queues


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_starts_a_worker_on_a_queue_that_is_not_there(document: Path, traffic: Traffic) -> None:
    assert told(document) <= traffic.queues


def test_every_scheduled_task_exists_and_its_queue_is_consumed(traffic: Traffic) -> None:
    assert traffic.ticks
    for tick in traffic.ticks:
        assert tick.task in traffic.parameters
        assert tick.queue in consumed()
    assert traffic.default_queue in consumed()


def test_every_nudge_names_a_task_that_exists_and_its_queue_is_consumed(traffic: Traffic) -> None:
    assert traffic.nudges
    for nudge in traffic.nudges:
        assert nudge.task in traffic.parameters
        assert nudge.queue in consumed()


def test_every_name_by_which_tasks_are_sent_is_that_of_a_task(traffic: Traffic) -> None:
    assert sorted(traffic.names) == sorted(traffic.parameters)


def test_every_task_is_sent_by_beat_or_as_a_nudge(traffic: Traffic) -> None:
    assert {sent.task for sent in traffic.ticks + traffic.nudges} == set(traffic.parameters)


def test_every_task_is_sent_what_it_takes(traffic: Traffic) -> None:
    for sent in traffic.ticks + traffic.nudges:
        assert sent.arguments == traffic.parameters[sent.task]
