"""What a credential says of inbound messages is read as it is configured, whatever its state."""

from datetime import timedelta

import pytest
from sqlmodel import Session

from tests.factories import ENTITY, TEMPLATE, MadeLane, make_lane
from tests.worker.steps import change
from worker.credential_rules import CredentialRules, read_rules


def rules_of(session: Session, lane: MadeLane) -> CredentialRules:
    return read_rules(session, [lane.credential_id])[lane.credential_id]


@pytest.mark.parametrize(
    ("inbound_number", "number", "is_own"),
    [
        ("447700900001", "447700900001", True),
        ("+447700900001", "447700900001", True),
        ("00447700900001", "447700900001", True),
        ("447700900001", "447700900002", False),
        ("56767", "56767", True),
        ("KiteBk", "KITEBK", True),
        ("KITEBK", "56767", False),
    ],
)
def test_a_number_is_known_however_it_is_written(
    session: Session, lane: MadeLane, inbound_number: str, number: str, is_own: bool
) -> None:
    change(session, "UPDATE credential SET inbound_number = :number", number=inbound_number)
    rules = rules_of(session, lane)
    assert rules.is_own_number(number) is is_own
    assert rules.is_other_number(number) is not is_own


def test_without_a_number_of_its_own_none_belongs_to_another(session: Session, lane: MadeLane) -> None:
    rules = rules_of(session, lane)
    assert not rules.is_other_number("447700900001")
    assert not rules.is_own_number("447700900001")


def test_a_message_that_names_no_number_of_ours_belongs_to_no_other(session: Session, lane: MadeLane) -> None:
    change(session, "UPDATE credential SET inbound_number = '56767'")
    assert not rules_of(session, lane).is_other_number(None)


@pytest.mark.parametrize(("hours", "validity"), [(1, 1), (4, 4), (48, 4)])
def test_a_reply_is_worth_four_hours_at_most(session: Session, lane: MadeLane, hours: int, validity: int) -> None:
    change(session, "UPDATE credential SET validity_period_hours = :hours", hours=hours)
    assert rules_of(session, lane).validity == timedelta(hours=validity)


def test_each_credential_has_its_own_rules_and_a_deleted_one_still_has_them(session: Session, lane: MadeLane) -> None:
    other = make_lane(session, name="other")
    change(
        session,
        "UPDATE credential SET deleted_at = now(), help_message = '', principal_entity_id = :entity, "
        "content_template_id = :template, callback_data = 'kept', opt_out_keywords = '{LEAVE}' WHERE id = :id",
        entity=ENTITY,
        template=TEMPLATE,
        id=lane.credential_id,
    )
    found = read_rules(session, [lane.credential_id, other.credential_id, lane.credential_id])
    mine, theirs = found[lane.credential_id], found[other.credential_id]
    assert (mine.is_deleted, mine.lane_id, mine.texts.help) == (True, lane.id, None)
    assert mine.keywords.opt_out == ["LEAVE"]
    values = (mine.values.principal_entity_id, mine.values.content_template_id, mine.values.callback_data)
    assert values == (ENTITY, TEMPLATE, "kept")
    assert (theirs.is_deleted, theirs.lane_id, theirs.keywords.opt_out) == (False, other.id, [])
