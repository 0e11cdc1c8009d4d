"""`python -m tests.chaos`: tens of thousands of messages through real processes while everything around them fails.

Prints each seed first, so that a run that hangs can be repeated too. Exits with 0 only if all checks of all seeds held.
"""

import argparse
import contextlib
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from cli.account import temporary_folder
from cli.environment import settings_in
from cli.errors import CommandError
from cli.stack import Stack
from cli.supervisor import StopRequested, StopSignals
from tests.chaos.figures import sections
from tests.chaos.plan import Intensity, Plan, make_plan
from tests.chaos.run import ChaosRun, chaos_stack
from tests.chaos.table import faults_text, figures_table

FRESH_SEEDS = 3
_INTERRUPTED = 130


def main() -> int:
    options = _options()
    for name in settings_in(os.environ):
        del os.environ[name]  # settings of somebody's own would bend the run
    console = Console(highlight=False)
    seeds = options.seeds or [random.SystemRandom().randrange(1_000_000) for _ in range(FRESH_SEEDS)]
    bad = []
    for seed in seeds:
        intensity = Intensity(options.kills, options.flushes, options.redis_restarts, options.postgres_restarts)
        plan = make_plan(seed, options.messages, intensity, options.validity_seconds)
        console.print(f"[bold]seed {seed}[/bold]: {plan.total:,} messages, {len(plan.strikes)} blows")
        try:
            is_good = run_seed(plan, console, is_kept=options.keep)
        except StopRequested:
            return _INTERRUPTED
        if not is_good:
            bad.append(seed)
            console.print(f"again: make chaos SEED={seed}, or {_command(options, seed)}", style="bold red")
    console.print(
        f"chaos: {len(seeds) - len(bad)} of {len(seeds)} seeds held", style="bold red" if bad else "bold green"
    )
    return 1 if bad else 0


def run_seed(plan: Plan, console: Console, *, is_kept: bool = False) -> bool:
    """Whether every check held. The data folder, with all logs, is kept where one did not, or where it is wanted."""
    folder = temporary_folder(f"delivery-chaos-{plan.seed}-")
    is_good = is_interrupted = False
    try:
        with _supervisor_in(folder / "supervisor.log"), _stack(folder / "data") as stack:
            run, evidence, checks = ChaosRun(plan, stack, console.print).run()
        console.print(figures_table(sections(run, evidence, checks)))
        console.print(faults_text(checks))
        is_good = all(check.is_met for check in checks)
    except StopRequested:
        is_interrupted = True
        raise
    except CommandError as error:
        console.print(str(error), style="bold red", markup=False)
    finally:
        if is_kept or not (is_good or is_interrupted):
            console.print(f"data and logs of this run: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return is_good


@contextlib.contextmanager
def _stack(folder: Path) -> Iterator[Stack]:
    """A stack that ends with us, Ctrl-C included."""
    stack = chaos_stack(folder)
    with StopSignals(stack.hurry) as signals:
        stack.stop_signals = signals
        try:
            yield stack
        finally:
            signals.is_stopping = True
            stack.stop()


@contextlib.contextmanager
def _supervisor_in(path: Path) -> Iterator[None]:
    """What the supervisor says of thousands of faults goes to a file."""
    with path.open("w") as log, contextlib.redirect_stderr(log):
        yield


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    usual = Intensity()
    parser.add_argument("--messages", type=int, default=50_000, help="how many, for each seed")
    parser.add_argument("--seed", type=int, action="append", dest="seeds", help="run this one; may be given again")
    parser.add_argument("--validity-seconds", type=int, help="of most messages, from the start of the run on")
    parser.add_argument("--kills", type=int, default=usual.kills, help="of workers or parts of them")
    parser.add_argument("--flushes", type=int, default=usual.flushes, help="of Redis")
    parser.add_argument("--redis-restarts", type=int, default=usual.redis_restarts, help="each after a kill")
    parser.add_argument("--postgres-restarts", type=int, default=usual.postgres_restarts, help="by turns asked, killed")
    parser.add_argument("--keep", action="store_true", help="keep data and logs, whatever comes of it")
    return parser.parse_args()


def _command(options: argparse.Namespace, seed: int) -> str:
    given = {
        name: value for name, value in vars(options).items() if name not in ("seeds", "keep") and value is not None
    }
    words = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    return " ".join(["python -m tests.chaos", f"--seed {seed}", *words])


if __name__ == "__main__":
    sys.exit(main())
