"""Measures the product beside its rivals, prints a table, writes everything as JSON.

Exits with 0 also where a goal was missed, for a busy machine misses goals; with 1 where a measure could not be taken.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from bench.bench import Bench
from bench.errors import MeasureFailed
from bench.machine import describe_machine
from bench.registry import MEASURES, SCALE_MEASURES, Measure, chosen
from bench.sizes import chosen_sizes
from bench.table import costs_table, figures_table
from cli.environment import settings_in
from cli.errors import CommandError
from cli.supervisor import StopRequested

_RESULTS = Path(__file__).with_name("results") / "latest.json"
_INTERRUPTED = 130
_PLAIN_WIDTH = 140  # into a file


def main() -> int:
    options = _options()
    for name in settings_in(os.environ):
        del os.environ[name]  # settings of somebody's own would bend the figures
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    try:
        measures = chosen(options.only, is_scale=options.scale)
    except ValueError as error:
        console.print(str(error), style="bold red")
        return 2
    machine = describe_machine()
    console.print(_headline(machine), highlight=False)
    sizes = chosen_sizes(
        is_quick=options.quick,
        is_scale=options.scale,
        messages=options.messages,
        idle_seconds=options.idle_seconds,
        bloat_messages=options.bloat_messages,
    )
    with Bench(sizes, lambda line: console.print(f"  {line}", style="dim"), shares_stage=options.quick) as bench:
        try:
            failures = _take(measures, bench, console)
        except (StopRequested, KeyboardInterrupt):
            return _INTERRUPTED
        _show(bench, console)
        _write(options.json, bench, machine, failures)
    console.print(f"all of it: {options.json}")
    return 1 if failures else 0


def _take(measures: list[Measure], bench: Bench, console: Console) -> dict[str, str]:
    """What could not be measured, and why."""
    failures: dict[str, str] = {}
    for measure in measures:
        console.print(f"[bold]{measure.name}[/bold]")
        try:
            bench.figures[measure.name] = measure.take(bench)
        except (MeasureFailed, CommandError) as error:
            failures[measure.name] = str(error)
            console.print(f"  not measured: {error}", style="bold red", markup=False)
        except Exception as error:  # a fault in one measure must not lose what the others found in an hour
            failures[measure.name] = f"{type(error).__name__}: {error}"
            console.print_exception()
    return failures


def _show(bench: Bench, console: Console) -> None:
    if bench.servers:
        console.print(", ".join(f"{name} {value}" for name, value in bench.servers.items()))
    console.print(figures_table(bench.figures))
    if bench.costs:
        console.print(costs_table(bench.costs))


def _write(path: Path, bench: Bench, machine: dict[str, Any], failures: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine,
        "servers": bench.servers,
        "sizes": vars(bench.sizes),
        "measures": {name: [figure.as_json() for figure in figures] for name, figures in bench.figures.items()},
        "cost_per_message": bench.costs,
        "not_measured": failures,
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _headline(machine: dict[str, Any]) -> str:
    load = ", ".join(f"{value:.2f}" for value in machine["load"])
    return (
        f"{machine['at']}  {machine['cpu']}, {machine['cores']} cores, {machine['memory_mebibytes']:,} MiB, "
        f"Python {machine['python']}, load {load}"
    )


def _options() -> argparse.Namespace:
    names = ", ".join(dict.fromkeys(measure.name for measure in (*MEASURES, *SCALE_MEASURES)))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", action="store_true", help="the long rows: millions of messages, an hour of ticks")
    parser.add_argument("--quick", action="store_true", help="a smoke run: seconds, and figures that mean nothing")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of: {names}")
    parser.add_argument("--messages", type=int, help="of the main runs, in place of 100,000")
    parser.add_argument("--idle-seconds", type=float, help="how long a stack is left alone: 60, or with --scale 3,600")
    parser.add_argument("--bloat-messages", type=int, help="that go through the tables, in place of 5,000,000")
    parser.add_argument("--json", type=Path, default=_RESULTS, help=f"where everything goes (usually {_RESULTS.name})")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
