"""The demo's handsets: some write to us before the batch is sent, and are answered."""

import time
from collections.abc import Sequence
from typing import Any

from cli.demo_calls import PATIENCE_SECONDS, Calls
from cli.demo_plan import OUR_NUMBER, START, STOP, FoundReply, Plan, PlannedMessage
from cli.errors import CommandError
from worker.states import FINAL

_WRITE_AGAIN_SECONDS = 3.0


def write_all(calls: Calls, plan: Plan, credential: dict[str, Any], run: str) -> None:
    """STOP from all of them, then START from who joins again; then their replies have the time to arrive.

    Errors: CommandError where consent does not follow in time. A reply that is late is for the verdict to tell.
    """
    for word in (STOP, START):
        _write(calls, credential, word, [writer for writer in plan.writers if word in writer.writes], run)
    count = sum(len(writer.writes) for writer in plan.writers)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if sum(reply.state in FINAL for reply in read_replies(calls, credential)) == count:
            return
        calls.pause()


def read_replies(calls: Calls, credential: dict[str, Any]) -> list[FoundReply]:
    """The answers to whatever was written to this credential."""
    replies = []
    for inbound in calls.items("/v1/inbound", credential=credential["id"]):
        if inbound["reply_id"] is not None:
            reply = calls.read(f"/v1/messages/{inbound['reply_id']}")
            replies.append(FoundReply(reply["to"], inbound["text"], reply["state"], reply["origin"]))
    return replies


def _write(calls: Calls, credential: dict[str, Any], word: str, writers: Sequence[PlannedMessage], run: str) -> None:
    """Until it is settled: with the ID it had, a word that is written again is the same message, pushed again. A dead
    API would be tried by the sandbox too, but only after a minute."""
    url = credential["webhook_urls"]["inbound"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    write_at = 0.0
    while unsettled := _unsettled(calls, credential, word, writers):
        if time.monotonic() > deadline:
            raise CommandError(
                f"{len(unsettled)} of {len(writers)} handsets wrote {word}, and no consent followed"
                f" for {PATIENCE_SECONDS:g} s"
            )
        if time.monotonic() >= write_at:
            write_at = time.monotonic() + _WRITE_AGAIN_SECONDS
            for writer in unsettled:
                number = writer.to.removeprefix("+")
                message = {"from": number, "to": OUR_NUMBER, "text": word, "url": url}
                calls.post_to_sandbox("/sandbox/inbound", {**message, "message_id": f"{run}-{number}-{word}"})
        calls.pause()


def _unsettled(
    calls: Calls, credential: dict[str, Any], word: str, writers: Sequence[PlannedMessage]
) -> list[PlannedMessage]:
    """Whose word has not changed consent yet."""
    inbound = calls.items("/v1/inbound", credential=credential["id"])
    settled = {item["from"] for item in inbound if item["text"] == word and item["consent"] is not None}
    return [writer for writer in writers if writer.to.removeprefix("+") not in settled]
