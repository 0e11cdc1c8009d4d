"""Charts as SVG: lines, stacked areas, a heat map of buckets, one number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from grafana.preview.panels import Panel
from grafana.preview.series import Series, Span
from grafana.preview.values import told

COLOURS = ("#3274d9", "#e0752d", "#508642", "#a352cc", "#c4162a", "#0a9fb5", "#8f6b00", "#d670ad", "#5b6b7a", "#1b3f7a")
_NAMED = {"green": "#37872d", "orange": "#e0752d", "red": "#c4162a", "blue": "#3274d9"}
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 10, 8, 22  # around a chart
_HEIGHT = 190


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of a chart: `x` of a time, `y` of a value."""

    span: Span
    width: float
    most: float

    def x(self, time: float) -> float:
        share = (time - self.span.start) / (self.span.end - self.span.start)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (1 - min(value, self.most) / self.most) * (_HEIGHT - _TOP - _BOTTOM)


def chart(panel: Panel, series: Sequence[Series], span: Span, width: float) -> str:
    """The SVG of a panel that has data."""
    match panel.kind:
        case "stat":
            return _number(panel, series)
        case "heatmap":
            return _heat(panel, series, span, width)
        case "state-timeline":
            return _bars(series, span, width)
    return _lines(panel, series, span, width)


def colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _number(panel: Panel, series: Sequence[Series]) -> str:
    value = series[0].last
    chosen = [name for least, name in panel.thresholds if least is None or value >= least][-1]
    return f'<div class="number" style="color:{_NAMED[chosen]}">{told(value, panel.unit)}</div>'


def _lines(panel: Panel, series: Sequence[Series], span: Span, width: float) -> str:
    drawn = _stacked(series) if panel.is_stacked else [[(t, v, 0.0) for t, v in one.points] for one in series]
    finite = [top for points in drawn for _, top, _ in points if math.isfinite(top)]
    frame = Frame(span, width, _round_up(max(finite, default=0.0)))
    parts = [_axes(frame, panel.unit)]
    for least, name in panel.thresholds:
        if least is not None and least <= frame.most:
            y = frame.y(least)
            parts.append(
                f'<path d="M{_LEFT} {y:.1f}H{width - _RIGHT}" stroke="{_NAMED[name]}" stroke-dasharray="5 4"/>'
            )
    for place, points in enumerate(drawn):
        if panel.is_stacked:
            parts.append(f'<path d="{_area(points, frame)}" fill="{colour(place)}" fill-opacity=".45"/>')
        for piece in _pieces(points, span.step):
            path = "L".join(f"{frame.x(time):.1f} {frame.y(top):.1f}" for time, top, _ in piece)
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour(place)}" stroke-width="1.5"/>')
            parts.append(_dot(piece, frame, colour(place)))
    return _svg(width, parts)


def _dot(piece: Sequence[tuple[float, float, float]], frame: Frame, fill: str) -> str:
    """What a line of a single point would not show."""
    if len(piece) > 1:
        return ""
    ((time, top, _),) = piece
    return f'<circle cx="{frame.x(time):.1f}" cy="{frame.y(top):.1f}" r="2" fill="{fill}"/>'


def _pieces(points: Sequence[tuple[float, float, float]], step: float) -> list[list[tuple[float, float, float]]]:
    """Between gaps: what is infinite, or was not there."""
    pieces: list[list[tuple[float, float, float]]] = []
    before = -math.inf
    for point in points:
        if not math.isfinite(point[1]):
            continue
        if point[0] - before > 1.5 * step:
            pieces.append([])
        pieces[-1].append(point)
        before = point[0]
    return pieces


def _stacked(series: Sequence[Series]) -> list[list[tuple[float, float, float]]]:
    """Time, top and bottom: each upon those before it."""
    below: dict[float, float] = {}
    drawn = []
    for one in series:
        drawn.append([(time, below.get(time, 0.0) + value, below.get(time, 0.0)) for time, value in one.points])
        for time, value in one.points:
            below[time] = below.get(time, 0.0) + value
    return drawn


def _area(points: Sequence[tuple[float, float, float]], frame: Frame) -> str:
    upper = [f"{frame.x(time):.1f} {frame.y(top):.1f}" for time, top, _ in points]
    lower = [f"{frame.x(time):.1f} {frame.y(bottom):.1f}" for time, _, bottom in reversed(points)]
    return f"M{'L'.join(upper + lower)}Z"


def _heat(panel: Panel, series: Sequence[Series], span: Span, width: float) -> str:
    """Each bucket a row, the smallest at the bottom; what Prometheus tells holds the smaller buckets too."""
    rows = sorted(series, key=lambda one: float(one.labels["le"]))
    below: dict[float, float] = {}
    cells: list[tuple[int, float, float]] = []
    for place, one in enumerate(rows):
        cells += [(place, time, value - below.get(time, 0.0)) for time, value in one.points]
        below = dict(one.points)
    most = max((n for _, _, n in cells), default=0.0) or 1.0
    frame = Frame(span, width, len(rows))
    wide = max(1.0, frame.x(span.start + span.step) - frame.x(span.start))
    tall = frame.y(0) - frame.y(1)
    parts = [_times(frame)]
    for place, one in enumerate(rows):
        label = told(float(one.labels["le"]), panel.unit)
        parts.append(_text(_LEFT - 6, frame.y(place + 0.5) + 3, label, "end"))
    parts += [
        f'<rect x="{frame.x(time):.1f}" y="{frame.y(place + 1):.1f}" width="{wide:.1f}" height="{tall:.1f}" '
        f'fill="#1b4f9c" fill-opacity="{0.12 + 0.88 * n / most:.2f}"/>'
        for place, time, n in cells
        if n > 0
    ]
    return _svg(width, parts)


def _bars(series: Sequence[Series], span: Span, width: float) -> str:
    """A row for each series, with its name."""
    frame = Frame(span, width, len(series))
    parts = [_times(frame)]
    tall = frame.y(0) - frame.y(1)
    for place, one in enumerate(series):
        wide = max(1.0, frame.x(span.start + span.step) - frame.x(span.start))
        parts += [
            f'<rect x="{frame.x(time):.1f}" y="{frame.y(place + 1):.1f}" width="{wide:.1f}" height="{tall * 0.8:.1f}" '
            f'fill="{_NAMED["red"]}" fill-opacity=".5"/>'
            for time, value in one.points
            if value
        ]
        parts.append(_text(_LEFT, frame.y(place + 0.5) + 3, one.name, "start"))
    return _svg(width, parts)


def _axes(frame: Frame, unit: str) -> str:
    parts = [_times(frame)]
    for quarter in range(5):
        value = frame.most * quarter / 4
        y = frame.y(value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{frame.width - _RIGHT}" stroke="#e4e7ea"/>')
        parts.append(_text(_LEFT - 6, y + 3, told(value, unit), "end"))
    return "".join(parts)


def _times(frame: Frame) -> str:
    count = max(2, int(frame.width // 120))
    times = [frame.span.start + (frame.span.end - frame.span.start) * n / count for n in range(1, count)]
    return "".join(
        _text(frame.x(at), _HEIGHT - 6, f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}", "middle") for at in times
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _round_up(value: float) -> float:
    """To 1, 2 or 5 and zeros."""
    if value <= 0:
        return 1.0
    size: float = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 2, 5, 10) if size * step >= value)


def _svg(width: float, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {_HEIGHT}" width="{width:.0f}" height="{_HEIGHT}">{"".join(parts)}</svg>'
