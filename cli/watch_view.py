"""How a watch looks: from what was seen to what rich draws. Pure; columns give way where the terminal is narrow."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.demo_view import bar, sparks
from cli.tables import COLOURS, cell, counted
from cli.watching import RECENT_SECONDS, Item, Seen, in_states, is_over, under_way, waiting
from worker.sentences import explain
from worker.states import FINAL, State

_LANES_SHOWN = 12
_BATCHES_SHOWN = 5
_REASONS_SHOWN = 5
_BAR_WIDTH = 20
_NAME_WIDTH = 20  # of a lane's name, before a column more is worth it
_GAP = 2  # between columns
_ROOMY, _SOME_ROOM = 90, 56  # columns of a terminal
_ALL = "all"
_HELD = "bold red"


class Column(NamedTuple):
    """`turn`: columns of a smaller one are there in a narrower terminal."""

    heading: str
    words: Callable[[Item], str]
    turn: int
    colour: str = ""


def _count(heading: str, count: Callable[[Item], int], turn: int, colour: str = "") -> Column:
    return Column(heading, lambda item: f"{count(item):,}", turn, colour)


def _state(state: State, turn: int) -> Column:
    return _count(state, lambda item: in_states(item, (state,)), turn, COLOURS[state])


_COLUMNS = (
    _count("waiting", waiting, 0),
    _count("due", lambda lane: lane["due"], 8),
    Column("oldest due", lambda lane: _span(lane["oldest_due_seconds"]), 3),
    _count("under way", under_way, 6, COLOURS[State.SENT]),
    _state(State.RETRYING, 2),
    _state(State.EXPIRED, 4),
    _state(State.FAILED, 7),
    _state(State.DELIVERED, 5),
)


def watch_view(seen: Seen, width: int, trouble: str | None = None) -> RenderableType:
    """`trouble`: why the latest look failed; what was seen before it is shown."""
    parts = [_title(seen, trouble)]
    if seen.lanes:
        parts += [_lanes(seen, width), *_holds(seen)]
    parts += [*_batches(seen, width), *_reasons(seen)]
    return Group(*parts)


def batch_view(seen: Seen, width: int, trouble: str | None = None) -> RenderableType:
    (batch,) = seen.batches
    states = Table.grid(padding=(0, 1))
    states.add_column(no_wrap=True)
    states.add_column(justify="right", no_wrap=True)
    states.add_column(no_wrap=True, overflow="ellipsis")
    for state in State:
        if count := batch["counts"].get(state, 0):
            states.add_row(
                f" {state}", f"{count:,}", bar(count, batch["total"], max(4, width - 36)), style=COLOURS[state]
            )
    return Group(_title(seen, trouble), _line(_of_batch(batch)), Text(), states, *_reasons(seen))


def watch_line(seen: Seen) -> str:
    """A look in one line, for where there is no terminal."""
    clock = f"{seen.at:%Y-%m-%dT%H:%M:%SZ}"
    if not seen.lanes and len(seen.batches) == 1:
        return f"{clock}  {_of_batch(seen.batches[0])}; {_rate(seen.rate)}; {counted(seen.batches[0]['counts'])}"
    oldest = max((lane["oldest_due_seconds"] or 0 for lane in seen.lanes), default=0)
    sums = [
        (sum(waiting(lane) for lane in seen.lanes), "waiting"),
        (sum(under_way(lane) for lane in seen.lanes), "under way"),
        *((sum(in_states(lane, (state,)) for lane in seen.lanes), state) for state in (State.RETRYING, State.EXPIRED)),
    ]
    words = [f"{count:,} {name}" for count, name in sums]
    holds = [_hold(lane, seen.at) for lane in _held(seen)]
    return "; ".join([f"{clock}  {_rate(seen.rate)}", *words, f"oldest due {_span(oldest)}", *holds])


def lane_rows(seen: Seen) -> list[dict[str, Any]]:
    """The lanes as a plain table has them: whole, with what holds them."""
    return [
        {
            "lane": lane_name(lane),
            **{column.heading: column.words(lane) for column in _COLUMNS},
            "held": _why(lane, seen.at) if lane["kind"] else None,
        }
        for lane in _shown(seen)
    ]


LANE_ROW = ("lane", *(column.heading for column in _COLUMNS), "held")


def lane_name(lane: Item) -> str:
    return cell("", f"{lane['credential']} {lane['channel']} {lane['message_type']}")


def _title(seen: Seen, trouble: str | None) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    pace = Text(f" {_rate(None)}", "dim") if seen.rate is None else Text(f" {seen.rate:,.1f} ended", "bold")
    marks = Text() if seen.rate is None else sparks(seen.history, "green")
    grid.add_row(Text.assemble(pace, marks), Text(f"{seen.at:%H:%M:%S} UTC ", "bold"))
    parts: list[RenderableType] = [Rule(Text("delivery watch", "bold cyan"), align="left", style="cyan"), grid]
    if trouble is not None:
        parts.append(Text(f" as of {seen.at:%H:%M:%S} UTC; {cell('', trouble)}; asking again", "bold yellow"))
    return Group(*parts, Text())


def _lanes(seen: Seen, width: int) -> RenderableType:
    shown = _shown(seen)
    rows = shown[:_LANES_SHOWN] + ([_sum(seen)] if len(shown) > 1 else [])
    rates = {**seen.rates, **({} if seen.rate is None else {_ALL: seen.rate})}
    pace = Column("ended/s", lambda lane: f"{rates[lane['id']]:,.1f}" if lane["id"] in rates else "", 1)
    columns, room = _fitting([pace, *_COLUMNS], rows, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column(" lane", no_wrap=True, overflow="ellipsis", max_width=room)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for lane in rows:
        is_sum = lane["id"] == _ALL
        if is_sum:
            table.add_section()
        name = Text(" all" if is_sum else f" {lane_name(lane)}", _HELD if lane["kind"] else "")
        cells = [_cell(column, lane) for column in columns]
        table.add_row(name, *cells, style="bold" if is_sum else "")
    hidden = len(seen.lanes) - min(len(shown), _LANES_SHOWN)
    return Group(table, *([_line(f"{hidden} more lanes", "dim")] if hidden else []))


def _cell(column: Column, lane: Item) -> Text:
    words = column.words(lane)
    return Text(words, "dim" if words == "0" else column.colour)


def _fitting(columns: Sequence[Column], rows: Sequence[Item], width: int) -> tuple[list[Column], int]:
    """Those for which there is room, whole numbers always, and what is left for the name."""
    room = width - 1
    name = min(_NAME_WIDTH, 2 + max((len(lane_name(lane)) for lane in rows), default=0))
    taken = set()
    for column in sorted(columns, key=lambda column: column.turn):
        wanted = _GAP + max(len(words) for words in (column.heading, *map(column.words, rows)))
        if room - wanted < name:
            break
        room -= wanted
        taken.add(column.heading)
    return [column for column in columns if column.heading in taken], max(1, room)


def _sum(seen: Seen) -> Item:
    """All lanes as one."""
    return {
        "id": _ALL,
        **dict.fromkeys(("credential", "channel", "message_type"), ""),
        "counts": {state: sum(in_states(lane, (state,)) for lane in seen.lanes) for state in State},
        "due": sum(lane["due"] for lane in seen.lanes),
        "oldest_due_seconds": max((lane["oldest_due_seconds"] or 0 for lane in seen.lanes), default=0),
        "kind": None,
    }


def _shown(seen: Seen) -> list[Item]:
    """Lanes that something was ever sent on, or that are held; held ones first."""
    there = [lane for lane in seen.lanes if lane["kind"] or any(lane["counts"].values())]
    return sorted(there, key=lambda lane: not lane["kind"])


def _held(seen: Seen) -> list[Item]:
    return [lane for lane in seen.lanes if lane["kind"]]


def _holds(seen: Seen) -> Iterable[RenderableType]:
    for lane in _held(seen)[:_LANES_SHOWN]:
        yield Text(f" {_hold(lane, seen.at)}", _HELD)


def _hold(lane: Item, now: datetime) -> str:
    return f"{lane_name(lane)} is held, {_why(lane, now)}"


def _why(lane: Item, now: datetime) -> str:
    reason = f"{cell('', lane['kind'])}: {cell('', lane['reason'])}"
    if lane["held_until"] is None:
        return reason
    until = datetime.fromisoformat(lane["held_until"])
    return f"{reason}; {f'tried again at {until:%H:%M:%S} UTC' if until > now else 'the next try is due now'}"


def _batches(seen: Seen, width: int) -> Iterable[RenderableType]:
    if not seen.batches:
        return [Text(), _line("no batch runs or waits", "dim")]
    table = Table.grid(padding=(0, 1))
    for overflow_first in (True, False, False, True):
        table.add_column(no_wrap=True, overflow="ellipsis" if overflow_first else "crop")
    for batch in seen.batches[:_BATCHES_SHOWN]:
        ended = in_states(batch, FINAL)
        name = batch["id"] if width >= _ROOMY else f"…{batch['id'][-12:]}"
        share = bar(ended, batch["total"], _BAR_WIDTH if width >= _ROOMY else _BAR_WIDTH // 2)
        rest = Text.assemble((share, "green"), _size(batch)) if width >= _SOME_ROOM else Text()
        state = Text(batch["state"], COLOURS.get(batch["state"], ""))
        table.add_row(f" {name}", state, f"{ended / max(1, batch['total']):6.1%}", rest)
    more = len(seen.batches) - _BATCHES_SHOWN
    words = f"{'more than ' if seen.has_more else ''}{more} more"
    return [Text(), _line("batches that are not over", "dim"), table, *([_line(words, "dim")] if more > 0 else [])]


def _size(batch: Item) -> str:
    pause = f", {cell('', batch['pause_reason'])}" if batch.get("pause_reason") else ""
    return f" of {batch['total']:,} through {cell('', batch['surface'])}{pause}"


def _reasons(seen: Seen) -> Iterable[RenderableType]:
    if seen.reason_seconds is None:
        when = "so far"
    else:
        minutes = RECENT_SECONDS // 60
        is_full = seen.reason_seconds >= RECENT_SECONDS
        when = f"in the last {minutes} minutes" if is_full else f"in the last {_span(seen.reason_seconds)}"
    if not seen.reasons:
        return [Text(), _line(f"nothing failed {when}", "dim")]
    lines = [Text(), _line(f"failures {when}", "dim")]
    for reason, count in seen.reasons[:_REASONS_SHOWN]:
        sentence = explain(reason).split(". ")[0].rstrip(".")
        detail = f"  {sentence}" if sentence != reason else ""
        lines.append(_line(Text.assemble(f"{count:>9,} ", cell("", reason), (cell("", detail), "dim"))))
    return lines


def _of_batch(batch: Item) -> str:
    ended = f"{in_states(batch, FINAL) / max(1, batch['total']):.1%}"
    what = batch["state"] if not is_over(batch) or batch["state"] == "cancelled" else "done"
    return f"{batch['id']}: {what}, {ended}{_size(batch)}"


def _line(words: str | Text, style: str = "") -> Text:
    return Text.assemble(" ", words, style=style, no_wrap=True, overflow="ellipsis")


def _rate(rate: float | None) -> str:
    return "ended/s not known yet" if rate is None else f"{rate:,.1f} ended/s"


def _span(seconds: float | None) -> str:
    """About how long: 12 s, 5 min, 3 h."""
    if seconds is None:
        return ""
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"
