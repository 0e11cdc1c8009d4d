"""Figures, their goals and verdicts. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_Of = Literal["figure", "ratio"]


@dataclass(frozen=True)
class Goal:
    """A bound on a figure's value, or on its ratio to the rival it was measured beside."""

    limit: float
    of: _Of = "figure"
    is_least: bool = True

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value <= self.limit


def at_least(limit: float, of: _Of = "figure") -> Goal:
    return Goal(limit, of)


def at_most(limit: float, of: _Of = "figure") -> Goal:
    return Goal(limit, of, is_least=False)


@dataclass(frozen=True)
class Figure:
    """One row of the table. `ratio` is the value over that of `rival` (its name); `details` go to the JSON alone."""

    name: str
    value: float
    unit: str
    goals: tuple[Goal, ...] = ()
    ratio: float | None = None
    rival: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """None where nothing was to be reached."""
        if not self.goals:
            return None
        return all(self._is_met(goal) for goal in self.goals)

    def _is_met(self, goal: Goal) -> bool:
        value = self.value if goal.of == "figure" else self.ratio
        return value is not None and goal.is_met_by(value)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "goals": [{"limit": g.limit, "of": g.of, "is_least": g.is_least} for g in self.goals],
            "ratio": self.ratio,
            "rival": self.rival,
            "is_met": self.is_met,
            "details": dict(self.details),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all are not above; nan where there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(value: float, to: float) -> float | None:
    """None where there is nothing to compare with."""
    return value / to if to > 0 and math.isfinite(to) else None


def written(value: float, unit: str) -> str:
    """A value with its unit, with as many digits as a reader needs."""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 4
    gap = "" if unit.startswith(("/", "%")) or not unit else " "
    return f"{value:,.{digits}f}{gap}{unit}"


def written_goal(goal: Goal, figure: Figure) -> str:
    sign = ">=" if goal.is_least else "<="
    if goal.of == "figure":
        return f"{sign} {written(goal.limit, figure.unit)}"
    return f"{sign} {written_ratio(goal.limit)} {figure.rival}"


def written_ratio(value: float) -> str:
    """Below 1 as a share, above as a multiple."""
    return f"{value * 100:.0f}% of" if value < 1 else f"{value:.1f} x"
