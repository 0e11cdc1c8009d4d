"""Time zones by number: the longest prefix of Google's table, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from worker.number_zones import NOWHERE, zones_of


@pytest.mark.parametrize(
    ("recipient", "zones"),
    [
        ("919876543210", ("Asia/Calcutta",)),
        ("491701234567", ("Europe/Berlin",)),
        ("12125550123", ("America/New_York",)),
        ("14155550123", ("America/Los_Angeles",)),
        ("77011234567", ("Asia/Almaty", "Asia/Aqtobe")),
        ("61891234567", ("Australia/Adelaide", "Australia/Perth")),
        ("61412345678", ("Australia/Sydney",)),
        ("6861234567", ("Pacific/Enderbury", "Pacific/Kiritimati", "Pacific/Tarawa")),
    ],
)
def test_a_number_has_the_zones_of_its_country_or_area(recipient: str, zones: tuple[str, ...]) -> None:
    assert zones_of(recipient) == zones


def test_a_toll_free_number_may_ring_in_every_zone_of_its_country_code() -> None:
    zones = zones_of("18005550123")
    assert {"America/New_York", "Pacific/Honolulu", "America/Puerto_Rico"} < set(zones)


@pytest.mark.parametrize("recipient", ["8001234567", "881612345678", "2101234567", ""])
def test_a_number_of_no_place_has_utc(recipient: str) -> None:
    """International and satellite services, unassigned codes, and what is no number."""
    assert zones_of(recipient) == NOWHERE


numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)


@given(st.one_of(numbers, st.builds(str.__add__, st.sampled_from(sorted(TIMEZONE_DATA)), numbers)))
def test_it_is_the_longest_prefix_that_decides(recipient: str) -> None:
    prefixes = [recipient[:length] for length in range(len(recipient), 0, -1)]
    assert zones_of(recipient) == next((TIMEZONE_DATA[p] for p in prefixes if p in TIMEZONE_DATA), NOWHERE)
