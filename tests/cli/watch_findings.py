"""Lanes and batches as the API answers them, for the tests of what a watch makes of them."""

from typing import Any

from cli.watching import Seen, Watch

HELD = {"kind": "account", "reason": "Infobip refused the key", "held_until": "2127-01-31T12:03:04+00:00"}


def lane(name: str = "kite-books", reasons: dict[str, int] | None = None, **changes: Any) -> dict[str, Any]:
    """One with 1,000 delivered; other changes of counts by state."""
    counts = {state: changes.pop(state) for state in list(changes) if state in STATES}
    return {
        "id": f"lane of {name}",
        "credential": name,
        "channel": "sms",
        "message_type": "marketing",
        "counts": {"delivered": 1_000, **counts},
        "reasons": [{"reason": reason, "count": n} for reason, n in (reasons or {}).items()],
        "due": 0,
        "oldest_due_seconds": None,
        "kind": None,
        "reason": None,
        "held_until": None,
        **changes,
    }


def batch(number: int = 1, state: str = "running", **counts: int) -> dict[str, Any]:
    counts = counts or {"queued": 250, "delivered": 750}
    return {
        "id": f"0190a1b2-0000-7000-8000-{number:012}",
        "surface": "offers",
        "state": state,
        "total": sum(counts.values()),
        "counts": counts,
        "reasons": [],
        "pause_reason": None,
    }


def seen(*lanes: dict[str, Any], batches: tuple[dict[str, Any], ...] = (), has_more: bool = False) -> Seen:
    """A second look, a second after one at the same."""
    watch = Watch()
    watch.saw(lanes, batches, 0.0)
    return watch.saw(lanes, batches, 1.0, has_more)


STATES = ("queued", "sending", "sent", "retrying", "delivered", "failed", "expired", "suppressed", "unconfirmed")
