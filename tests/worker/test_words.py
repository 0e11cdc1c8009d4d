"""What the closed sets of words promise of the tables."""

from collections.abc import Callable
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlmodel import Session

from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, apply, report, results, took
from worker.ids import new_id
from worker.infobip.reading import BadItem
from worker.infobip.reports import Report, parse_item
from worker.words import ReportResult

Items = list[Report | BadItem]

# A push whose last item does just this, and what is then stored of it.
PUSHES: dict[ReportResult, tuple[Callable[[UUID], Items], list[ReportResult]]] = {
    ReportResult.APPLIED: (lambda ours: [report(ours)], [ReportResult.APPLIED]),
    ReportResult.LATE: (lambda ours: [report(ours, attempt=7, status=9, group=2, error=27)], [ReportResult.LATE]),
    ReportResult.NOTED: (lambda ours: [report(ours, status=7, group=1)], [ReportResult.NOTED]),
    ReportResult.REPEATED: (lambda ours: [report(ours), report(ours)], [ReportResult.APPLIED]),
    ReportResult.UNMATCHED: (lambda _: [report(new_id())], []),
    ReportResult.MALFORMED: (lambda _: [parse_item("no report")], []),
}


def counted(result: ReportResult) -> float:
    labels = {"group": "other", "source": "push", "result": result.value}
    return REGISTRY.get_sample_value("delivery_reports_total", labels) or 0.0


@pytest.mark.parametrize("result", ReportResult)
def test_of_what_a_report_does_only_the_first_three_are_stored(
    session: Session, lane: MadeLane, result: ReportResult
) -> None:
    (message_id,) = make_batch(session, lane, ["919900000001"])
    answer(session, took(session, lane))
    before = counted(result)
    items, stored = PUSHES[result]
    apply(session, lane, *items(message_id))
    assert counted(result) == before + 1
    assert results(session) == stored
    assert set(stored) <= set(list(ReportResult)[:3])
