"""Values in the words of their unit."""

import math

_TIMES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def told(value: float, unit: str) -> str:
    """`unit` as Grafana names it: seconds, a share, a rate, a count, yes or no."""
    if math.isinf(value):
        return "∞"
    match unit:
        case "s":
            return _time(value)
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "cps":
            return f"{_size(value)}/s"
        case "bool":
            return "yes" if value else "no"
    return _size(value)


def _time(seconds: float) -> str:
    for size, name in _TIMES:
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1000:.3g} ms"


def _size(value: float) -> str:
    for size, name in _SIZES:
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g}"
