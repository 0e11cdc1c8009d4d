"""Consent that is imported: what a line changes, what it must not undo, and that a repeat changes nothing."""

import csv
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from tests.factories import MadeLane, make_inbound, make_lane
from tests.processes import wait_for
from tests.worker.steps import consent_row, consented, wrote
from worker import consent_import, consents, inbound
from worker.consent_export import Format, export
from worker.consent_import import Import, Report
from worker.consent_lines import CsvLines, NdjsonLines
from worker.consents import Blocked, Person
from worker.db import database_now
from worker.ids import new_id
from worker.models import Consent, ConsentChange, Credential
from worker.settings import settings
from worker.words import Block, ConsentSource, ConsentState

IN, OUT, PENDING, NONE = ConsentState.OPTED_IN, ConsentState.OPTED_OUT, ConsentState.PENDING, ConsentState.NONE
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
ANNA, BERT, CARA = "14155550101", "14155550102", "14155550103"


def imported(session: Session, lane: MadeLane | None, *rows: dict[str, Any]) -> Report:
    """The lines of a file that names no credential, or for which the request names this lane's."""
    file = b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)
    importing = Import(_engine(session), NdjsonLines(), lane.credential_id if lane else None, WEEK)
    importing.feed(file)
    report = importing.close()
    session.expire_all()
    return report


def row(to: str, state: ConsentState, **fields: Any) -> dict[str, Any]:
    return {"to": to, "state": state, **fields}


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.changed, report.unchanged, report.kept, report.rejected


def history(session: Session, to: str) -> list[ConsentChange]:
    session.expire_all()
    changes = select(ConsentChange).where(ConsentChange.recipient == to).order_by(ConsentChange.id)  # type: ignore[arg-type]
    return list(session.exec(changes))


def _engine(session: Session) -> Engine:
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    return engine


# What a line changes


@pytest.mark.parametrize("state", [IN, OUT, PENDING])
def test_person_of_whom_nothing_was_known_is_as_the_line_says(
    session: Session, lane: MadeLane, state: ConsentState
) -> None:
    assert counts(imported(session, lane, row("+1 415 555 0101", state, note="form 7"))) == (1, 0, 0, 0)
    consent = consent_row(session, lane, ANNA)
    assert (consent.state, consent.source, consent.blocked) == (state, ConsentSource.API, False)
    assert consent.pending_until == (consent.changed_at + WEEK if state is PENDING else None)
    (change,) = history(session, ANNA)
    assert (change.state, change.source, change.reason) == (state, ConsentSource.API, "form 7")
    assert change.changed_at == consent.changed_at == consent.said_at == change.said_at


@pytest.mark.parametrize("state", [IN, OUT, PENDING])
@pytest.mark.parametrize("before", [None, NONE])
def test_when_it_was_said_is_kept_with_what_stands_and_in_the_history(
    session: Session, lane: MadeLane, state: ConsentState, before: ConsentState | None
) -> None:
    if before is not None:
        consented(session, lane, ANNA, before)
    at = database_now(session) - 1000 * WEEK
    imported(session, lane, row(ANNA, state, at=at.isoformat()))
    (change,) = history(session, ANNA)
    assert consent_row(session, lane, ANNA).said_at == change.said_at == at


def test_block_that_is_newer_than_when_consent_was_given_counts(session: Session, lane: MadeLane) -> None:
    imported(session, lane, row(ANNA, IN, at="2020-01-01T00:00:00Z"))
    reported(session, lane, Block.ALL, told_at=database_now(session) - HOUR)
    assert (consent_row(session, lane, ANNA).state, consent_row(session, lane, ANNA).blocked) == (OUT, True)


def test_line_that_says_what_stands_changes_nothing_and_adds_no_history(session: Session, lane: MadeLane) -> None:
    for word in ("START", "STOP"):
        wrote(session, lane, word, sender=ANNA)
    wrote(session, lane, "START", sender=BERT)
    before = [history(session, ANNA), consent_row(session, lane, ANNA).model_dump()]
    assert counts(imported(session, lane, row(ANNA, OUT), row(BERT, IN), row(CARA, NONE))) == (0, 3, 0, 0)
    assert [history(session, ANNA), consent_row(session, lane, ANNA).model_dump()] == before
    assert session.get(Consent, (CARA, lane.credential_id)) is None


def test_pending_that_lapsed_stands_as_what_it_came_from(session: Session, lane: MadeLane) -> None:
    lapsed = database_now(session) - HOUR
    consented(session, lane, ANNA, PENDING, pending_from=IN, pending_until=lapsed)
    assert counts(imported(session, lane, row(ANNA, IN))) == (0, 1, 0, 0)
    assert counts(imported(session, lane, row(ANNA, PENDING))) == (1, 0, 0, 0)
    assert consent_row(session, lane, ANNA).pending_from == IN


def test_file_that_is_imported_again_changes_nothing(session: Session, lane: MadeLane) -> None:
    wrote(session, lane, "STOP", sender=CARA)
    rows = [row(ANNA, IN), row(BERT, OUT), row(BERT, IN), row(ANNA, PENDING), row(CARA, IN), row("?", IN)]
    assert counts(imported(session, lane, *rows)) == (4, 0, 1, 1)
    stands = [consent_row(session, lane, to).model_dump() for to in (ANNA, BERT, CARA)]
    said = [history(session, to) for to in (ANNA, BERT, CARA)]
    assert counts(imported(session, lane, *rows)) == (0, 4, 1, 1)
    assert [consent_row(session, lane, to).model_dump() for to in (ANNA, BERT, CARA)] == stands
    assert [history(session, to) for to in (ANNA, BERT, CARA)] == said


def test_last_line_of_a_person_wins_and_history_has_all(session: Session, lane: MadeLane) -> None:
    lines = [row(ANNA, IN, note="1"), row(BERT, IN), row(ANNA, OUT, note="2"), row(ANNA, PENDING, note="3")]
    assert counts(imported(session, lane, *lines)) == (4, 0, 0, 0)
    assert consent_row(session, lane, ANNA).state == PENDING
    assert consent_row(session, lane, ANNA).pending_from == OUT
    assert [(change.state, change.reason) for change in history(session, ANNA)] == [
        (IN, "1"),
        (OUT, "2"),
        (PENDING, "3"),
    ]


def test_each_line_counts_for_its_own_credential_by_name_or_id(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    report = imported(
        session,
        lane,
        row(ANNA, IN),
        row(ANNA, OUT, credential="other"),
        row(BERT, OUT, credential=str(other.credential_id)),
    )
    assert counts(report) == (3, 0, 0, 0)
    assert [consent_row(session, lane, ANNA).state, consent_row(session, other, ANNA).state] == [IN, OUT]
    assert consent_row(session, other, BERT).state == OUT


def test_line_without_a_known_credential_is_rejected(session: Session, lane: MadeLane) -> None:
    gone = make_lane(session, name="gone")
    session.get_one(Credential, gone.credential_id).deleted_at = database_now(session)
    session.commit()
    strangers = ["nobody", "gone", str(gone.credential_id), str(new_id()), "a\0b"]
    report = imported(session, None, row(ANNA, IN), *(row(ANNA, IN, credential=name) for name in strangers))
    assert [(bad.number, bad.field) for bad in report.rejected_lines] == [(n, "credential") for n in range(1, 7)]
    assert report.rejected_lines[0].reason.startswith("is missing")
    assert session.exec(select(Consent)).all() == []


def test_consent_given_in_the_future_is_rejected(session: Session, lane: MadeLane) -> None:
    now = database_now(session)
    report = imported(session, lane, row(ANNA, IN, at=(now + HOUR).isoformat()), row(BERT, IN, at=now.isoformat()))
    assert counts(report) == (1, 0, 0, 1)
    assert [(bad.number, bad.to, bad.field) for bad in report.rejected_lines] == [(1, ANNA, "at")]
    report = imported(session, lane, row(ANNA, OUT, opted_out_at=(now + HOUR).isoformat()))
    assert [(bad.number, bad.to, bad.field) for bad in report.rejected_lines] == [(1, ANNA, "opted_out_at")]


def test_what_was_said_to_a_deleted_credential_counts_for_the_one_that_the_request_names(
    session: Session, lane: MadeLane
) -> None:
    gone = make_lane(session, name="gone")
    wrote(session, gone, "STOP", sender=ANNA)
    session.get_one(Credential, gone.credential_id).deleted_at = database_now(session)
    session.commit()
    rows = [json.loads(line) for line in exported(session, "ndjson", gone).splitlines()]
    assert [one["credential"] for one in rows] == [str(gone.credential_id)]
    (bad,) = imported(session, None, *rows).rejected_lines
    assert (bad.field, "deleted credential" in bad.reason) == ("credential", True)
    assert counts(imported(session, lane, *rows)) == (1, 0, 0, 0)
    (there, here) = (consent_row(session, one, ANNA) for one in (gone, lane))
    assert (here.state, here.opted_out_at, here.said_at) == (OUT, there.opted_out_at, there.said_at)
    assert counts(imported(session, lane, row(ANNA, IN))) == (0, 0, 1, 0)


# What a line must not undo

Out = Callable[[Session, MadeLane], None]


def wrote_stop(session: Session, lane: MadeLane) -> None:
    wrote(session, lane, "STOP", sender=ANNA)


def reported(session: Session, lane: MadeLane, block: Block = Block.MARKETING, told_at: datetime | None = None) -> None:
    person = Person(ANNA, lane.credential_id)
    at = told_at or database_now(session)
    fact = Blocked(person=person, block=block, code="X", message_id=new_id(), told_at=at)
    consents.block(session, {person: fact})
    session.commit()


def blocked(session: Session, lane: MadeLane) -> None:
    reported(session, lane, Block.ALL)


def wrote_stop_and_asked_back(session: Session, lane: MadeLane) -> None:
    wrote_stop(session, lane)
    now = database_now(session)
    consented(
        session,
        lane,
        ANNA,
        PENDING,
        pending_from=OUT,
        pending_until=now + WEEK,
        opted_out_at=now - timedelta(minutes=1),
    )


def wrote_stop_and_callers_said_so_too(session: Session, lane: MadeLane) -> None:
    wrote_stop(session, lane)
    imported(session, lane, row(ANNA, OUT))


def was_passed_on(session: Session, lane: MadeLane) -> None:
    at = (database_now(session) - timedelta(minutes=1)).isoformat()
    imported(session, lane, row(ANNA, OUT, opted_out_at=at))


def was_passed_on_by_its_source(session: Session, lane: MadeLane) -> None:
    imported(session, lane, row(ANNA, OUT, source="keyword"))


def callers_said_so_and_then_it_was_passed_on(session: Session, lane: MadeLane) -> None:
    imported(session, lane, row(ANNA, OUT))
    imported(session, lane, row(ANNA, OUT, source="provider", at=database_now(session).isoformat()))


OWN: list[Out] = [
    wrote_stop,
    reported,
    blocked,
    wrote_stop_and_asked_back,
    wrote_stop_and_callers_said_so_too,
    was_passed_on,
    was_passed_on_by_its_source,
    callers_said_so_and_then_it_was_passed_on,
]


@pytest.mark.parametrize(
    ("out", "state"),
    # Who is asked back is pending already.
    [
        (out, state)
        for out in OWN
        for state in (IN, PENDING, NONE)
        if (out, state) != (wrote_stop_and_asked_back, PENDING)
    ],
)
def test_opt_out_by_the_person_or_infobip_is_not_undone(
    session: Session, lane: MadeLane, out: Out, state: ConsentState
) -> None:
    out(session, lane)
    stood = consent_row(session, lane, ANNA).model_dump()
    said = history(session, ANNA)
    for line in (row(ANNA, state), row(ANNA, state, at=(database_now(session) - HOUR).isoformat())):
        report = imported(session, lane, line)
        assert counts(report) == (0, 0, 1, 0)
        assert [(kept.number, kept.to) for kept in report.kept_lines] == [(1, ANNA)]
        assert consent_row(session, lane, ANNA).model_dump() == stood
        assert history(session, ANNA) == said


@pytest.mark.parametrize("out", OWN)
@pytest.mark.parametrize("state", [IN, NONE])
def test_consent_given_after_an_opt_out_undoes_it_and_ends_a_block(
    session: Session, lane: MadeLane, out: Out, state: ConsentState
) -> None:
    out(session, lane)
    assert counts(imported(session, lane, row(ANNA, state, at=database_now(session).isoformat()))) == (1, 0, 0, 0)
    assert consent_row(session, lane, ANNA).state == state
    assert not consent_row(session, lane, ANNA).blocked


def test_consent_is_weighed_against_when_the_word_was_written_not_when_it_came(
    session: Session, lane: MadeLane
) -> None:
    now = database_now(session)
    wrote(session, lane, "STOP", sender=ANNA, received_at=now - 2 * HOUR)
    assert counts(imported(session, lane, row(ANNA, IN, at=(now - 3 * HOUR).isoformat()))) == (0, 0, 1, 0)
    assert counts(imported(session, lane, row(ANNA, IN, at=(now - HOUR).isoformat()))) == (1, 0, 0, 0)


def test_opt_out_by_a_caller_can_be_undone(session: Session, lane: MadeLane) -> None:
    for state in (OUT, PENDING, IN):
        assert counts(imported(session, lane, row(ANNA, state))) == (1, 0, 0, 0)


@pytest.mark.parametrize("source", ["api", "console", None])
def test_opt_out_that_a_caller_said_stays_a_caller_s_when_it_is_passed_on(
    session: Session, lane: MadeLane, source: str | None
) -> None:
    imported(session, lane, row(ANNA, OUT, source=source, at="2020-01-01T00:00:00Z"))
    assert counts(imported(session, lane, row(ANNA, IN))) == (1, 0, 0, 0)


def test_passed_on_opt_out_that_is_newer_than_the_one_that_stands_counts_and_stands_in_the_history(
    session: Session, lane: MadeLane
) -> None:
    now = database_now(session)
    wrote(session, lane, "STOP", sender=ANNA, received_at=now - 3 * HOUR)
    stood = consent_row(session, lane, ANNA).model_dump()
    newer = row(ANNA, OUT, opted_out_at=(now - HOUR).isoformat(), at=(now - HOUR).isoformat())
    for expected in ((1, 0, 0, 0), (0, 1, 0, 0)):
        assert counts(imported(session, lane, newer)) == expected
    assert consent_row(session, lane, ANNA).model_dump() == {**stood, "opted_out_at": now - HOUR}
    assert [(one.source, one.said_at) for one in history(session, ANNA)] == [
        ("keyword", now - 3 * HOUR),
        ("api", now - HOUR),
    ]
    assert counts(imported(session, lane, row(ANNA, IN, at=(now - 2 * HOUR).isoformat()))) == (0, 0, 1, 0)


@pytest.mark.parametrize("word", ["START", "STOP"])
def test_opt_out_always_applies(session: Session, lane: MadeLane, word: str) -> None:
    wrote(session, lane, word, sender=ANNA)
    imported(session, lane, row(ANNA, OUT, at="2001-01-01T00:00:00Z"))
    assert consent_row(session, lane, ANNA).state == OUT


# Side by side with others


def waits_for_a_lock(session: Session) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with _engine(session).connect() as watcher:
        return bool(watcher.execute(waiting).scalar_one())


def import_meanwhile(session: Session, lane: MadeLane, *rows: dict[str, Any]) -> Report:
    """Begin an import while `session` has not committed; commit once it waits; its report."""
    reports: list[Report] = []
    with Session(_engine(session)) as its:
        thread = threading.Thread(target=lambda: reports.append(imported(its, lane, *rows)))
        thread.start()
        wait_for(lambda: waits_for_a_lock(session))
        session.commit()
        thread.join()
    return reports[0]


def test_word_that_is_being_settled_is_waited_for(session: Session, lane: MadeLane) -> None:
    inbound.take(session, [(lane.credential_id, [make_inbound("STOP", sender=ANNA)])], settings())
    assert counts(import_meanwhile(session, lane, row(ANNA, IN), row(BERT, IN))) == (1, 0, 1, 0)
    assert consent_row(session, lane, ANNA).state == OUT


def test_block_of_an_unknown_person_that_comes_between_look_and_word_is_not_undone(
    session: Session, lane: MadeLane
) -> None:
    person = Person(BERT, lane.credential_id)
    fact = Blocked(person=person, block=Block.ALL, code="X", message_id=new_id(), told_at=database_now(session))
    consents.block(session, {person: fact})
    assert counts(import_meanwhile(session, lane, row(ANNA, IN), row(BERT, IN), row(CARA, IN))) == (2, 0, 1, 0)
    assert consent_row(session, lane, BERT).blocked
    assert [len(history(session, to)) for to in (ANNA, BERT, CARA)] == [1, 1, 1]


# Groups


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent_import, "GROUP", 3)
    monkeypatch.setattr(consent_import, "MOST_LISTED", 2)


@pytest.mark.usefixtures("small_groups")
def test_groups_are_applied_as_they_come(session: Session, lane: MadeLane) -> None:
    importing = Import(_engine(session), NdjsonLines(), lane.credential_id, WEEK)
    lines = [json.dumps(row(f"1415555{n:04}", IN)).encode() + b"\n" for n in range(8)]
    seen = []
    for line in lines:
        importing.feed(line)
        session.rollback()
        seen.append(len(session.exec(select(Consent)).all()))
    assert seen == [0, 0, 3, 3, 3, 6, 6, 6]
    assert counts(importing.close()) == (8, 0, 0, 0)


@pytest.mark.usefixtures("small_groups")
def test_lists_are_bounded_and_counts_are_not(session: Session, lane: MadeLane) -> None:
    wrote_stop(session, lane)
    report = imported(session, lane, *[row("?", IN)] * 5, *[row(ANNA, IN)] * 7)
    assert (report.rows, report.rejected, report.kept) == (12, 5, 7)
    assert [bad.number for bad in report.rejected_lines] == [1, 2]
    assert [kept.number for kept in report.kept_lines] == [6, 7]


people = st.sampled_from([ANNA, BERT, CARA])
states = st.sampled_from(list(ConsentState))


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(people, states), max_size=9), group=st.integers(1, 4))
def test_in_whatever_groups_the_last_line_of_each_person_counts_and_a_repeat_ends_the_same(
    session: Session, lane: MadeLane, rows: list[tuple[str, ConsentState]], group: int
) -> None:
    session.execute(text("TRUNCATE consent, consent_change"))
    session.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consent_import, "GROUP", group)
        for _ in range(2):
            imported(session, lane, *(row(*one) for one in rows))
            now = database_now(session)
            stands = {one.recipient: consents.standing_of(one).at(now) for one in session.exec(select(Consent))}
            assert {to: stands.get(to, NONE) for to, _ in rows} == dict(rows)


# Exported


def exported(session: Session, form: Format, lane: MadeLane | None = None) -> bytes:
    session.commit()
    return b"".join(export(_engine(session), lane.credential_id if lane else None, form))


def stand(session: Session) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What counts now, by number and credential."""
    session.expire_all()
    now = database_now(session)
    found = {}
    for credential in session.exec(select(Credential)):
        for one in session.exec(select(Consent).where(Consent.credential_id == credential.id)):
            standing = consents.standing_of(one)
            state = standing.at(now)
            pending_from = standing.pending_from if state is PENDING else None
            # Blocks are Infobip's to report again: without them, marketing is barred as it is by their opt-out.
            reasons = [
                {to: "opted_out" if reason == "number_blocked" else reason for to, reason in barred.items()}
                for needs_opt_in in (False, True)
                for barred in [
                    consents.barred(
                        session, credential.id, [one.recipient], is_marketing=True, needs_opt_in=needs_opt_in
                    )
                ]
            ]
            found[one.recipient, credential.name] = (state, pending_from, standing.opted_out_at, reasons)
    return found


DORA, EMIL, FRIDA = "14155550104", "14155550105", "14155550106"


def make_some(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other; with, marks")
    for word in ("START", "STOP", "START"):
        wrote(session, lane, word, sender=ANNA)
    wrote(session, lane, "STOP", sender=BERT)
    now = database_now(session)
    lapsed = {"pending_until": now - HOUR, "said_at": now - 2 * WEEK}
    consented(session, other, BERT, PENDING, pending_from=IN, **lapsed)
    imported(session, other, row(CARA, PENDING, note='said "yes",\r\nthen; left'), row(ANNA, OUT, note="=1+1"))
    reported(session, other, Block.ALL)
    asked_back = {"pending_from": OUT, "opted_out_at": now - HOUR, "said_at": now}
    consented(session, other, DORA, PENDING, **asked_back, pending_until=now + WEEK)
    consented(session, lane, DORA, PENDING, **asked_back, pending_until=now - HOUR)
    consented(session, lane, EMIL, PENDING, pending_from=IN, pending_until=now + WEEK, said_at=now)
    imported(session, other, row(EMIL, OUT), row(FRIDA, OUT), row(FRIDA, PENDING, at="2020-01-01T00:00:00Z"))


PEOPLE = 10


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_what_was_exported_can_be_imported(session: Session, lane: MadeLane, form: Format) -> None:
    make_some(session, lane)
    file, before = exported(session, form), stand(session)
    rows = session.exec(select(ConsentChange)).all()
    assert len(before) == PEOPLE

    def import_it(file: bytes) -> Report:
        importing = Import(_engine(session), NdjsonLines() if form == "ndjson" else CsvLines(), None, WEEK)
        importing.feed(file)
        return importing.close()

    again = import_it(file)
    assert (again.unchanged, again.rejected, again.kept, again.changed) == (again.rows, 0, 0, 0)
    assert session.exec(select(ConsentChange)).all() == rows
    for _ in range(2):  # also what was imported
        session.execute(text("TRUNCATE consent, consent_change"))
        session.commit()
        assert import_it(file).changed == PEOPLE
        assert stand(session) == before
        file = exported(session, form)


def test_export_says_when_it_was_said(session: Session, lane: MadeLane) -> None:
    at = database_now(session) - WEEK
    imported(session, lane, row(ANNA, IN, at=at.isoformat()))
    wrote(session, lane, "STOP", sender=ANNA, received_at=at + HOUR)
    (person,) = [json.loads(line) for line in exported(session, "ndjson").splitlines()]
    moments = [datetime.fromisoformat(person[name]) for name in ("at", "opted_out_at")]
    assert moments == [at + HOUR] * 2
    assert [datetime.fromisoformat(entry["said_at"]) for entry in person["history"]] == [at, at + HOUR]
    table = list(csv.DictReader(exported(session, "csv").decode().splitlines()))
    assert [datetime.fromisoformat(line["at"]) for line in table] == [at, at + HOUR, at + HOUR]


def test_export_has_everyone_with_their_history_in_order(
    session: Session, lane: MadeLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.consent_export.PAGE", 2)
    make_some(session, lane)
    people = [json.loads(line) for line in exported(session, "ndjson").splitlines()]
    assert [(one["to"], one["credential"]) for one in people] == [
        (one.recipient, session.get_one(Credential, one.credential_id).name)
        for one in session.exec(select(Consent).order_by(Consent.recipient, Consent.credential_id))  # type: ignore[arg-type]
    ]
    assert len(people) == PEOPLE
    (anna,) = [one for one in people if one["to"] == ANNA and one["credential"] == "account"]
    assert [(entry["state"], entry["source"], entry["reason"]) for entry in anna["history"]] == [
        (IN, "keyword", "START"),
        (OUT, "keyword", "STOP"),
        (IN, "keyword", "START"),
    ]
    assert datetime.fromisoformat(anna["history"][-1]["changed_at"]) == datetime.fromisoformat(anna["changed_at"])
    (told,) = [one for one in people if one["to"] == ANNA and one["credential"] != "account"]
    assert (told["source"], told["is_blocked"]) == ("provider", True)


def test_export_of_one_credential_has_its_people_alone(session: Session, lane: MadeLane) -> None:
    make_some(session, lane)
    people = [json.loads(line) for line in exported(session, "ndjson", lane).splitlines()]
    assert [(one["to"], one["credential"]) for one in people] == [(to, "account") for to in (ANNA, BERT, DORA, EMIL)]


def test_deleted_credential_goes_by_its_id_so_that_no_other_of_its_name_is_meant(
    session: Session, lane: MadeLane
) -> None:
    wrote_stop(session, lane)
    session.get_one(Credential, lane.credential_id).deleted_at = database_now(session)
    session.commit()
    (person,) = [json.loads(line) for line in exported(session, "ndjson").splitlines()]
    assert person["credential"] == str(lane.credential_id)


def test_export_of_nothing_is_an_empty_file_with_a_header_where_there_is_one(session: Session) -> None:
    assert exported(session, "ndjson") == b""
    assert exported(session, "csv").splitlines() == [
        b"to,credential,state,at,entry,source,is_blocked,pending_from,opted_out_at,changed_at,note,inbound_id,message_id"
    ]
