"""`delivery demo`: a stack of its own, a batch with every kind of outcome, and expected against actual."""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import demo_view as view
from cli.account import temporary_folder
from cli.demo_calls import Calls, configure, order_replay, read_acceptances, read_found, read_replay, send_batch
from cli.demo_handsets import read_replies, write_all
from cli.demo_plan import FATES, START, STOP, FoundMessage, Verdict, judge, make_plan
from cli.demo_progress import Progress, Snapshot
from cli.demo_replay import judge_replay
from cli.demo_screen import Notes, captured_stderr, demo_console, shown_progress, status
from cli.environment import settings_in
from cli.errors import CommandError
from cli.ports import Port, check_free
from cli.stack import Stack, StackOptions
from cli.supervisor import StopRequested, StopSignals
from worker.states import State

VALIDITY_SECONDS, REPLAY_VALIDITY_SECONDS, GRACE_SECONDS = 25, 10, 5
ENVIRONMENT = {
    "DELIVERY_RETRY_SCHEDULE": "PT1S,PT2S,PT3S",
    "DELIVERY_MISSING_REPORT_AFTER": "PT5S,PT15S",
    "DELIVERY_REPORT_GRACE": f"PT{GRACE_SECONDS}S",
    # What a killed worker had in hand is missed, asked about and sent again while the batch is still valid.
    "DELIVERY_LEASE_SECONDS": "4",
    "DELIVERY_REQUEST_TIMEOUT_SECONDS": "1.9",
    "DELIVERY_DOUBT_LOOKS": "PT1S",
}
_KEPT_SETTINGS = ("DELIVERY_LOG_LEVEL", "DELIVERY_LOG_FORMAT")
_SETTLE_SECONDS = 30.0  # past validity and grace; then what is not final counts as a difference
_WATCH_SECONDS = 0.05
_LOOK_SECONDS = 0.2
_RETRY_LOOK_SECONDS = 1.0
_RETRIES_READ = 200
_TIMELINES_READ = 8


@dataclass(frozen=True)
class DemoOptions:
    """A port that is None: a free one. Without `data_dir`: a temporary folder, removed afterwards if all went well."""

    messages: int = 5_000
    port: int | None = None
    sandbox_port: int | None = None
    metrics_port: int | None = None
    data_dir: Path | None = None
    workers: int = 2


def run_demo(options: DemoOptions) -> int:
    """The exit code: 0 only if every message ended as expected, and again in the replay. Errors: CommandError."""
    _forget_settings()
    console = demo_console()
    verdict: Verdict | None = None
    with _data_folder(options.data_dir) as folder, captured_stderr(console) as notes:
        demo = Demo(options, folder.path, console, notes)
        with StopSignals(demo.stack.hurry) as signals:
            demo.stack.stop_signals = signals
            try:
                verdict = demo.run()
                folder.is_kept = not verdict.is_good
            except StopRequested:
                folder.is_kept = False
            except CommandError:
                folder.is_kept = demo.tell_trouble()
                raise
            finally:
                signals.is_stopping = True
                demo.stop()
    console.print(view.last_line(verdict))
    return verdict.exit_code if verdict else 1


class Demo:
    """One run on one stack. `stop` has to be called in any case."""

    def __init__(self, options: DemoOptions, data_dir: Path, console: Console, notes: Notes) -> None:
        self.console = console
        # Names and keys of this run, so that a data folder can be used again.
        self._run = f"{datetime.now(UTC):%d%H%M%S}-{secrets.token_hex(2)}"
        self.plan = make_plan(options.messages, self._run)
        token = secrets.token_urlsafe(24)
        self.stack = Stack(_stack_options(options, data_dir, token))
        self._calls = Calls(self.stack.api_url, self.stack.sandbox_url, token, self.stack.watch)
        self._progress = Progress(
            self.plan.total, VALIDITY_SECONDS, GRACE_SECONDS, "Starting PostgreSQL, Redis, API, workers and sandbox"
        )
        self._notes = notes

    def run(self) -> Verdict:
        with shown_progress(self.console, self._progress, self.plan, self._notes) as show:
            show()
            self.stack.start()
            self.stack.wait_ready()
            credential = configure(self._calls, self._run)
            self._progress.doing = f"{len(self.plan.writers):,} handsets write {STOP}, one of them {START} afterwards"
            show()
            write_all(self._calls, self.plan, credential, self._run)
            replied = read_acceptances(self._calls)
            self._calls.empty_sandbox_log()  # what is counted on the screen is the batch
            self._progress.doing = f"Sending a batch of {self.plan.total:,} messages"
            show()
            batch_id = send_batch(self._calls, self.plan, self._run, f"PT{VALIDITY_SECONDS}S")["id"]
            self._follow(batch_id, show)
            end = self._progress.snapshot()
            self._progress.doing = "Reading every message and report back"
            found = read_found(self._calls, batch_id)
            replies = read_replies(self._calls, credential)
            acceptances = [*replied, *read_acceptances(self._calls)]
            duplicates = self._calls.read_sandbox("/sandbox/summary")["duplicates_refused"]
        verdict = judge(self.plan, found, replies, acceptances, duplicates)
        self._tell(end, verdict, found)
        replayed = self._replay(batch_id, found)
        if not (verdict.is_good and replayed.is_good):
            self.console.print(view.faults_view([*verdict.rows, *replayed.rows], str(self.stack.logs_dir)))
        return replace(verdict, checks=[*verdict.checks, *replayed.checks])

    def _replay(self, source_id: str, before: Sequence[FoundMessage]) -> Verdict:
        """Ordered twice in a row, followed to its end, and told."""
        calls, validity = self._calls, f"PT{REPLAY_VALIDITY_SECONDS}S"
        calls.empty_sandbox_log()  # what is counted from here on is the replay
        preview = order_replay(calls, source_id, validity, f"{self._run}-preview", dry_run=True)
        self.console.print(view.preview_view(preview, self._progress.snapshot().counts))
        first = order_replay(calls, source_id, validity, f"{self._run}-replay")
        if first["id"] is None:
            raise CommandError("nothing of the batch failed or expired, so there was nothing to replay")
        second = order_replay(calls, source_id, validity, f"{self._run}-replay-again")
        self._progress = self._progress.of_replay(first, REPLAY_VALIDITY_SECONDS)
        with shown_progress(self.console, self._progress, self.plan, self._notes) as show:
            self._follow(first["id"], show)
            end = self._progress.snapshot()
            self._progress.doing = "Reading back what came of it"
            found = read_replay(calls, source_id, before, preview, (first, second))
        verdict = judge_replay(self.plan, found)
        self.console.print(view.summary_title(end))
        self._tell_verdict(verdict, self._notes.worth_telling)
        return verdict

    def stop(self) -> None:
        """Within 10 s."""
        self._calls.close()
        with status(self.console, "stopping everything"):
            self.stack.stop()

    def tell_trouble(self) -> bool:
        """What went on before an error, if anything did that left logs."""
        has_logs = any(self.stack.logs_dir.glob("*.log"))
        if has_logs:
            self.console.print(view.trouble_view(self._notes.worth_telling, str(self.stack.logs_dir)))
        return has_logs

    def _follow(self, batch_id: str, show: Callable[[], None]) -> None:
        """Looks on until every message is final, or should long have been."""
        look_at = retry_look_at = 0.0
        most_seconds = self._progress.validity_seconds + self._progress.grace_seconds + _SETTLE_SECONDS
        deadline = time.monotonic() + most_seconds
        while not self._progress.is_done and time.monotonic() < deadline:
            self.stack.watch()
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _LOOK_SECONDS
                self._look(batch_id)
            if time.monotonic() >= retry_look_at:
                retry_look_at = time.monotonic() + _RETRY_LOOK_SECONDS
                self._look_at_retries(batch_id)
            show()
            time.sleep(_WATCH_SECONDS)

    def _look(self, batch_id: str) -> None:
        if summary := self._calls.glance_at_sandbox("/sandbox/summary"):
            self._progress.saw_sandbox(summary)
        if batch := self._calls.glance(f"/v1/batches/{batch_id}"):
            self._progress.saw_batch(batch)

    def _look_at_retries(self, batch_id: str) -> None:
        page = self._calls.glance("/v1/messages", batch=batch_id, state=State.RETRYING, limit=_RETRIES_READ)
        if page is not None:
            self._progress.retries_at = [datetime.fromisoformat(item["next_attempt_at"]) for item in page["items"]]

    def _tell(self, end: Snapshot, verdict: Verdict, found: Sequence[FoundMessage]) -> None:
        tell = self.console.print
        tell(view.summary_title(end))
        if message := self._retried_message(found):
            tell(view.timeline_view(message))
        self._tell_verdict(verdict, ())

    def _tell_verdict(self, verdict: Verdict, story: Sequence[str]) -> None:
        self.console.print(view.summary_view(verdict, self.console.width))
        self.console.print(view.checks_view(verdict, story))

    def _retried_message(self, found: Sequence[FoundMessage]) -> dict[str, Any] | None:
        """One that was absent at first, the plainest of a few: neighbours of a refused message have more to tell."""
        suffix = FATES[0].suffix
        some = islice((message.id for message in found if message.to.endswith(suffix)), _TIMELINES_READ)
        messages = [self._calls.read(f"/v1/messages/{message_id}") for message_id in some]
        return min(messages, key=lambda message: len(message["timeline"]), default=None)


@dataclass
class _Folder:
    path: Path
    is_kept: bool = True


@contextlib.contextmanager
def _data_folder(given: Path | None) -> Iterator[_Folder]:
    """The given folder, or a temporary one, which is kept after a failure: the logs are in it."""
    if given is not None:
        yield _Folder(given)
        return
    folder = _Folder(temporary_folder("delivery-demo-"))
    try:
        yield folder
    finally:
        if not folder.is_kept:
            shutil.rmtree(folder.path, ignore_errors=True)


def _forget_settings() -> None:
    """What the shell is set up for (a real database, other schedules) is not for the demo."""
    for name in settings_in(os.environ):
        if name not in _KEPT_SETTINGS:
            del os.environ[name]


def _stack_options(options: DemoOptions, data_dir: Path, token: str) -> StackOptions:
    taken = {options.port, options.sandbox_port, options.metrics_port}

    def free(usual: int, count: int, option: str) -> int:
        """The first of so many free ports in a row, from the usual one on."""
        for number in range(usual, 65_536 - count, count):
            wanted = range(number, number + count)
            if taken.isdisjoint(wanted) and _are_free(wanted):
                taken.update(wanted)
                return number
        raise CommandError(f"no port is free from {usual} on; choose one with {option}")

    return StackOptions(
        data_dir=data_dir,
        port=options.port or free(8000, 1, "--port"),
        sandbox_port=options.sandbox_port or free(8001, 1, "--sandbox-port"),
        metrics_port=free(9100, 3, "--metrics-port") if options.metrics_port is None else options.metrics_port,
        workers=options.workers,
        environment={**ENVIRONMENT, "DELIVERY_BOOTSTRAP_TOKEN": token},
    )


def _are_free(numbers: Iterable[int]) -> bool:
    try:
        check_free([Port(number, "demo", "") for number in numbers])
    except CommandError:
        return False
    return True
