"""Keeps children running: starts again what dies, gives up on what cannot live, stops all in order."""

import signal
import time
from collections.abc import Callable, Sequence

from cli.child import Child, stop_together
from cli.errors import CommandError
from cli.logs import Follower
from cli.processes import reap_orphans, signal_name

QUICK_SECONDS = 5.0
QUICK_EXITS = 5
_PAUSE_SECONDS = 0.3  # after a quick exit, so that five of them do not pass within a blink


class Supervisor:
    """Nothing runs in the background: whoever owns a supervisor calls `watch` several times a second, always from the
    same thread, since the kernel ties "die with your parent" to the thread that started a child."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.reaps_orphans = False  # only for a process that has no children beside ours
        self._children: list[Child] = []
        self._followers: dict[str, Follower] = {}
        self._quick_exits: dict[str, int] = {}
        self._launch_at: dict[str, float] = {}
        self._is_hurried = False

    def add(self, child: Child, *, shows_warnings: bool = True) -> None:
        """Takes a child that was launched, or will be before the next `watch`."""
        self._children.append(child)
        if shows_warnings:
            self._followers[child.name] = Follower(child.log_path)

    def watch(self) -> None:
        """One look at every child. Errors: CommandError when one ended by itself five times in a row."""
        for child in self._children:
            if child.name in self._launch_at:
                self._launch_when_due(child)
            elif (status := child.poll()) is not None:
                self._ended(child, status)
        for name, follower in self._followers.items():
            for line in follower.notable_lines():
                self._say(f"{name} | {line}")
        if self.reaps_orphans:
            reap_orphans({child.pid for child in self._children if child.pid is not None})

    def hurry(self) -> None:
        """Makes a `stop` under way kill instead of ask."""
        self._is_hurried = True

    def stop(self, *waves: Sequence[str]) -> None:
        """Stops the named children wave by wave, then any other. Names that are not ours are passed over."""
        named = {name for wave in waves for name in wave}
        others = [child.name for child in self._children if child.name not in named]
        for wave in (*waves, others):
            children = [child for name in wave for child in self._children if child.name == name]
            stop_together(children, lambda: self._is_hurried)
        self._children = []
        if self.reaps_orphans:
            reap_orphans(set())

    def _ended(self, child: Child, status: int) -> None:
        who = f"{child.name} (pid {child.pid})"
        if status < 0:
            self._quick_exits.pop(child.name, None)
            self._say(f"{who} was killed by {signal_name(-status)}; starting it again")
            child.launch()
            return
        if time.monotonic() - child.started_at > QUICK_SECONDS:
            self._quick_exits.pop(child.name, None)
            self._say(f"{who} ended with status {status}; starting it again")
            child.launch()
            return
        count = self._quick_exits[child.name] = self._quick_exits.get(child.name, 0) + 1
        if count >= QUICK_EXITS:
            raise CommandError(
                "\n".join(
                    [f"{child.name} ended {count} times at once, last with status {status}:"]
                    + ([f"  {line}" for line in child.last_lines()] + [f"its log: {child.log_path}"])
                )
            )
        self._say(f"{who} ended with status {status} right after its start; trying again")
        self._launch_at[child.name] = time.monotonic() + _PAUSE_SECONDS

    def _launch_when_due(self, child: Child) -> None:
        if time.monotonic() >= self._launch_at[child.name]:
            del self._launch_at[child.name]
            child.launch()


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM. Not an Exception, so that nothing on its way swallows it."""


class StopSignals:
    """While entered, the first Ctrl-C or SIGTERM raises StopRequested where the main thread is; once `is_stopping`
    is set, or at the second, it only calls `hurry`."""

    def __init__(self, hurry: Callable[[], None]) -> None:
        self.is_stopping = False
        self._hurry = hurry
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as signal.signal gave it

    def check(self) -> None:
        """Raises StopRequested again where a stop was asked for: Python drops what a signal raises inside a destructor
        or a fork."""
        if self.is_stopping:
            raise StopRequested

    def _received(self, number: int, _: object) -> None:
        if self.is_stopping:
            if number != signal.SIGTERM:
                self._hurry()
            return
        self.is_stopping = True
        raise StopRequested
