"""What all dashboards have: what can be chosen at the top, links to each other, and alerts marked in every graph."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.prometheus import Dataquery

from grafana.source.panels import SOURCE, Panel

TAG = "delivery"
CHOICES = {"credential": "credentials", "channel": "channels", "message_type": "message types"}
API_URL = "http://127.0.0.1:8000"  # whoever installs it puts theirs, or types it at the top
RUNBOOK = "https://delivery.example.com/docs/operations.md"  # as in prometheus/rules.yml


def framed(
    uid: str, title: str, description: str, rows: Mapping[str, Sequence[Panel]], *, has_choices: bool = True
) -> dashboard.Dashboard:
    """`rows` by their titles. Without `has_choices` nothing in it is of a lane."""
    made = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .editable()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .annotation(_alerts())
        .variables([*(map(_choice, CHOICES) if has_choices else ()), _api_url(), _runbook()])
    )
    for name, panels in rows.items():
        made.with_row(builders.Row(name))
        for panel in panels:
            made.with_panel(panel)
    finished = made.build()
    for place, part in enumerate(finished.panels or [], 1):
        part.id_val = place  # so that a link to a panel holds
        if has_choices and isinstance(part, dashboard.Panel):
            part.description = f"{part.description}{_shown_whole(part)}"
    for link in finished.links or []:
        link.placement = None  # type: ignore[assignment] # above the panels, not in the menu that the SDK chooses
    return finished


def _choice(label: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(label)
        .label(label.replace("_", " ").capitalize())
        .datasource(SOURCE)
        .query(f"label_values(delivery:messages:max, {label})")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
    )


def _api_url() -> builders.TextBoxVariable:
    return (
        builders.TextBoxVariable("api_url")
        .label("API")
        .description("Where this API and its console are, for links")
        .default_value(API_URL)
        .current(dashboard.VariableOption(selected=True, text=API_URL, value=API_URL))
    )


def _runbook() -> builders.ConstantVariable:
    return builders.ConstantVariable("runbook").description("Where docs/operations.md is, for links").value(RUNBOOK)


def _others() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Delivery")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _alerts() -> builders.AnnotationQuery:
    return (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("red")
        .expr('ALERTS{alertstate="firing"}')
    )


def _shown_whole(panel: dashboard.Panel) -> str:
    """What a choice at the top does not narrow here: not every metric has every label."""
    exprs = [target.expr for target in panel.targets or [] if isinstance(target, Dataquery)]
    whole = [many for one, many in CHOICES.items() if not all(f"${one}" in expr for expr in exprs)]
    if len(whole) == len(CHOICES):
        return "\n\nAlways of all lanes."
    return f"\n\nAlways of all {' and '.join(whole)}." if whole else ""
