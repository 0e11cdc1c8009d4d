"""Journeys: which ID is read from what a batch says of its journey."""

from typing import Any

import pytest

from worker.journeys import LONGEST_ID, journey_id

LONGEST, TOO_LONG = "j" * LONGEST_ID, "j" * (LONGEST_ID + 1)


@pytest.mark.parametrize(
    ("journey", "found"),
    [
        # Of its members
        ({"id": "welcome"}, "welcome"),
        ({"journey_id": "welcome"}, "welcome"),
        ({"journeyId": "welcome"}, "welcome"),
        ({"journeyId": "third", "journey_id": "second", "id": "first"}, "first"),
        ({"journeyId": "third", "journey_id": "second"}, "second"),
        ({"name": "Welcome", "step": 3, "id": "welcome"}, "welcome"),
        ({"id": 17}, "17"),
        ({"id": 0}, "0"),
        ({"id": -5}, "-5"),
        ({"id": " welcome "}, " welcome "),
        ({"id": "\u0938\u094d\u0935\u093e\u0917\u0924"}, "\u0938\u094d\u0935\u093e\u0917\u0924"),
        ({"id": LONGEST}, LONGEST),
        # What is no ID leaves it to the next member
        ({"id": None, "journey_id": "second"}, "second"),
        ({"id": " ", "journey_id": "second"}, "second"),
        ({"id": True, "journey_id": 2}, "2"),
        ({"id": {"id": "inner"}, "journeyId": "third"}, "third"),
        # Text is the ID itself, a number that is no member is none
        ("welcome", "welcome"),
        (LONGEST, LONGEST),
        (17, None),
        # There is none
        (None, None),
        (True, None),
        ({}, None),
        ([], None),
        (["welcome"], None),
        ([{"id": "welcome"}], None),
        ({"ID": "welcome"}, None),
        ({"journey": {"id": "welcome"}}, None),
        ({"id": 1.5}, None),
        ({"id": False}, None),
        ({"id": ["welcome"]}, None),
        ({"id": ""}, None),
        ("", None),
        (" \t\n", None),
        # Cut, it would be that of another
        ({"id": TOO_LONG}, None),
        (TOO_LONG, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_id_is_read_from_where_journeys_have_it(journey: Any, found: str | None) -> None:
    assert journey_id(journey) == found
