"""A file to its people: read, checked, sent as one request under one idempotency key, and followed to its end."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import typer

from cli.api_client import ApiAway, ApiClient, ApiRefusal, Created
from cli.audience import MOST_SHOWN, UNREADABLE, Audience, refuse
from cli.column_map import is_row, map_columns
from cli.errors import CommandError
from cli.options import confirm, say
from cli.people_file import PeopleFile, people_in
from cli.send_check import Findings, examine, read_through
from cli.send_view import findings_json, reading, show_end, show_findings, show_wrong, uploading
from cli.tables import clock, counted, print_json
from cli.waiting import exit_code, patiently, wait_for_batch

SOME_REJECTED = 3
INTERRUPTED = 130
_ADVICE = "correct them, or leave them out with --skip-invalid"
_CLOCKS_DIFFER_SECONDS = 5.0  # the database's from the API's, and its own resolution


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for. `batch`: in the API's words. `waits`: None where nothing is said of it."""

    file: str
    batch: Mapping[str, Any]
    to: str | None
    placeholders: Mapping[str, str]
    callback_data: str | None
    key: str | None
    dry_run: bool
    waits: bool | None
    as_json: bool
    is_confirmed: bool

    @property
    def skips(self) -> bool:
        return self.batch.get("on_invalid") == "skip"


def send_file(wish: Wish) -> int:
    """The exit code. Errors: CommandError, where nothing was sent."""
    with people_in(wish.file) as people, ApiClient() as api:
        audience = Audience(people, _columns(people, wish), wish.batch)
        is_shown = wish.dry_run or (not wish.is_confirmed and sys.stdin.isatty() and sys.stderr.isatty())
        if is_shown:
            surface = read_surface(api, wish.batch)
        elif wish.waits is not False:
            check_reading(api, wish.batch)
        with reading(people.source) as moved:
            found = examine(audience, surface["default_country"], moved) if is_shown else read_through(audience, moved)
        if wish.dry_run:
            return _tell_dry_run(wish, found, surface)
        if is_shown:
            _ask(wish, found, surface)
        _check(wish, found, people.name)
        key = wish.key or audience.key
        return _follow(api, wish, audience, found, key, _upload(api, wish, audience, found.readable, key))


def read_surface(api: ApiClient, send: Mapping[str, Any]) -> dict[str, Any]:
    surface: dict[str, Any] = api.read(f"/v1/surfaces/{quote(send['surface'], safe='')}")
    return surface


def check_reading(api: ApiClient, send: Mapping[str, Any]) -> None:
    """Whoever waits for the end has to read. Errors: CommandError, before anything is sent, where the token may not."""
    with suppress(ApiAway):  # the send itself is patient
        read_surface(api, send)


def _columns(people: PeopleFile, wish: Wish) -> Any:
    """None where the rows are the API's own."""
    text = wish.batch.get("text")
    if people.first is not None and is_row(people.first) and not (wish.to or wish.placeholders or wish.callback_data):
        return None
    if text is None:
        raise CommandError("--text is missing: only rows in the API's own form may bring texts of their own")
    return map_columns(people.columns, text, wish.to, wish.placeholders, wish.callback_data)


def _tell_dry_run(wish: Wish, found: Findings, surface: dict[str, Any]) -> int:
    if wish.as_json:
        print_json(findings_json(found))
    else:
        show_findings(found, surface, dict(wish.batch))
        print("\nnothing was sent")
    return 0 if not found.wrong else SOME_REJECTED if wish.skips and found.good else 1


def _ask(wish: Wish, found: Findings, surface: dict[str, Any]) -> None:
    if not wish.as_json:
        show_findings(found, surface, dict(wish.batch))
    if found.wrong and not wish.skips:
        raise CommandError(f"{found.wrong:,} rows look wrong, and nothing was sent: {_ADVICE}")
    if found.good:
        left = found.duplicates if wish.batch.get("deduplicate") else 0
        confirm(f"\nSend {found.good - left:,} messages, {found.segments:,} segments?", wish.is_confirmed)


def _check(wish: Wish, found: Findings, name: str) -> None:
    """Errors: CommandError where the file holds nothing to send, or lines that would be lost unsaid."""
    if not found.rows:
        raise CommandError(f"{name} holds no rows")
    if found.unreadable and not (wish.skips and found.readable):
        count = "a line" if found.unreadable == 1 else f"{found.unreadable:,} lines"
        what = f"{name}: {count} cannot be read, and nothing was sent: {_ADVICE if found.readable else 'correct them'}"
        raise refuse(what, [row for row in found.examples if row.field == UNREADABLE], found.unreadable)


def _upload(api: ApiClient, wish: Wish, audience: Audience, total: int, key: str) -> Created:
    again = f"the same command again (with --key {key}) goes on where this stopped, and sends nothing twice"
    try:
        with uploading(total) as moved:

            def body() -> Any:
                moved(None)
                return audience.pieces(moved)

            return api.create("/v1/batches", key, body, say, "application/x-ndjson")
    except KeyboardInterrupt:
        say(f"delivery: stopped; a batch is stored as a whole or not at all: {again}")
        raise typer.Exit(INTERRUPTED) from None
    except ApiAway as error:
        raise CommandError(f"{error}; {again}") from error
    except ApiRefusal as refusal:
        raise _in_lines(refusal, audience, key, wish) from refusal


def _in_lines(refusal: ApiRefusal, audience: Audience, key: str, wish: Wish) -> CommandError:
    """The API's no, with the file's lines in place of the request's rows."""
    if refusal.status == 409:
        whose = "--key" if wish.key else "the key of this command"
        return CommandError(
            f"{whose} {key} came with another file or other options before, and nothing was sent now: "
            "send those again to look at that batch, or give another --key for this one"
        )
    of_rows = [fault for fault in refusal.faults if "index" in fault]
    if not of_rows:
        # Its words are of a first line, which is none of the file's.
        named = [f"{_option(fault['field'])}: {fault['message']}" for fault in refusal.faults]
        return CommandError("; ".join(named)) if named else refusal
    advice = "" if wish.skips else " (--skip-invalid)"
    return refuse(str(refusal).splitlines()[0] + advice, audience.in_lines(of_rows), len(of_rows))


def _option(field: str) -> str:
    """What a field of the batch is called on the command line."""
    return "--validity" if field == "validity_period" else f"--{field.replace('_', '-')}"


def _follow(api: ApiClient, wish: Wish, audience: Audience, found: Findings, key: str, created: Created) -> int:
    """From the API's 202 to the exit code."""
    answer = {**created.answer, "idempotency_key": key}
    rejected = found.unreadable + answer["rejected_count"]
    if not wish.as_json:
        _tell_accepted(api, answer, created.asked_at)
        _tell_rejected(audience, found, answer, rejected)
    if wish.waits or (wish.waits is None and answer["state"] != "scheduled"):
        try:
            answer["batch"] = patiently(lambda: wait_for_batch(api, answer["id"]))
        except KeyboardInterrupt:
            say(f"delivery: the batch goes on without you: `delivery watch --batch {answer['id']}` shows it")
            raise typer.Exit(INTERRUPTED) from None
    if wish.as_json:
        print_json(answer)
    elif "batch" in answer:
        show_end(answer["batch"])
    undelivered = exit_code(answer["batch"]) if "batch" in answer else 0
    return undelivered or (SOME_REJECTED if rejected else 0)


def _tell_accepted(api: ApiClient, answer: dict[str, Any], asked_at: float | None) -> None:
    names = ("accepted", "suppressed", "duplicates")
    print(f"batch {answer['id']}: {counted({name: answer[name] for name in names}) or 'nothing accepted'}")
    print(f"key {answer['idempotency_key']}: the same command again sends nothing twice")
    with suppress(CommandError):  # a token that may send may not be one that reads
        batch = api.read(f"/v1/batches/{answer['id']}")
        if is_earlier(batch["created_at"], asked_at):
            print(f"it is that of {clock(batch['created_at'])}: nothing was sent now, another --key would send again")
        if answer["state"] == "scheduled":
            print(f"it leaves at {clock(batch['send_at'])}: `delivery batches wait {answer['id']}` waits for its end")


def is_earlier(created_at: str, asked_at: float | None) -> bool:
    """Whether something was created by an earlier command under the same key."""
    return asked_at is not None and datetime.fromisoformat(created_at).timestamp() < asked_at - _CLOCKS_DIFFER_SECONDS


def _tell_rejected(audience: Audience, found: Findings, answer: dict[str, Any], count: int) -> None:
    wrong = [*(row for row in found.examples if row.field == UNREADABLE), *audience.in_lines(answer["rejected"])]
    show_wrong(sorted(wrong, key=lambda row: row.line)[:MOST_SHOWN], count)
    if count > MOST_SHOWN:
        print(f"all that the API rejected: `delivery batches rejected {answer['id']} rejected.csv`")
