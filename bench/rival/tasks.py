"""The rival's worker: one task sends one message.

A message is loaded and moved to `sending` in one statement, posted by a client that keeps its connection, and moved to
`sent` in a second one: two commits, two round trips, as few as this design has. Tasks are acknowledged late, so that
none is lost with its process; results are not kept. Each pool process has one connection to the database and one to
the provider. Of 2, 4, 8, 16 and 32 pool processes on two cores 4 did best, by rate and by CPU seconds; of 1, 4, 8 and
32 tasks prefetched for each, all but 1 did alike.
"""

import os
from functools import lru_cache
from typing import Any
from uuid import UUID

import httpx
import psycopg
from celery import Celery
from celery.signals import worker_process_init, worker_ready

CONCURRENCY = 4
PREFETCH = 4
QUEUE = "rival"
READY = "rival ready"

_BEGIN = """
    UPDATE message SET state = 'sending', started_at = now() WHERE id = %s AND state IN ('queued', 'sending')
    RETURNING recipient, sender, text, callback_data, principal_entity_id, content_template_id
"""
_END = "UPDATE message SET state = 'sent', sent_at = now() WHERE id = %s"


def make_celery(broker_url: str) -> Celery:
    app = Celery("rival", broker=broker_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=PREFETCH,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )
    return app


app = make_celery(os.environ.get("RIVAL_BROKER_URL", "memory://"))


@lru_cache(maxsize=1)
def _database() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["RIVAL_DATABASE"], autocommit=True, prepare_threshold=0)


@lru_cache(maxsize=1)
def _provider() -> httpx.Client:
    headers = {"Authorization": "App rival-key", "Content-Type": "application/json"}
    return httpx.Client(base_url=os.environ["RIVAL_PROVIDER_URL"], headers=headers, trust_env=False, timeout=20)


@worker_process_init.connect
def _connect(**_: object) -> None:
    _database()
    _provider()


@worker_ready.connect
def _say_ready(**_: object) -> None:
    os.write(1, f"{READY}\n".encode())  # Celery turns sys.stdout into a log


@app.task(name="rival.send", max_retries=3, autoretry_for=(httpx.TransportError,))
def send(message_id: str) -> None:
    row = _database().execute(_BEGIN, [UUID(message_id)]).fetchone()
    if row is None:
        return  # given out twice: it was sent before
    _provider().post("/sms/3/messages", json=_payload(message_id, *row)).raise_for_status()
    _database().execute(_END, [UUID(message_id)])


def _payload(
    message_id: str, recipient: str, sender: str, text: str, callback_data: str, entity: str, template: str
) -> dict[str, Any]:
    return {
        "messages": [
            {
                "sender": sender,
                "destinations": [{"to": recipient, "messageId": message_id}],
                "content": {"text": text},
                "options": {"regional": {"indiaDlt": {"principalEntityId": entity, "contentTemplateId": template}}},
                "webhooks": {"callbackData": callback_data},
            }
        ]
    }
