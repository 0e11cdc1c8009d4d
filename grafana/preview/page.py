"""One page of a dashboard: its rows of panels, each with title, chart, legend and description."""

import re
from collections.abc import Callable, Sequence
from html import escape

from grafana.preview.charts import chart, colour
from grafana.preview.panels import Dashboard, Panel
from grafana.preview.series import Series, Span
from grafana.preview.values import told

_COLUMN = 52  # pixels of one of the 24
_INSIDE = 26  # what a panel's border and padding take
_MOST_NAMED = 12  # series in a legend
_STYLE = """
body { font: 13px/1.4 system-ui, sans-serif; color: #24292e; background: #f4f5f5; margin: 20px auto; width: 1260px }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 15px; margin: 22px 0 8px } h3 { font-size: 13px; margin: 0 0 4px }
.row { display: grid; grid-template-columns: repeat(24, 1fr); gap: 10px 6px; align-items: stretch }
.panel { background: #fff; border: 1px solid #dcdfe3; border-radius: 3px; padding: 8px 10px; overflow: hidden }
.panel p { color: #5b6470; font-size: 11.5px; margin: 6px 0 0 } .none { color: #8a939d; padding: 30px 0 }
.number { font-size: 30px; font-weight: 600; padding: 6px 0 } text { font-size: 10.5px; fill: #5b6470 }
table { font-size: 11.5px; border-collapse: collapse; width: 100% } td { padding: 0 6px 0 0 }
td + td { text-align: right; width: 80px } i { display: inline-block; width: 10px; height: 3px; margin-right: 6px }
"""


def page(dashboard: Dashboard, span: Span, series_of: Callable[[Panel], Sequence[Series]]) -> str:
    """Needs nothing but itself."""
    rows = []
    for row in dashboard.rows:
        panels = "".join(_panel(panel, series_of(panel), span) for panel in row.panels)
        rows.append(f'<h2>{escape(row.title)}</h2><div class="row">{panels}</div>')
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(dashboard.title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(dashboard.title)}</h1><p>{escape(dashboard.description)}</p>"
        f"{''.join(rows)}</html>\n"
    )


def _panel(panel: Panel, series: Sequence[Series], span: Span) -> str:
    width = panel.width * _COLUMN - _INSIDE
    drawn = chart(panel, series, span, width) if series else '<div class="none">no data</div>'
    legend = _legend(panel, series) if panel.kind == "timeseries" else ""
    return (
        f'<div class="panel" style="grid-column: span {panel.width}"><h3>{escape(panel.title)}</h3>'
        f"{drawn}{legend}<p>{_described(panel)}</p></div>"
    )


def _legend(panel: Panel, series: Sequence[Series]) -> str:
    named = "".join(
        f'<tr><td><i style="background:{colour(place)}"></i>{escape(one.name)}<td>{told(one.last, panel.unit)}'
        f"<td>{told(max(value for _, value in one.points), panel.unit)}"
        for place, one in enumerate(series[:_MOST_NAMED])
    )
    more = f"<tr><td>and {len(series) - _MOST_NAMED} more" if len(series) > _MOST_NAMED else ""
    return f"<table><tr><td><td>last<td>most{named}{more}</table>" if series else ""


def _described(panel: Panel) -> str:
    """Its description's little Markdown as HTML."""
    words = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(panel.description))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", words).replace("\n\n", "<br>")
