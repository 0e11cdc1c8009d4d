"""`delivery lanes` against a real API: what waits where, and why a lane is held."""

import httpx
from sqlmodel import Session

from tests.cli.shell import Delivery
from tests.factories import MadeLane, make_batch
from tests.worker.steps import change


def test_lane_is_shown_with_what_waits_and_why_it_is_held(
    at_home: Delivery, session: Session, lane: MadeLane, administrator: httpx.Client
) -> None:
    make_batch(session, lane, ["919900000001", "919900000002"])
    held = "UPDATE lane SET held_until = now() + interval '1 h', kind = 'fault', reason = 'Infobip is away: 503'"
    change(session, f"{held} WHERE id = :id", id=lane.id)
    done = at_home("lanes")
    assert (done.code, done.err) == (0, "")
    heading, row = done.out.splitlines()
    assert heading.split()[:4] == ["credential", "channel", "message_type", "counts"]
    assert row.split()[:5] == ["main", "sms", "transactional", "2", "queued"]
    assert row.endswith("Infobip is away: 503")
    assert [item["id"] for item in at_home("lanes", "--json").json["items"]] == [str(lane.id)]
    assert administrator.get("/v1/lanes").json()["items"][0]["kind"] == "fault"
