"""The documents' commands, run as they stand: a newcomer's first messages, and the walk of each reader.

The blocks of one name are one script. Only addresses, tokens, ports and folders are put in place, and each must be
found where the document has it: a changed default must not send these tests to somebody's own servers.
"""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.environment import without_settings
from cli.ports import free_port
from tests.documents import DOCUMENTS, ROOT, named_blocks, recipe, spans
from tests.end_to_end.conftest import reachable_folder
from tests.processes import answers, running_sandbox, wait_for
from worker.settings import Settings

API = f"http://127.0.0.1:{Settings.model_fields['api_port'].default}"
SANDBOX = f"http://127.0.0.1:{Settings.model_fields['sandbox_port'].default}"
STOP = "kill $(jobs -p)"
STOP_SECONDS = 10  # as `delivery up` promises

# In place of the documents' second: until nothing is on its way to Infobip or a handset.
SETTLED = """until [ "$(for state in queued sending sent; do call "$API/v1/messages?state=$state&limit=1"; done \
  | grep -c '"items":\\[\\]')" = 3 ]; do command sleep 0.1; done"""


def run(name: str, changes: Mapping[str, str], **variables: str) -> list[Any]:
    """What the blocks of that name print, line by line; JSON where it is an object."""
    shell = ["bash", "-c", script(name, changes)]
    done = subprocess.run(shell, cwd=ROOT, env=clean(**variables), capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) if line.startswith("{") else line for line in done.stdout.splitlines() if line]


def script(name: str, changes: Mapping[str, str]) -> str:
    text = text_of(name)
    for old, new in changes.items():
        assert old in text, f"the blocks {name} do not hold {old}"
        text = text.replace(old, new)
    ours = " ".join(changes.values())
    assert [address for address in re.findall(r"127\.0\.0\.1:\d+", text) if address not in ours] == []
    return f"set -euo pipefail\n{text}"


def text_of(name: str) -> str:
    return "\n".join(block.text for block in named_blocks()[name])


def clean(**variables: str) -> dict[str, str]:
    """A shell in which nothing of this product is set."""
    return {**without_settings(os.environ), "no_proxy": "127.0.0.1", **variables}


@dataclass(frozen=True)
class Up:
    """What `make up` started."""

    api: str
    sandbox: str
    data_dir: str

    @property
    def changes(self) -> dict[str, str]:
        return {API: self.api, "token create": f"token create --data-dir {self.data_dir}"}


@pytest.fixture(scope="module")
def up(request: pytest.FixtureRequest) -> Iterator[Up]:
    """README's `make up`, in a folder and on ports of its own. Ends as Ctrl-C ends it."""
    (block,) = named_blocks()["up"]
    assert block.text == "make up\n"
    (command,) = recipe("up")
    port, sandbox_port = free_port(), free_port()
    with reachable_folder(request.session) as folder:
        data = str(folder / "data")
        options = ["--data-dir", data, "--port", str(port), "--sandbox-port", str(sandbox_port), "--metrics-port", "0"]
        process = subprocess.Popen(
            [*shlex.split(command), *options], cwd=ROOT, env=clean(), stdout=subprocess.PIPE, text=True
        )
        with process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == f"ready http://127.0.0.1:{port}\n"
                yield Up(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}", data)
                process.send_signal(signal.SIGINT)
                assert process.wait(STOP_SECONDS) == 0
            finally:
                process.kill()


@pytest.fixture(scope="module")
def first_messages(up: Up) -> list[Any]:
    """What the README's first messages print; the other walks use what they leave behind."""
    return run("first-messages", {**up.changes, SANDBOX: up.sandbox}, DELIVERY_DATA_DIR=up.data_dir)


def test_the_readme_takes_a_newcomer_to_delivered_reports_with_callback_data(first_messages: list[Any]) -> None:
    reports, *calls = [said for said in first_messages if isinstance(said, dict)]
    assert ["delivered", "3", "100.0%"] in [said.split() for said in first_messages if isinstance(said, str)]
    assert {item["callback_data"] for item in reports["items"]} == {"order-5512", "order-5513", "order-5514"}
    assert {item["status"]["group"] for item in reports["items"]} == {"DELIVERED"}
    sent = [json.dumps(call["request"]) for call in calls if call["path"] == "/sms/3/messages"]
    assert any("order-5513" in request and "1201150000000000001" in request for request in sent)


def journey_engineer_sends_once_and_correlates_the_outcome(said: list[Any], _: Up) -> None:
    first, again, found, feed = said
    assert first == again
    assert [(item["id"], item["state"]) for item in found["items"]] == [(first["id"], "delivered")]
    assert [(item["message_id"], item["callback_data"]) for item in feed["items"]] == [(first["id"], "login-77")]


def administrator_creates_changes_and_deletes_a_credential_without_seeing_its_key(said: list[Any], up: Up) -> None:
    created, read, changed, token = said
    assert read == created
    assert [created["api_key_hint"], changed["api_key_hint"]] == ["0001", "0002"]
    assert changed["messages_per_second"] == 50
    assert [lane["reason"] for lane in changed["lanes"]] == [None] * 4
    assert "-key-" not in json.dumps(said)
    with httpx.Client(base_url=up.api, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as reader:
        assert reader.get("/v1/credentials/kite-books-eu").status_code == 404
        assert reader.get("/v1/credentials/kite-books").status_code == 200


def operator_sees_trouble_and_its_reason_and_steers_the_batch(said: list[Any], _: Up) -> None:
    alive, ready, batch, message, paused, resumed, credential = said
    assert alive == {"status": "ok"}
    assert ready["status"] == "ready"
    assert batch["counts"] == {"retrying": 1, "failed": 1}
    assert {reason["reason"] for reason in batch["reasons"]} == {"EC_ABSENT_SUBSCRIBER", "EC_UNKNOWN_SUBSCRIBER"}
    assert "after EC_ABSENT_SUBSCRIBER: The phone was off" in message["reason"]
    assert {"accepted", "attempt", "report", "retry_scheduled"} <= {event["kind"] for event in message["timeline"]}
    assert [paused["state"], resumed["state"]] == ["paused", "running"]
    assert [lane["held_until"] for lane in credential["lanes"]] == [None] * 4


def handset_joins_confirms_and_leaves(said: list[Any], _: Up) -> None:
    surface, _, _, consent, got, _, batch, inbound, history, link = said
    assert surface["name"] == "offers"
    assert [item["state"] for item in consent["items"]] == ["opted_in"]
    assert [item["text"][:18] for item in got["items"]] == ["Kite Books: reply ", "Kite Books: welcom"]
    assert (batch["accepted"], batch["suppressed"]) == (1, 1)
    assert [item["action"] for item in inbound["items"]] == ["opt_out", "opt_in", "double_opt_in"]
    assert [item["state"] for item in history["items"]] == ["opted_out", "opted_in", "pending"]
    assert [(item["state"], item["source"]) for item in link["items"]] == [("opted_out", "api")]


def file_of_people_is_shown_sent_followed_and_sent_no_second_time(said: list[Any], _: Up) -> None:
    lines = [line.split() for line in said]
    assert [words[:4] for words in lines[1:4]] == [[str(n + 2), f"9199100{n:05}", "1", "GSM-7"] for n in range(3)]
    assert ["rows", "1,000"] in lines
    assert "nothing was sent" in said
    (first, again) = [line for line in said if line.startswith("batch ")]
    assert first.endswith(": 1,000 accepted")
    assert again == first
    assert [words for words in lines if words[:1] == ["delivered"]] == [["delivered", "1,000", "100.0%"]] * 2
    assert said[-1].startswith("kite-books sms transactional")


def operator_pauses_reschedules_and_cancels(said: list[Any], _: Up) -> None:
    *steps, done, cancelling, cancelled, refused = said
    assert [batch["state"] for batch in steps] == ["scheduled", "paused", "paused", "scheduled", "running"]
    assert (done["state"], done["counts"]) == ("done", {"delivered": 2})
    assert [cancelling["state"], cancelled["state"]] == ["cancelled", "cancelled"]
    assert cancelled["counts"] == {"cancelled": 2}
    assert refused["status"] == 409


def somebody_at_a_shell_finds_what_failed_and_sends_it_once_more(said: list[str], _: Up) -> None:
    shown = "\n".join(said)
    assert "1 delivered, 1 failed" in shown
    assert "exit code 4" in said
    assert "Failed after EC_UNKNOWN_SUBSCRIBER: " in shown
    (replayed,) = re.findall(r"^replayed as batch (\S+): 1 accepted; left out: none$", shown, re.MULTILINE)
    assert said[-2:] == ["nothing was left to replay", f"the newest replay of this batch is {replayed}"]


def audience_is_taken_once_each_and_its_bad_row_is_kept(said: list[Any], _: Up) -> None:
    answer, header, rejected = said
    assert (answer["accepted"], answer["duplicates"], answer["rejected_count"]) == (2, 1, 1)
    assert header == "index,to,field,reason"
    assert rejected.startswith('3,ask Meera,to,"holds letters')


def feed_tells_the_attempt_and_the_end_that_followed(said: list[Any], _: Up) -> None:
    sent, feed = said
    assert [event["type"] for event in feed["items"]] == ["attempt.failed", "message.failed"]
    assert {event["data"]["callback_data"] for event in feed["items"]} == {"parcel-9"}
    assert {event["data"]["message_id"] for event in feed["items"]} == {sent["id"]}


def operator_replays_the_failed_one_once(said: list[Any], _: Up) -> None:
    preview, replayed, again = said
    assert (preview["would_replay"], preview["left_out"]) == (1, [])
    assert [group["reason"] for group in preview["groups"]] == ["EC_UNKNOWN_SUBSCRIBER"]
    assert (replayed["accepted"], again["accepted"], again["id"]) == (1, 0, replayed["id"])


def picture_reaches_one_and_its_text_the_other(said: list[Any], _: Up) -> None:
    surface, batch, found, asha, got = said
    assert (surface["channel"], batch["accepted"]) == ("mms", 2)
    ends = {(item["to"], item["origin"], item["state"]) for item in found["items"]}
    asha_has = {("919900000042", "api", "cancelled"), ("919900000042", "fallback", "delivered")}
    assert ends == {("447700900021", "api", "delivered"), *asha_has}
    assert asha["state"] == "cancelled"
    assert [event["kind"] for event in asha["timeline"]] == ["accepted", "finished", "fallback"]
    assert asha["timeline"][-1]["message_id"] == asha["fallback"]
    (sms,) = got["items"]
    assert (sms["channel"], sms["sender"], sms["text"]) == ("sms", "KITEBK", "Asha, your parcel is here. -KITEBK")
    assert (sms["principal_entity_id"], sms["content_template_id"]) == ("1201150000000000001", "1207160000000000001")
    assert sms["message_id"].startswith(asha["fallback"])


def batch_is_previewed(said: list[Any], _: Up) -> None:
    (found,) = said
    assert [item["segments"]["encoding"] for item in found["items"]] == ["UCS-2", "GSM-7"]
    assert found["items"][0]["segments"]["forcing"]["name"] == "U+2019 RIGHT SINGLE QUOTATION MARK"
    assert [item["segments"]["parts"] for item in found["items"]] == [2, 1]
    assert [(row["index"], row["field"]) for row in found["rejected"]] == [(2, "to")]


def text_is_held_to_its_template_and_made_of_one(said: list[Any], _: Up) -> None:
    by_text, by_template, found, refused = [line for line in said if isinstance(line, dict)]
    shown = [line for line in said if isinstance(line, str)]
    assert "2 rows: 1 created, 0 changed, 0 unchanged, 1 left out, 0 rejected" in shown
    marked = shown.index("Parcel 5512 has left our shop, -KITEBK")
    assert shown[marked + 1] == " " * shown[marked].index(",") + "^"
    assert shown[-1] == "exit code 1"
    assert [answer["state"] for answer in (by_text, by_template)] == ["queued", "queued"]
    assert [item["content_template_id"] for item in found["items"]] == ["1207160000000000011"]
    assert refused["status"] == 422
    assert "the nearest template is parcel-left" in refused["detail"]


def request_leads_by_ids_to_its_submission_and_reports(said: list[Any], _: Up) -> None:
    batch, *lines = said
    request, answered, *webhooks = [line for line in lines if line["event"] in ("request", "submission_answered")]
    assert (request["batch_id"], request["status"]) == (batch["id"], 202)
    assert answered["request_id"] == request["request_id"]
    assert (answered["queue"], answered["messages"]) == ("transactional", 2)
    assert sum(line["reports"] for line in webhooks) == 2
    assert all(answered["submission_id"] in line["submission_ids"] for line in webhooks)


WALKS: dict[str, tuple[Callable[[list[Any], Up], None], dict[str, str]]] = {
    "journey-engineer": (journey_engineer_sends_once_and_correlates_the_outcome, {"sleep 2": SETTLED}),
    "administrator": (administrator_creates_changes_and_deletes_a_credential_without_seeing_its_key, {}),
    "operator": (operator_sees_trouble_and_its_reason_and_steers_the_batch, {"sleep 2": SETTLED}),
    "command-line": (somebody_at_a_shell_finds_what_failed_and_sends_it_once_more, {}),
    "dlt": (text_is_held_to_its_template_and_made_of_one, {"sleep 2": SETTLED}),
    "handset": (handset_joins_confirms_and_leaves, {"sleep 2": SETTLED}),
    "steering": (operator_pauses_reschedules_and_cancels, {"sleep 4": SETTLED}),
    "audience": (audience_is_taken_once_each_and_its_bad_row_is_kept, {}),
    "events": (feed_tells_the_attempt_and_the_end_that_followed, {"sleep 2": SETTLED}),
    "replay": (operator_replays_the_failed_one_once, {"sleep 2": SETTLED}),
    "mms": (picture_reaches_one_and_its_text_the_other, {"sleep 2": SETTLED}),
    "preview": (batch_is_previewed, {}),
    "logs": (request_leads_by_ids_to_its_submission_and_reports, {"sleep 2": SETTLED}),
    "sending-files": (file_of_people_is_shown_sent_followed_and_sent_no_second_time, {}),
}


def test_every_block_with_a_name_is_run_here() -> None:
    assert set(named_blocks()) == {"up", "first-messages", *WALKS, "sandbox", "one-by-one", "receiver"}


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.usefixtures("first_messages")
def test_walk_shows_what_its_reader_is_told(name: str, up: Up) -> None:
    check, changes = WALKS[name]
    addresses = {SANDBOX: up.sandbox} if SANDBOX in text_of(name) else {}
    folders = {".delivery/logs": f"{up.data_dir}/logs"} if ".delivery/logs" in text_of(name) else {}
    check(run(name, {**up.changes, **addresses, **folders, **changes}), up)


def test_the_sandbox_s_walk_sends_looks_meets_a_fault_is_written_to_and_begins_anew() -> None:
    with running_sandbox() as url:
        said = run("sandbox", {SANDBOX: url})
        wait_for(lambda: not answers(f"{url}/healthz"), 5)
    sent, accepted, request, _, faults, refused, cleared, written, pulled, summary, emptied, outage = said
    assert sent["messages"][0]["status"]["groupName"] == "PENDING"
    assert [item["text"] for item in accepted["items"]] == ["Hello"]
    assert (request["path"], request["status"]) == ("/sms/3/messages", 200)
    assert [faults["too_many_requests"], cleared["too_many_requests"]] == [1, 0]
    assert "429" in json.dumps(refused) or "TOO_MANY_REQUESTS" in json.dumps(refused)
    assert [(item["messageId"], item["text"]) for item in pulled["results"]] == [(written["message_id"], "STOP")]
    assert [summary["accepted"], summary["requests"], summary["inbound"]] == [1, 3, 1]
    assert set(emptied.values()) == {0}
    assert outage == {"seconds": 1}


def test_the_processes_one_by_one_deliver_a_message_and_stop(
    empty_database_url: str, redis_url: str, own_folder: Path
) -> None:
    assert STOP in spans(DOCUMENTS[0])
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    changes = {
        "postgresql://delivery:secret@127.0.0.1:5432/delivery": shlex.quote(empty_database_url),
        "redis://127.0.0.1:6379/0": redis_url,
        "https://delivery.example.com": api,
        "delivery api &": f"delivery api --port {port} &",
        **{f"METRICS_PORT={number}": f"METRICS_PORT={free_port()}" for number in (9100, 9101, 9102)},
    }
    text = f"{script('one-by-one', changes)}\ntrap '{STOP}' TERM\nwait || wait\n"
    said, logs = own_folder / "said", own_folder / "logs"
    with running_sandbox() as sandbox, said.open("w") as out, logs.open("w") as err:
        environment = clean(DELIVERY_ALLOWED_PROVIDER_HOSTS=sandbox.removeprefix("http://"))
        shell = subprocess.Popen(
            ["bash", "-c", text], cwd=ROOT, env=environment, stdout=out, stderr=err, start_new_session=True
        )
        try:
            wait_for(lambda: answers(f"{api}/readyz") or shell.poll() is not None, 60, every=0.2)
            assert shell.poll() is None, logs.read_text()
            _, token = said.read_text().split()[:2]
            with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
                deliver_one(client, sandbox)
            shell.terminate()
            assert shell.wait(30) == 0, logs.read_text()
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()


def deliver_one(client: httpx.Client, sandbox: str) -> None:
    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    post("/v1/credentials", name="own", base_url=sandbox, api_key="any")
    post("/v1/surfaces", name="own", channel="sms", message_type="transactional", credential="own", sender="KITEBK")
    message = post("/v1/messages", surface="own", to="+919900000001", text="Hello")["id"]
    wait_for(lambda: client.get(f"/v1/messages/{message}").json()["state"] == "delivered", 60, every=0.1)
