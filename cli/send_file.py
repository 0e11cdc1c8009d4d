"""A file to its people: read, checked, sent as one request under one idempotency key, and followed to its end."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import typer

from cli.api_client import ApiAway, ApiClient, ApiRefusal, Created
from cli.audience import ALL_OF_THEM, MOST_SHOWN, Audience, refuse
from cli.column_map import TEMPLATE_VARIABLES, ColumnMap, is_row, map_columns
from cli.errors import CommandError
from cli.options import confirm, say
from cli.people_file import PeopleFile, people_in
from cli.rejected_file import rejecting
from cli.row_reading import Reader, texts_of
from cli.send_check import Findings, examine, read_through
from cli.send_faults import ADVICE, in_lines
from cli.send_preview import preview
from cli.send_surface import check_reading, read_surface, reading_of
from cli.send_view import findings_json, reading, show_end, show_findings, show_wrong, uploading
from cli.tables import clock, counted, print_json
from cli.waiting import INTERRUPTED, exit_code, interruptible, patiently, wait_for_batch

SOME_REJECTED = 3
_CONFLICT = 409
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
    rejected: str | None
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
        is_asked = not wish.is_confirmed and sys.stdin.isatty() and sys.stderr.isatty()
        surface = read_surface(api, wish.batch) if wish.dry_run or is_asked or wish.rejected else None
        if surface is None and wish.waits is not False:
            check_reading(api, wish.batch)
        found = _read(api, wish, audience, surface)
        is_shown = wish.dry_run or (is_asked and not wish.as_json)
        told = preview(api, wish.batch, found.sample_rows) if is_shown else None
        if wish.dry_run:
            return _tell_dry_run(wish, found, surface or {}, told)
        if is_shown:
            show_findings(found, surface or {}, dict(wish.batch), told)
        _check(wish, found, people.name, is_shown=is_shown)
        if is_asked:
            _ask(wish, found)
        key = wish.key or audience.key
        created = _upload(api, wish, audience, found, key)
        look = f"`delivery watch --batch {created.answer['id']}` shows it"
        with interruptible(f"the batch goes on without you: {look}"):
            return _follow(api, wish, audience, found, key, created)


def _read(api: ApiClient, wish: Wish, audience: Audience, surface: dict[str, Any] | None) -> Findings:
    """Where the surface is not known, only whether it can be read. Errors: CommandError, also where there is no row."""
    with reading(audience.file.source) as moved:
        if surface is None:
            found = read_through(audience, moved)
        else:
            names_templates = audience.columns is None or "template" in wish.batch
            reader = Reader(wish.batch, reading_of(api, surface, names_templates=names_templates))
            with rejecting(wish.rejected, wish.file) as told:
                found = examine(audience, reader, moved, told)
    if not found.rows:
        raise CommandError(f"{audience.file.name} holds no rows")
    return found


def _columns(people: PeopleFile, wish: Wish) -> ColumnMap | None:
    """None where the rows are the API's own."""
    if people.first is not None and is_row(people.first) and not (wish.to or wish.placeholders or wish.callback_data):
        return None
    if not {"text", "template", "mms"} & wish.batch.keys():
        raise CommandError(
            "--text is missing (or --template, or what an MMS holds): only rows in the API's own form may bring texts "
            "of their own"
        )
    named = dict(wish.placeholders)
    values = named.pop(TEMPLATE_VARIABLES, None) if "template" in wish.batch else None
    return map_columns(people.columns, texts_of(wish.batch), wish.to, named, wish.callback_data, values)


def _tell_dry_run(wish: Wish, found: Findings, surface: dict[str, Any], told: dict[str, Any] | None) -> int:
    if wish.as_json:
        print_json(findings_json(found, told))
    else:
        show_findings(found, surface, dict(wish.batch), told)
        print("\nnothing was sent")
    return 0 if not found.wrong else SOME_REJECTED if wish.skips and found.good else 1


def _ask(wish: Wish, found: Findings) -> None:
    left = found.duplicates if wish.batch.get("deduplicate") else 0
    segments = f", {found.segments:,} segments" if found.segments else ""
    confirm(f"\nSend {found.good - left:,} messages{segments}?", wish.is_confirmed)


def _check(wish: Wish, found: Findings, name: str, *, is_shown: bool) -> None:
    """Errors: CommandError where the file holds nothing to send, or rows that would be lost unsaid."""
    if not found.wrong or (wish.skips and found.good):
        return
    if found.unreadable == found.wrong:
        what = "a line cannot be read" if found.wrong == 1 else f"{found.wrong:,} lines cannot be read"
    else:
        what = "a row looks wrong" if found.wrong == 1 else f"{found.wrong:,} rows look wrong"
    advice = ADVICE if found.good else "correct them"
    raise refuse(f"{name}: {what}, and nothing was sent: {advice}", () if is_shown else found.examples, found.wrong)


def _upload(api: ApiClient, wish: Wish, audience: Audience, found: Findings, key: str) -> Created:
    again = f"the same command again (with --key {key}) goes on where this stopped, and sends nothing twice"
    try:
        with uploading(found.readable) as moved:

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
        if refusal.status == _CONFLICT:
            raise CommandError(
                f"{'--key' if wish.key else 'the key of this command'} {key} came with another file or other options "
                "before, and nothing was sent now: send those again to look at that batch, or give another --key for "
                "this one"
            ) from refusal
        raise in_lines(refusal, audience, found.readable, skips=wish.skips) from refusal


def _follow(api: ApiClient, wish: Wish, audience: Audience, found: Findings, key: str, created: Created) -> int:
    """From the API's 202 to the exit code."""
    answer = {**created.answer, "idempotency_key": key}
    rejected = found.unreadable + answer["rejected_count"]
    if not wish.as_json:
        _tell_accepted(api, answer, created.asked_at)
        _tell_rejected(wish, audience, found, answer, rejected)
    else:
        answer |= _rejected_json(audience, found, answer)
    if wish.rejected and rejected != found.wrong:
        say(
            f"the API rejected other rows than {wish.rejected} has: `delivery batches rejected {answer['id']}` has them"
        )
    if wish.waits or (wish.waits is None and answer["state"] != "scheduled"):
        answer["batch"] = patiently(lambda: wait_for_batch(api, answer["id"]))
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
    if "parts" in answer:  # an answer that was kept from before they were counted has none
        print(_billed(answer))
    with suppress(CommandError):  # a token that may send may not be one that reads
        batch = api.read(f"/v1/batches/{answer['id']}")
        if is_earlier(batch["created_at"], asked_at):
            print(f"it is that of {clock(batch['created_at'])}: nothing was sent now, another --key would send again")
        if answer["state"] == "scheduled":
            print(f"it leaves at {clock(batch['send_at'])}: `delivery batches wait {answer['id']}` waits for its end")


def _billed(answer: dict[str, Any]) -> str:
    """What the accepted messages take together, and how many of them are doubtful."""
    told = f"{answer['parts']:,} segments"
    if not answer["warned_count"]:
        return told
    look = f"`delivery messages list --batch {answer['id']} --json` has each warning"
    return f"{told}; {answer['warned_count']:,} messages are doubtful: {look}"


def is_earlier(created_at: str, asked_at: float | None) -> bool:
    """Whether something was created by an earlier command under the same key."""
    return asked_at is not None and datetime.fromisoformat(created_at).timestamp() < asked_at - _CLOCKS_DIFFER_SECONDS


def _tell_rejected(wish: Wish, audience: Audience, found: Findings, answer: dict[str, Any], count: int) -> None:
    wrong = [*found.lines, *audience.in_lines(answer["rejected"][:MOST_SHOWN])]
    show_wrong(sorted(wrong, key=lambda row: row.line), count)
    if count and wish.rejected:
        print(f"all of them are in {wish.rejected}")
    elif count > MOST_SHOWN:
        print(f"the same command with {ALL_OF_THEM}")


def _rejected_json(audience: Audience, found: Findings, answer: dict[str, Any]) -> dict[str, Any]:
    """What the API rejected, with the file's lines, and what never reached it: the first of each, and their counts."""
    lines = audience.lines_of(row["index"] for row in answer["rejected"])
    return {
        "rejected": [{**row, "line": lines[row["index"]]} for row in answer["rejected"]],
        "unreadable": [row._asdict() for row in found.lines],
        "unreadable_count": found.unreadable,
    }
