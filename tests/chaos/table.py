"""The figures as a table for a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from tests.chaos.checks import Check
from tests.chaos.figures import Section

_FAULTS_SHOWN = 5


def figures_table(sections: Sequence[Section]) -> Table:
    table = Table(title="chaos", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for heading, rows in sections:
        table.add_row(Text(heading, "bold"))
        for index, (what, figure) in enumerate(rows):
            table.add_row(f"  {what}", figure, end_section=index == len(rows) - 1)
    return table


def faults_text(checks: Sequence[Check]) -> Text:
    """What did not hold, some of each kind."""
    text = Text()
    for check in checks:
        if not check.is_met:
            text.append(f"{check.name}: {len(check.faults):,} faults\n", "bold red")
            for fault in check.faults[:_FAULTS_SHOWN]:
                text.append(f"  {fault}\n")
    return text
