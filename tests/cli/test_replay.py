"""`delivery replay` against a real API: it shows before it sends, sends once, and says where nothing is left."""

import httpx
import pytest
from sqlmodel import Session

from tests.cli.shell import Delivery, failure
from tests.cli.terminal import at_terminal
from tests.factories import MadeLane, make_batch
from tests.worker.steps import answer, apply, change, report, states, took


@pytest.fixture
def batch(session: Session, lane: MadeLane) -> str:
    """One message delivered, one failed for good, one expired."""
    ids = make_batch(session, lane, ["919900000001", "919900000002", "919900000003"])
    answer(session, took(session, lane))
    apply(session, lane, report(ids[0]), report(ids[1], status=9, group=2, error=1))
    change(session, "UPDATE message SET expires_at = now() - interval '1 s' WHERE id = :id", id=ids[2])
    apply(session, lane, report(ids[2], status=9, group=2, error=27))
    assert states(session, ids) == ["delivered", "failed", "expired"]
    return str(session.connection().exec_driver_sql("SELECT id FROM batch").scalar_one())


def test_preview_is_shown_and_nothing_is_sent(at_home: Delivery, batch: str, administrator: httpx.Client) -> None:
    done = at_home("replay", batch, "--dry-run")
    assert (done.code, done.err) == (0, "")
    summary, heading, *groups = done.out.splitlines()
    assert summary.startswith("2 messages to send again, 2 segments; cost: ")
    assert heading.split() == ["count", "state", "reason", "sentence"]
    assert {line.split()[1] for line in groups} == {"failed", "expired"}
    assert at_home("replay", batch, "--dry-run", "--json").json["would_replay"] == 2
    assert administrator.get(f"/v1/batches/{batch}").json()["replays"] == []


def test_replay_is_made_once_and_a_second_one_says_that_nothing_was_left(
    at_home: Delivery, batch: str, administrator: httpx.Client
) -> None:
    done = at_home("replay", batch, "--yes")
    assert (done.code, done.err) == (0, "")
    (linked,) = administrator.get(f"/v1/batches/{batch}").json()["replays"]
    assert done.out.splitlines()[-1] == f"replayed as batch {linked}: 2 accepted; left out: none"
    again = at_home("replay", batch, "--yes")
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[-2:] == ["nothing was left to replay", f"the newest replay of this batch is {linked}"]
    assert "2      already_replayed" in again.out
    assert at_home("replay", batch, "--yes", "--json").json["id"] == linked
    assert administrator.get(f"/v1/batches/{linked}").json()["total"] == 2


def test_the_same_key_gives_the_first_answer_again(at_home: Delivery, batch: str) -> None:
    first = at_home("replay", batch, "--yes", "--key", "of-today", "--json").json
    assert first["accepted"] == 2
    assert at_home("replay", batch, "--yes", "--key", "of-today", "--json").json == first


@pytest.mark.parametrize("key", ["", "é"])
def test_key_that_cannot_be_one_is_refused(
    at_home: Delivery, batch: str, administrator: httpx.Client, key: str
) -> None:
    done = at_home("replay", batch, "--yes", "--key", key)
    assert done.code == 2
    assert "must be 1 to 255 printable ASCII" in done.err
    assert administrator.get(f"/v1/batches/{batch}").json()["replays"] == []


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--state", "expired"), 1),
        (("--state", "expired", "--state", "failed"), 2),
        (("--error", "EC_UNKNOWN_SUBSCRIBER"), 1),
        (("--from", "2126-01-01T00:00:00Z"), 0),
        (("--until", "2126-01-01T00:00:00Z"), 2),
        (("--include-unconfirmed", "--validity", "PT2H"), 2),
    ],
)
def test_only_what_is_chosen_is_replayed(at_home: Delivery, batch: str, options: tuple[str, ...], count: int) -> None:
    assert at_home("replay", batch, *options, "--dry-run", "--json").json["would_replay"] == count
    assert at_home("replay", batch, *options, "--yes", "--json").json["accepted"] == count


def test_nothing_is_sent_where_nobody_can_be_asked(at_home: Delivery, batch: str, administrator: httpx.Client) -> None:
    done = at_home("replay", batch)
    assert done.code == 1
    assert done.err == "delivery: there is no terminal to ask on: give --yes to do it without being asked\n"
    assert failure(at_home("replay", batch, "--json")).startswith("there is no terminal to ask on")
    assert administrator.get(f"/v1/batches/{batch}").json()["replays"] == []


@pytest.mark.parametrize(("reply", "replays"), [("y", 1), ("n", 0)])
def test_it_asks_on_a_terminal(
    address: str, token: str, batch: str, administrator: httpx.Client, reply: str, replays: int
) -> None:
    said = at_terminal(address, token, "replay", batch, answers={"Send 2 messages again? [y/N]:": reply})
    assert "2 messages to send again" in said
    assert len(administrator.get(f"/v1/batches/{batch}").json()["replays"]) == replays


def test_wait_ends_with_the_replay_and_its_exit_code_says_how(
    at_home: Delivery, batch: str, session: Session, lane: MadeLane
) -> None:
    assert at_home("replay", batch, "--yes", "--json").json["accepted"] == 2
    submission = took(session, lane)
    answer(session, submission)
    apply(session, lane, *(report(sent.message_id) for sent in submission.messages))
    done = at_home("replay", batch, "--yes", "--wait", "--json")
    assert (done.code, done.json["counts"]) == (0, {"delivered": 2})
