"""Panels in the house's form: each with a unit, words for whoever reads it at night, and links to where to go next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = common.DataSourceRef(type_val="prometheus", uid="prometheus")
WIDE, HALF, THIRD, QUARTER, SIXTH = 24, 12, 8, 6, 4  # of the 24 columns

# Grafana's names of units.
COUNT, PER_SECOND, SECONDS, SHARE, YES_NO, NUMBER = "short", "cps", "s", "percentunit", "bool", "none"

# What is chosen at the top of a dashboard, as a query has it.
LANE = 'credential=~"$credential", channel=~"$channel", message_type=~"$message_type"'
KIND = 'channel=~"$channel", message_type=~"$message_type"'
CHANNEL = 'channel=~"$channel"'
TYPE = 'message_type=~"$message_type"'
RATE = "[$__rate_interval]"
# Each credential has four lanes, of which most never see a message.
USED = "and on (credential, channel, message_type) delivery:messages_enqueued_total:max > 0"
LANE_NAME = "{{credential}} {{channel}} {{message_type}}"

Steps = Sequence[tuple[float | None, str]]  # from which value on, which colour; the first from anywhere
Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | heatmap.Panel
AnyPanel = TypeVar("AnyPanel", stat.Panel, timeseries.Panel, statetimeline.Panel, heatmap.Panel)


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` is Grafana's template of the series' names."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """`shows`: what it is. `wrong`: what to do when it looks wrong. `runbook`: an anchor of docs/operations.md."""

    shows: str
    wrong: str
    runbook: str

    def __str__(self) -> str:
        return f"{self.shows}\n\n**When it looks wrong:** {self.wrong}"


def above(red: float, orange: float | None = None) -> Steps:
    """Thresholds of what should be small."""
    between = [] if orange is None else [(orange, "orange")]
    return [(None, "green"), *between, (red, "red")]


def below(red: float, orange: float) -> Steps:
    """Thresholds of what should be large."""
    return [(None, "red"), (red, "orange"), (orange, "green")]


def number(
    title: str, unit: str, query: Query, words: Words, *, steps: Steps = ((None, "blue"),), width: int = SIXTH
) -> stat.Panel:
    """One figure, as it is now."""
    panel = _made(stat.Panel(), title, unit, [query], words, width, 4).thresholds(_thresholds(steps)).no_value("none")
    return (
        panel.reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
    )


def lines(
    title: str,
    unit: str,
    queries: Sequence[Query],
    words: Words,
    *,
    steps: Steps = (),
    width: int = HALF,
    is_stacked: bool = False,
) -> timeseries.Panel:
    """Over time. Thresholds show as dashed lines."""
    panel = _made(timeseries.Panel(), title, unit, queries, words, width, 8).min(0).line_width(1)
    panel.legend(
        parts.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    ).tooltip(
        parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    ).fill_opacity(30 if is_stacked else 0)
    if is_stacked:
        panel.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if steps:
        style = parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(steps)).thresholds_style(style)
    return panel


def bars(title: str, query: Query, words: Words, *, width: int = HALF) -> statetimeline.Panel:
    """A bar for each series, from when to when it is 1."""
    panel = _made(statetimeline.Panel(), title, YES_NO, [query], words, width, 8)
    return (
        panel.thresholds(_thresholds([(None, "transparent"), (1, "red")]))
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .show_value(common.VisibilityMode.NEVER)
        .merge_values(True)
        .no_value("none")
    )


def heat(title: str, unit: str, buckets: Query, words: Words, *, width: int = QUARTER) -> heatmap.Panel:
    """How a histogram's buckets fill over time; `buckets` keeps the label `le`. Dark is much."""
    panel = _made(heatmap.Panel(), title, unit, [buckets], words, width, 8, PromQueryFormat.HEATMAP)
    return panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32)).y_axis(
        heatmap.YAxisConfig().unit(unit)
    )


def percentiles(
    histogram: str, by: str, chosen: str = "", *, shares: Sequence[float] = (0.5, 0.95, 0.99)
) -> list[Query]:
    """Of a histogram of ours, by one of its labels; over all processes."""
    buckets = f"sum by (le, {by}) (rate({histogram}_bucket{braced(chosen)}{RATE}))"
    return [Query(f"histogram_quantile({share:g}, {buckets})", f"{{{{{by}}}}} p{share * 100:g}") for share in shares]


def or_none(expr: str, measured: str) -> str:
    """Where nothing is wrong there is no series: then one at zero, which is called none, as long as anything is
    measured. So that a quiet panel differs from one that sees nothing."""
    return f'{expr} or on () label_replace(0 * max({measured}), "credential", "none", "", "")'


def braced(matchers: str) -> str:
    return f"{{{matchers}}}" if matchers else ""


def _made(
    panel: AnyPanel,
    title: str,
    unit: str,
    queries: Sequence[Query],
    words: Words,
    width: int,
    height: int,
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES,
) -> AnyPanel:
    """What panels of every kind have."""
    panel.title(title).description(str(words)).datasource(SOURCE).unit(unit).span(width).height(height)
    panel.links(
        [
            _link("What to do", f"${{runbook}}#{words.runbook}"),
            _link("Console", "${api_url}/console"),
        ]
    )
    for place, query in enumerate(queries):
        panel.with_target(
            prometheus.Dataquery()
            .ref_id("ABCDEFGH"[place])
            .expr(query.expr)
            .legend_format(query.legend or "__auto")
            .format(form)
            .range()
        )
    return panel


def _link(title: str, url: str) -> builders.DashboardLink:
    return builders.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).target_blank(True)


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=color) for value, color in steps])
    )
