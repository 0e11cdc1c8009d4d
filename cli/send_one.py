"""One message, sent under an idempotency key and followed to its end."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson

from cli.api_client import ApiClient, ApiRefusal
from cli.audience import key_of
from cli.errors import CommandError
from cli.options import say
from cli.row_reading import read_single
from cli.send_check import encoding_of
from cli.send_file import is_earlier
from cli.send_preview import preview, preview_facts
from cli.send_surface import check_reading, read_surface, reading_of
from cli.tables import clock, print_facts, print_json, printable
from cli.waiting import SOME_UNDELIVERED, interruptible, patiently
from worker.rows import BadRow
from worker.states import FINAL, State

_LOOK_SECONDS = 0.5


def send_one(message: dict[str, Any], key: str | None, *, dry_run: bool, waits: bool | None, as_json: bool) -> int:
    """`message` in the API's words. The exit code. Errors: CommandError, where nothing was sent."""
    with ApiClient() as api:
        if dry_run:
            return _tell_dry_run(api, message, as_json)
        if waits is not False:
            check_reading(api, message)
        body = orjson.dumps(message)
        key = key or key_of(body)
        try:
            answer, asked_at = api.create("/v1/messages", key, lambda: body, say)
        except ApiRefusal as refusal:
            if refusal.status == 409:
                raise CommandError(f"the key {key} came with another message before: give another --key") from refusal
            raise
        look = f"`delivery messages get {answer['id']}` shows it"
        with interruptible(f"the message goes on without you: {look}"):
            if not as_json:
                _tell_accepted(api, answer, key, asked_at)
            answer["idempotency_key"] = key
            if waits or (waits is None and "send_at" not in message):
                answer["message"] = _wait(api, answer["id"])
    if as_json:
        print_json(answer)
    elif "message" in answer:
        print(printable(f"{answer['message']['state']}: {answer['message']['reason'] or ''}").rstrip(": "))
    return 0 if answer.get("message", {"state": State.DELIVERED})["state"] == State.DELIVERED else SOME_UNDELIVERED


def _tell_dry_run(api: ApiClient, message: dict[str, Any], as_json: bool) -> int:
    surface = read_surface(api, message)
    try:
        judged = read_single(message, reading_of(api, surface, names_templates="template" in message))
    except BadRow as error:
        raise CommandError(f"{error.field}: {error.reason}") from error
    shared = {name: value for name, value in message.items() if name != "to"}
    told = preview(api, shared, [{"to": message["to"]}])
    facts = {
        "to": judged.recipient,
        "segments": 0 if judged.segments is None else judged.segments.parts,
        "encoding": encoding_of(judged.segments),
        "content_template_id": judged.content_template_id,
        "text": judged.text,
        "warning": judged.warning,
    }
    if as_json:
        print_json({**facts, "preview": told})
    else:
        shown = [(name, value) for name, value in facts.items() if value is not None]
        print_facts([*shown, *(preview_facts(told, datetime.now(UTC)) if told else [])])
        print("\nnothing was sent")
    return 0


def _tell_accepted(api: ApiClient, answer: dict[str, Any], key: str, asked_at: float | None) -> None:
    print(f"message {answer['id']}: {answer['state']}")
    print(f"key {key}: the same command again sends nothing twice")
    if answer.get("warning"):
        print(printable(f"doubtful: {answer['warning']}"))
    with suppress(CommandError):  # a token that may send may not be one that reads
        created_at = api.read(f"/v1/messages/{answer['id']}")["created_at"]
        if is_earlier(created_at, asked_at):
            print(f"it is that of {clock(created_at)}: nothing was sent now, another --key would send again")


def _wait(api: ApiClient, message_id: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = patiently(lambda: api.read(f"/v1/messages/{message_id}"))
        if found["state"] in FINAL:
            return found
        time.sleep(_LOOK_SECONDS)
