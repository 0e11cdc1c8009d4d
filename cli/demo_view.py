"""How the demo looks: from a snapshot or a verdict to what rich draws. Pure, and at home in 80 columns.

Colour only repeats what words, bars and ticks say, so that nothing is lost without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.demo_plan import Fate, Plan, Row, Verdict, attempts_in_words
from cli.demo_progress import HEADING, Snapshot
from cli.tables import COLOURS
from worker.sentences import explain
from worker.states import State

_SELDOM = (State.SUPPRESSED, State.CANCELLED)
_BAR_WIDTH = 44
_REASONS_SHOWN = 4
_FAULTS_SHOWN = 3
_NOTES_SHOWN = 4
_STORY_SHOWN = 6
_ROOMY = 100  # columns from which the table has more of its own
_NEVER_ASKED = (State.DELIVERED, State.SUPPRESSED)
_LEFT_OUT: Mapping[str, str] = {
    State.UNCONFIRMED: "may have arrived: only if you insist",
    State.DELIVERED: "nobody gets it twice",
    State.SUPPRESSED: "they had opted out",
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SPARKS = " ▁▂▃▄▅▆▇█"


def is_news(note: str) -> bool:
    """Of what the supervisor says: deaths and warnings, not where the logs are."""
    return " | " in note or " ended " in note or " was killed " in note


def live_view(now: Snapshot, plan: Plan) -> RenderableType:
    """At most 23 lines: all of it fits the smallest of usual terminals. News takes the place of a reason."""
    if now.remaining_seconds is None:
        notes = [Text(f" {note}", "dim", no_wrap=True, overflow="ellipsis") for note in now.notes[-_NOTES_SHOWN:]]
        return Group(title(now), Text(), plan_view(plan), Text(), *notes)
    news = [Text(f" {note}", "yellow", no_wrap=True, overflow="ellipsis") for note in now.notes if is_news(note)]
    return Group(
        title(now),
        _time_left(now, now.remaining_seconds),
        Text(),
        *batch_view(now, _REASONS_SHOWN - bool(news)),
        *news[-1:],
    )


def title(now: Snapshot) -> RenderableType:
    head = Text.assemble((f" {_spin(now.elapsed_seconds)} ", "bold cyan"), (now.doing, "bold"))
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(head, Text(f"{now.elapsed_seconds:5.1f} s ", "bold"))
    return Group(_rule(now.heading), grid)


def _rule(heading: str) -> Rule:
    return Rule(Text(heading, "bold cyan"), align="left", style="cyan")


def _time_left(now: Snapshot, remaining_seconds: float) -> Text:
    """The validity period as a bar that empties, then the grace."""
    if remaining_seconds > 0:
        words, whole, left, colour = "validity", now.validity_seconds, remaining_seconds, "cyan"
    else:
        words, whole, left, colour = "grace", now.grace_seconds, remaining_seconds + now.grace_seconds, "magenta"
    left = max(0.0, left)
    filled = round(_BAR_WIDTH * min(1.0, left / whole))
    rest = ("─" * (_BAR_WIDTH - filled), "bright_black")
    return _line(words, f"{left:.1f}", Text.assemble("s  ", ("━" * filled, colour), rest))


def plan_view(plan: Plan) -> RenderableType:
    """What is about to be sent, while the servers start."""
    table = _table("number", "what Infobip will say", "how they should end")
    for fate, count in plan.counts.items():
        table.add_row(_number(fate), fate.says, _count(count, fate.ends_as))
    return Padding(table, (0, 0, 0, 1), expand=False)


def batch_view(now: Snapshot, reason_count: int) -> list[RenderableType]:
    return [*_states(now), Text(), *_pace(now), Text(), *_reasons(now.reasons[:reason_count])]


def _states(now: Snapshot) -> Iterable[Text]:
    for state in State:
        count = now.counts.get(state, 0)
        if count or state not in _SELDOM:
            colour = COLOURS[state] if count else "dim"
            yield _line(state, f"{count:,}", Text(bar(count, now.total), colour), colour)


def _pace(now: Snapshot) -> list[Text]:
    return [
        _line("accepted", f"{now.accepted_rate:,.0f}", sparks(now.accepted_history, "blue")),
        _line("finished", f"{now.finished_rate:,.0f}", sparks(now.finished_history, "green")),
        _line("sends", f"{now.accepted_count:,}", Text(f"taken by Infobip, in {now.request_count:,} requests")),
        _line("retries", f"{now.retry_count:,}", _retries(now)),
    ]


def _retries(now: Snapshot) -> Text:
    waiting = now.counts.get(State.RETRYING, 0)
    text = Text.assemble("made", (f", {waiting:,} scheduled" if waiting else "", COLOURS[State.RETRYING]))
    if waiting and now.next_retry_at is not None and now.next_retry_seconds is not None:
        text.append(f", next at {now.next_retry_at:%H:%M:%S} UTC")
        text.append(f", in {now.next_retry_seconds:.1f} s" if now.next_retry_seconds >= 0.1 else ", now", "dim")
    return text


def _reasons(reasons: Sequence[tuple[str, int]]) -> Iterable[Text]:
    for index, (reason, count) in enumerate(reasons):
        sentence = explain(reason).split(". ")[0].rstrip(".")
        detail = f"  {sentence}" if sentence != reason else ""
        yield _line("because" if index == 0 else "", f"{count:,}", Text.assemble(reason, (detail, "dim")))


def _line(name: str, number: str, rest: Text, style: str = "") -> Text:
    """Name, number, and what belongs to them: the same columns all the way down."""
    return Text.assemble((f" {name:<11} {number:>6} ", style), rest, no_wrap=True, overflow="ellipsis")


def progress_line(now: Snapshot) -> str:
    """The same in one line, for where there is no terminal."""
    start = f"{now.elapsed_seconds:5.1f} s  "
    if now.remaining_seconds is None:
        return start + now.doing
    counts = ", ".join(f"{now.counts[state]:,} {state}" for state in State if now.counts.get(state))
    left = now.remaining_seconds
    clock = f"{left:2.0f} s valid" if left > 0 else f"{max(0.0, left + now.grace_seconds):2.0f} s grace"
    return f"{start}{clock}  {counts}; {now.retry_count:,} retries"


def summary_title(end: Snapshot) -> RenderableType:
    fastest = max(end.accepted_history, default=0)
    sends = f"{end.accepted_count:,} sends, {end.retry_count:,} of them retries, in {end.request_count:,} requests"
    return Group(
        _rule(end.heading),
        Text(f" {end.final_count:,} of {end.total:,} messages final after {end.elapsed_seconds:.1f} s", "bold"),
        Text(f" {sends}; up to {fastest:,.0f} a second", "dim"),
        Text(),
    )


def summary_view(verdict: Verdict, width: int) -> RenderableType:
    """Expected against actual. Wider terminals see shares and attempts too."""
    is_roomy = width >= _ROOMY
    table = _table("number", "Infobip said", *(("share", "attempts") if is_roomy else ()), "expected", "actual", "")
    for row in verdict.rows:
        share = (f"{row.planned / verdict.total:.1%}", _attempts(row)) if is_roomy else ()
        tick = Text("✓", "bold green") if row.is_as_expected else Text("✗", "bold red")
        expected = _count(row.planned, row.fate.ends_as)
        table.add_row(_number(row.fate), row.fate.says, *share, expected, _actual(row), tick)
    return Padding(table, (0, 0, 0, 1), expand=False)


def checks_view(verdict: Verdict, story: Sequence[str]) -> RenderableType:
    """What holds over all messages, and what is worth telling besides."""
    lines = [
        Text.assemble((" ✓ ", "bold green") if check.is_met else (" ✗ ", "bold red"), check.words)
        for check in verdict.checks
    ]
    lines += [Text(f" · {line}", "dim") for line in story[:_STORY_SHOWN]]
    if len(story) > _STORY_SHOWN:
        lines.append(Text(f" · and {len(story) - _STORY_SHOWN:,} more such lines", "dim"))
    return Group(Text(), *lines, Text())


def faults_view(rows: Sequence[Row], logs: str) -> RenderableType:
    """Which rows differ, with examples, and where to look further."""
    lines: list[Text] = []
    for row in rows:
        if row.faults:
            lines.append(
                Text(f" {_number(row.fate)}: {len(row.faults):,} of {row.planned:,} not as expected", "bold red")
            )
            lines += [Text(f"   {message}  {fault}") for message, fault in row.faults[:_FAULTS_SHOWN]]
            if len(row.faults) > _FAULTS_SHOWN:
                lines.append(Text(f"   and {len(row.faults) - _FAULTS_SHOWN:,} more", "dim"))
    return Group(*lines, _where(logs), Text())


def trouble_view(story: Sequence[str], logs: str) -> RenderableType:
    """What the supervisor saw before an error, and where to look further."""
    return Group(*(Text(f" · {line}", "dim") for line in story[-_STORY_SHOWN:]), _where(logs))


def _where(logs: str) -> Text:
    return Text(f" logs, kept: {logs}", overflow="fold")


def preview_view(preview: Mapping[str, Any], counts: Mapping[str, int]) -> RenderableType:
    """What failed and why, and what is left out. `counts`: how many messages of the batch are in each state."""
    cost = preview["cost"]
    price = f"some {cost['amount']:.2f} {cost['currency']} by the prices so far" if cost else "no price is known yet"
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for group in preview["groups"]:
        _add_group(grid, group["state"], group["count"], group["reason"] or "")
    grid.add_row()
    for group in preview["left_out"]:
        _add_group(grid, "left out", group["count"], group["reason"])
    for state in _NEVER_ASKED:
        if counts.get(state):
            _add_group(grid, "left out", counts[state], state)
    return Group(
        _rule(f"{HEADING}: what a replay would send"),
        Text(f" {preview['would_replay']:,} of {sum(counts.values()):,} failed or expired, for these reasons", "bold"),
        Text(f" {preview['segments']:,} segments to send again: {price}", "dim"),
        Text(),
        Padding(grid, (0, 0, 1, 1)),
    )


def _add_group(grid: Table, name: str, count: int, reason: str) -> None:
    sentence = _LEFT_OUT.get(reason) or explain(reason).split(". ")[0].rstrip(".")
    style = COLOURS.get(name, "")
    grid.add_row(
        Text(name, style), Text(f"{count:,}", style), reason, Text("" if sentence == reason else sentence, "dim")
    )


def timeline_view(message: Mapping[str, Any]) -> RenderableType:
    """One message's life, as the API tells it."""
    events = message["timeline"]
    start = datetime.fromisoformat(events[0]["at"])
    lines = [Text.assemble(" One of them, ", (f"+{message['to']}", "bold"), f", from {start:%H:%M:%S} UTC on:")]
    for event in events:
        seconds = (datetime.fromisoformat(event["at"]) - start).total_seconds()
        mark, words, style = _event(event)
        lines.append(Text.assemble((f" {seconds:7.3f} s  ", "dim"), (f"{mark} ", style), words))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines, Text())


def _event(event: Mapping[str, Any]) -> tuple[str, Text, str]:
    """Mark, words and colour of one event; kinds that are not known stand for themselves."""
    attempt = f"attempt {event.get('number')}"
    match event["kind"]:
        case "accepted":
            return "○", Text("accepted by the API"), "dim"
        case "attempt":
            return "↑", Text(f"{attempt} leaves"), "cyan"
        case "resubmitted":
            return "↑", Text(f"{attempt} leaves again, as the same attempt"), "cyan"
        case "accepted_by_infobip":
            return "·", Text(f"{attempt} accepted by Infobip"), "blue"
        case "report":
            status, error = event["status"] or "a report without a status", event["error"]
            detail = f" {error}" if error not in (None, "NO_ERROR") else ""
            words = Text.assemble(f"{attempt}: {status}", (detail, "dim"))
            return ("✓", words, "green") if status.startswith("DELIVERED") else ("✗", words, "yellow")
        case "finished":
            return "■", Text.assemble("finished: ", (event["state"], COLOURS[State(event["state"])])), "bold"
        case kind:
            return "·", Text(f"{kind.replace('_', ' ')} {event.get('sentence', '')}".rstrip()), "yellow"


def last_line(verdict: Verdict | None) -> Text:
    """None: it was stopped."""
    if verdict is None:
        return Text("demo: stopped before its end", "yellow")
    return Text(verdict.last_line, "bold green" if verdict.is_good else "bold red", no_wrap=True)


def bar(count: int, total: int, width: int = _BAR_WIDTH) -> str:
    """A bar in eighths of a column; whatever is there shows."""
    eighths = max(1, round(width * 8 * count / total)) if count and total else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparks(history: Sequence[float], colour: str) -> Text:
    """A mark for each second, the highest being the fastest."""
    top = max(history, default=0.0)
    marks = (_SPARKS[max(1, round(value / top * 8)) if value > 0 else 0] for value in history[-_BAR_WIDTH:])
    return Text.assemble("/s  ", ("".join(marks) if top > 0 else "", colour))


def _spin(seconds: float) -> str:
    return _SPINNER[int(seconds * 10) % len(_SPINNER)]


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("share", "attempts") else "left", no_wrap=True)
    return table


def _number(fate: Fate) -> str:
    return f"…{fate.suffix}" if fate.suffix else fate.name


def _count(count: int, state: State) -> Text:
    return Text(f"{count:>5,} {state}", COLOURS[state])


def _actual(row: Row) -> Text:
    counts = sorted(row.states.items(), key=lambda item: -item[1])
    parts = [_count(count, State(state)) for state, count in counts]
    return Text("\n").join(parts) if parts else Text("    0", "red")


def _attempts(row: Row) -> str:
    least, most = row.attempts
    return attempts_in_words(row.fate) if not most else str(least) if least == most else f"{least} to {most}"
