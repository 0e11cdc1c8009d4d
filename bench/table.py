"""The figures as tables for a terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from bench.figures import Figure, written, written_goal, written_ratio


def figures_table(sections: Mapping[str, Sequence[Figure]]) -> Table:
    """One section a measure, in the order they were taken."""
    table = Table(title="bench", title_justify="left")
    table.add_column("measure")
    for heading in ("goal", "figure", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for heading, figures in sections.items():
        table.add_row(Text(heading, "bold"))
        for index, figure in enumerate(figures):
            table.add_row(*_cells(figure), end_section=index == len(figures) - 1)
    return table


def _cells(figure: Figure) -> tuple[str | Text, ...]:
    ratio = "" if figure.ratio is None else f"{written_ratio(figure.ratio)} {figure.rival}"
    return (
        f"  {figure.name}",
        "\n".join(written_goal(goal, figure) for goal in figure.goals),
        written(figure.value, figure.unit),
        ratio,
        _verdict(figure.is_met),
    )


def _verdict(is_met: bool | None) -> Text:
    if is_met is None:
        return Text("")
    return Text("ok", "green") if is_met else Text("missed", "red")


def costs_table(costs: Mapping[str, Mapping[str, float]]) -> Table:
    """What a message cost, by run (columns) and by process or resource (rows)."""
    table = Table(title="cost of one message: CPU in microseconds, bytes, counts", title_justify="left")
    table.add_column("")
    for run in costs:
        table.add_column(run, justify="right")
    for name in dict.fromkeys(name for cost in costs.values() for name in cost):
        table.add_row(name, *(f"{cost[name]:,.2f}" if name in cost else "" for cost in costs.values()))
    return table
