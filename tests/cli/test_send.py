"""`delivery send` against a real API: what it shows before, what it sends, how it goes on after trouble, exit codes."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session

from cli import api_client, send_check
from cli.ports import free_port
from tests.cli.breaking_proxy import BreakingProxy
from tests.cli.shell import Delivery, Done, failure
from tests.cli.terminal import at_terminal
from tests.worker.steps import change
from worker import tokens
from worker.words import Scope

ANNA, BERT = "919876543210", "919876543211"
PEOPLE = f"phone,First Name,order\n{ANNA},Anna,A-1\n{BERT},Bert,B-2\n"
BAD = f"phone,First Name\n{ANNA},Anna\n\ncall me,Bert\n{BERT},Carl\n,Dora\n"

pytestmark = pytest.mark.usefixtures("lane")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "bad.csv").write_text(BAD)
    return tmp_path


@pytest.fixture
def send(at_home: Delivery, folder: Path) -> Delivery:
    return lambda *options, **rest: at_home("send", "--surface", "main", *options, **rest)


@pytest.fixture
def stored(administrator: httpx.Client) -> Any:
    """What the API has: batches, or messages of one, oldest first."""

    def read(path: str = "/v1/batches", **query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = administrator.get(path, params=query).json()["items"]
        return items[::-1]

    return read


HELLO = ("--file", "people.csv", "--text", "Hello {{first name}}")


def told(done: Done, code: int = 0) -> str:
    assert (done.code, done.err) == (code, ""), done
    return done.out


# Before anything is sent


def test_dry_run_shows_the_messages_and_counts_and_sends_nothing(send: Delivery, stored: Any) -> None:
    shown = told(send(*HELLO, "--dry-run"))
    heading, first, second, *_ = shown.splitlines()
    assert heading.split() == ["line", "to", "segments", "encoding", "text"]
    assert first.split() == ["2", ANNA, "1", "GSM-7", "Hello", "Anna"]
    assert second.split() == ["3", BERT, "1", "GSM-7", "Hello", "Bert"]
    facts = dict(re.findall(r"^(\w[\w ]*?)  +(.*)$", shown, re.MULTILINE))
    assert facts["through"] == "main: sms, transactional, from KITEBK"
    assert [facts[name] for name in ("rows", "segments", "duplicates", "look wrong")] == ["2", "2", "0", "0"]
    assert shown.endswith("nothing was sent\n")
    assert stored() == []


def test_dry_run_shows_three_messages_and_counts_the_segments_of_all(send: Delivery, folder: Path) -> None:
    rows = [f"91987654{n:04},{'x' * 161 if n % 2 else 'x'}" for n in range(1_000)]
    (folder / "people.csv").write_text("\n".join(["to,name", *rows]))
    found = send("--file", "people.csv", "--text", "{{name}}", "--dry-run", "--json").json
    assert (found["rows"], found["segments"]) == (1_000, 1_500)
    assert [(sample["line"], sample["segments"]) for sample in found["samples"]] == [(2, 1), (3, 2), (4, 1)]


def test_dry_run_tells_wrong_rows_by_their_lines(send: Delivery) -> None:
    done = send("--file", "bad.csv", "--text", "Hello", "--dry-run")
    lines = told(done, 1).splitlines()
    assert lines[lines.index("rejected:") + 1].split() == ["line", "to", "field", "reason"]
    first, second = lines[lines.index("rejected:") + 2 : lines.index("rejected:") + 4]
    assert first.startswith("4     call me  to     holds letters: ")
    assert second.startswith("6              to     is empty: ")
    assert send("--file", "bad.csv", "--text", "Hello", "--dry-run", "--skip-invalid").code == 3


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ({"to": ANNA}, "variables", "give a value for {{name}}"),
        ({"to": ANNA, "text": " "}, "text", "is empty"),
        ({"to": ANNA, "text": "x" * 4_001}, "text", "has 4,001 bytes in UTF-8"),
        ({"to": 5, "text": "x"}, "to", "must be text (in quotes)"),
        ({"to": ANNA, "variables": {"name": 1.5}}, "variables.name", "must be text (in quotes) or a whole number"),
        ({"to": ANNA, "variables": {"name": "A\0B"}}, "variables.name", "holds a NUL character"),
        ({"to": ANNA, "text": "x", "foo": 1}, "foo", "is not a field of this request"),
        ({"to": ANNA, "text": "x", "callback_data": "c" * 4_001}, "callback_data", "has 4,001 characters"),
        ({"to": ANNA, "text": "x", "content_template_id": "12"}, "content_template_id", "a DLT ID has 12 to 25 digits"),
        ({"to": "919876543210.0", "text": "x"}, "to", "looks like a decimal number"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("is_dry", [True, False])
def test_what_a_dry_run_finds_wrong_the_api_rejects_too(
    send: Delivery, row: dict[str, Any], field: str, words: str, is_dry: bool
) -> None:
    rows = [{"to": BERT, "variables": {"name": "Bert"}}, row]
    typed = "\n".join(map(json.dumps, rows)).encode()
    options = ("--file", "-", "--text", "Hello {{name}}", "--skip-invalid", "--json")
    done = send(*options, "--dry-run" if is_dry else "--no-wait", typed=typed)
    assert done.code == 3
    (wrong,) = done.json["examples" if is_dry else "rejected"]
    assert (wrong["line"], wrong["field"]) == (2, field)
    assert wrong["reason"].startswith(words)


def test_dry_run_reads_national_numbers_as_the_surface_does(
    send: Delivery, folder: Path, administrator: httpx.Client
) -> None:
    (folder / "people.csv").write_text("mobile\n098765 43210\n")
    options = ("--file", "people.csv", "--text", "Hello", "--dry-run", "--json")
    assert send(*options).json["wrong"] == 1
    administrator.patch("/v1/surfaces/main", json={"default_country": "IN"}).raise_for_status()
    (sample,) = send(*options).json["samples"]
    assert (sample["line"], sample["to"]) == (2, ANNA)


def test_duplicates_are_the_later_rows_of_a_number_however_it_is_written(send: Delivery, folder: Path) -> None:
    (folder / "people.csv").write_text(f"to\n{ANNA}\n+91 98765-43210\n{BERT}\n{ANNA}\n")
    options = ("--file", "people.csv", "--text", "Hello", "--dry-run", "--json")
    found = send(*options).json
    assert (found["duplicates"], found["segments"]) == (2, 4)
    found = send(*options, "--deduplicate").json
    assert (found["duplicates"], found["segments"]) == (2, 2)


def test_nothing_in_a_file_steers_the_terminal(send: Delivery, folder: Path) -> None:
    (folder / "people.csv").write_text(f"to,name\n{ANNA},a\x1b[2J[bold]b\n")
    shown = told(send("--file", "people.csv", "--text", "{{name}}", "--dry-run"))
    assert "a [2J[bold]b" in shown
    assert "\x1b" not in shown


# Sent


def test_file_becomes_one_batch_with_all_that_was_asked_for(send: Delivery, stored: Any) -> None:
    done = send(
        *HELLO,
        *("--callback-data", "order", "--content-template-id", "1207160000000000001"),
        *("--principal-entity-id", "1201150000000000001", "--validity", "PT2H", "--messages-per-second", "7"),
        *("--journey", '{"id": "spring"}', "--no-wait"),
    )
    shown = told(done)
    (batch,) = stored()
    assert shown.splitlines()[0] == f"batch {batch['id']}: 2 accepted"
    assert re.fullmatch(r"key send-[0-9a-f]{64}: the same command again sends nothing twice", shown.splitlines()[1])
    assert (batch["total"], batch["journey"], batch["messages_per_second"]) == (2, {"id": "spring"}, 7)
    messages = stored("/v1/messages", batch=batch["id"])
    assert [(message["to"], message["callback_data"]) for message in messages] == [(ANNA, "A-1"), (BERT, "B-2")]
    assert {message["content_template_id"] for message in messages} == {"1207160000000000001"}
    assert {message["principal_entity_id"] for message in messages} == {"1201150000000000001"}


def test_texts_are_filled_as_the_dry_run_shows_them(send: Delivery, session: Session) -> None:
    send(*HELLO, "--no-wait")
    assert texts(session) == ["Hello Anna", "Hello Bert"]


@pytest.mark.parametrize(
    "rows",
    [
        [{"mobile": int(ANNA), "Name": "Anna"}, {"mobile": BERT, "Name": 7}],
        [{"to": ANNA, "variables": {"name": "Anna"}}, {"to": BERT, "text": "Hello 7"}],
    ],
    ids=["flat", "the API's own form"],
)
def test_json_comes_by_standard_input_flat_or_as_the_api_has_it(
    send: Delivery, session: Session, rows: list[dict[str, Any]]
) -> None:
    typed = "\n".join(map(json.dumps, rows)).encode()
    assert send("--file", "-", "--text", "Hello {{name}}", "--no-wait", typed=typed).code == 0
    assert texts(session) == ["Hello Anna", "Hello 7"]


def texts(session: Session) -> list[str]:
    found = session.connection().exec_driver_sql("SELECT text FROM message ORDER BY id").scalars()
    return list(found)


def test_json_is_the_api_s_answer_with_the_key(send: Delivery, stored: Any) -> None:
    answer = send(*HELLO, "--no-wait", "--json", "--key", "mine").json
    (batch,) = stored()
    assert (answer["id"], answer["accepted"], answer["idempotency_key"]) == (batch["id"], 2, "mine")


def test_deduplicate_sends_once_to_a_number(send: Delivery, folder: Path) -> None:
    (folder / "people.csv").write_text(f"to\n{ANNA}\n+{ANNA}\n{BERT}\n")
    shown = told(send("--file", "people.csv", "--text", "Hello", "--deduplicate", "--no-wait"))
    assert shown.splitlines()[0].endswith(": 2 accepted, 1 duplicates")


def test_scheduled_batch_is_not_waited_for(send: Delivery, stored: Any) -> None:
    shown = told(send(*HELLO, "--send-at", "2027-01-31T09:00:00+05:30"))
    (batch,) = stored()
    assert batch["state"] == "scheduled"
    last = f"it leaves at 2027-01-31 03:30:00Z: `delivery batches wait {batch['id']}` waits for its end"
    assert shown.splitlines()[-1] == last


def test_token_that_may_only_send_is_enough(send: Delivery, session: Session, stored: Any) -> None:
    token = tokens.create_token(session, "journey", [Scope.SEND])
    assert send(*HELLO, "--no-wait", DELIVERY_API_TOKEN=token).code == 0
    assert len(stored()) == 1


@pytest.mark.parametrize(("typed", "count"), [("y", 1), ("n", 0)])
def test_at_a_terminal_it_shows_what_it_would_send_and_asks(
    address: str, token: str, folder: Path, stored: Any, typed: str, count: int
) -> None:
    options = ("--file", str(folder / "people.csv"), "--text", "Hello {{first name}}", "--no-wait")
    shown = at_terminal(address, token, "send", "--surface", "main", *options, answers={"2 segments?": typed})
    assert "Hello Anna" in shown
    assert "Send 2 messages, 2 segments?" in shown
    assert len(stored()) == count


def test_what_is_sent_is_what_was_shown_whatever_becomes_of_the_file_meanwhile(
    address: str, token: str, folder: Path, stored: Any
) -> None:
    file = folder / "people.csv"

    def answer() -> str:
        file.write_text(PEOPLE + "919876543212,Emil,C-3\n")
        return "y"

    options = ("--file", str(file), "--text", "Hello {{first name}}", "--no-wait")
    at_terminal(address, token, "send", "--surface", "main", *options, answers={"2 segments?": answer})
    (batch,) = stored()
    assert [message["to"] for message in stored("/v1/messages", batch=batch["id"])] == [ANNA, BERT]


def test_at_a_terminal_yes_is_an_answer_and_wrong_rows_are_none(
    address: str, token: str, folder: Path, stored: Any
) -> None:
    common = ("send", "--surface", "main", "--text", "Hello", "--no-wait")
    shown = at_terminal(address, token, *common, "--file", str(folder / "bad.csv"), answers={})
    assert "2 rows look wrong, and nothing was sent" in shown
    assert stored() == []
    shown = at_terminal(address, token, *common, "--file", str(folder / "people.csv"), "--yes", answers={})
    assert re.search(r"(sending|being stored) \S+ [02]/2", re.sub(r"\x1b\[[\d;?]*\w", "", shown))
    assert len(stored()) == 1


# Rows that are rejected


def test_rejected_rows_are_told_by_their_lines_and_the_exit_code_says_so(send: Delivery, folder: Path) -> None:
    (folder / "bad.csv").write_text(BAD + f"{BERT},Emil,too many\n")
    done = send("--file", "bad.csv", "--text", "Hello", "--skip-invalid", "--no-wait")
    first, _, _, blank, heading, names, *rows = told(done, 3).splitlines()
    assert first.endswith(": 2 accepted")
    assert (blank, heading, names.split()) == ("", "rejected:", ["line", "to", "field", "reason"])
    assert [row.split()[0] for row in rows] == ["4", "6", "7"]
    assert "has 3 cells, and the header 2" in rows[2]


def test_first_rejected_rows_are_shown_and_where_all_are(send: Delivery, folder: Path, stored: Any) -> None:
    (folder / "bad.csv").write_text("to\n" + "call me\n" * 30 + f"{ANNA}\n")
    lines = told(send("--file", "bad.csv", "--text", "Hello", "--skip-invalid", "--no-wait"), 3).splitlines()
    assert "rejected, the first 20:" in lines
    assert [line.split()[0] for line in lines[lines.index("rejected, the first 20:") + 2 : -1]] == [
        str(number) for number in range(2, 22)
    ]
    assert len(stored()) == 1
    assert lines[-1] == "the same command with --dry-run --rejected rejected.csv writes all of them to a file"


def test_one_bad_row_stops_all_and_is_told_by_its_line(send: Delivery, stored: Any) -> None:
    done = send("--file", "bad.csv", "--text", "Hello", "--no-wait")
    assert (done.code, done.out) == (1, "")
    first, *rows = done.err.splitlines()
    assert first == (
        "delivery: 2 rows are wrong, and nothing was stored: correct them, or leave them out with --skip-invalid"
    )
    assert [row.strip()[:16] for row in rows] == ["line 4, to: hold", "line 6, to: is e"]
    assert stored() == []


def test_line_that_cannot_be_read_stops_all(send: Delivery, folder: Path, stored: Any) -> None:
    (folder / "people.csv").write_text(f"to,name\n{ANNA},Anna\n{BERT},Bert,Berlin\n")
    done = send("--file", "people.csv", "--text", "Hello", "--no-wait")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == (
        "delivery: people.csv: a line cannot be read, and nothing was sent: "
        "correct them, or leave them out with --skip-invalid"
    )
    assert done.err.splitlines()[1].startswith("  line 3, line: has 3 cells")
    assert stored() == []


def test_json_has_each_rejected_row_with_its_line_and_what_never_reached_the_api(send: Delivery, folder: Path) -> None:
    (folder / "bad.csv").write_text(f'to,name\n{ANNA},A\n"bad"x,B\nabc,C\n')
    done = send("--file", "bad.csv", "--text", "Hello", "--skip-invalid", "--no-wait", "--json")
    assert (done.code, done.json["rejected_count"], done.json["unreadable_count"]) == (3, 1, 1)
    (rejected,), (unreadable,) = done.json["rejected"], done.json["unreadable"]
    assert (rejected["line"], rejected["index"], rejected["to"], rejected["field"]) == (4, 1, "abc", "to")
    assert (unreadable["line"], unreadable["field"]) == (3, "line")
    assert unreadable["reason"].startswith("has a quote that is not as CSV has them")


@pytest.mark.parametrize(
    ("options", "code"), [(("--dry-run",), 1), (("--no-wait",), 1), (("--no-wait", "--skip-invalid"), 3)]
)
def test_all_rejected_rows_are_written_to_a_file(
    send: Delivery, folder: Path, options: tuple[str, ...], code: int
) -> None:
    rows = [*(f"call {n}" for n in range(1_200)), "1,2,3", ANNA]
    (folder / "bad.csv").write_text("\n".join(["to", *rows]))
    assert send("--file", "bad.csv", "--text", "Hello", "--rejected", "rejected.csv", *options).code == code
    with (folder / "rejected.csv").open(newline="") as file:
        heading, *written = csv.reader(file)
    assert heading == ["line", "field", "reason", "value"]
    assert [(line, field, value) for line, field, _, value in written] == [
        *((str(n + 2), "to", f"call {n}") for n in range(1_200)),
        ("1202", "line", "1,2,3\n"),
    ]


def test_file_of_rejected_rows_is_not_that_of_the_people(send: Delivery, folder: Path) -> None:
    said = failure(send(*HELLO, "--no-wait", "--rejected", "./people.csv"))
    assert said.startswith("--rejected ./people.csv: name a file for the rejected rows")
    assert (folder / "people.csv").read_text() == PEOPLE


@pytest.mark.parametrize(("count", "told_count"), [(1_500, "1,500 rows"), (10_500, r"at least 10,\d\d\d rows")])
def test_count_of_the_refused_is_the_api_s_and_the_advice_is_of_options(
    send: Delivery, folder: Path, count: int, told_count: str
) -> None:
    (folder / "bad.csv").write_text("to\n" + "call me\n" * count + f"{ANNA}\n")
    first, *rows, last = send("--file", "bad.csv", "--text", "Hello", "--no-wait").err.splitlines()
    wanted = (
        f"delivery: {told_count} are wrong, and nothing was stored: correct them, or leave them out with --skip-inv.*"
    )
    assert re.fullmatch(wanted, first)
    assert len(rows) == 20
    assert re.fullmatch(r"  and [\d,]+ more: --dry-run --rejected rejected.csv writes all of them to a file", last)


def test_rows_of_which_none_is_good_are_not_to_be_left_out(send: Delivery, folder: Path, stored: Any) -> None:
    (folder / "bad.csv").write_text("to\ncall me\n")
    for options in ((), ("--skip-invalid",), ("--skip-invalid", "--rejected", "rejected.csv")):
        first, row = send("--file", "bad.csv", "--text", "Hello", "--no-wait", *options).err.splitlines()
        assert first.endswith(
            ", and nothing was s" + ("ent" if "--rejected" in options else "tored") + ": correct them"
        )
        assert row.startswith("  line 2, to: holds letters")
    assert stored() == []


@pytest.mark.parametrize("value", ["919876543210.0", "9.19876543210e11"])
def test_number_that_became_a_decimal_is_sent_to_nobody(send: Delivery, stored: Any, value: str) -> None:
    rows = f'{{"phone": {value}}}\n{{"phone": "{BERT}"}}\n'.encode()
    done = send("--file", "-", "--text", "Hello", "--no-wait", "--skip-invalid", "--json", typed=rows)
    (wrong,) = done.json["unreadable"]
    assert (done.code, wrong["line"], wrong["field"]) == (3, 1, "phone")
    assert [message["to"] for message in stored("/v1/messages", batch=done.json["id"])] == [BERT]


@pytest.mark.parametrize(
    "row", ['{{"to":"{0}","text":"x"}}\n{{"to":"{0}","text":"x","\\u001b]0;a":1}}', "ph\x1b[31mone\n1"]
)
@pytest.mark.parametrize("options", [("--no-wait",), ("--dry-run",)])
def test_names_in_a_file_do_not_steer_the_terminal_in_errors(
    send: Delivery, row: str, options: tuple[str, ...]
) -> None:
    done = send("--file", "-", "--text", "x", *options, typed=row.format(ANNA).encode())
    assert done.code == 1
    assert "\x1b" not in done.err + done.out
    assert "]0;a" in done.err + done.out or "ph [31mone" in done.err


# The same command again


def test_same_command_again_sends_nothing_twice_and_says_so(send: Delivery, session: Session, stored: Any) -> None:
    first = told(send(*HELLO, "--no-wait"))
    change(session, "UPDATE batch SET created_at = '2026-01-31T09:00:00Z'")
    again = told(send(*HELLO, "--no-wait")).splitlines()
    assert again[:3] == first.splitlines()
    assert again[3] == "it is that of 2026-01-31 09:00:00Z: nothing was sent now, another --key would send again"
    assert len(stored()) == 1


@pytest.mark.parametrize(
    "changed",
    [("--text", "Hi {{first name}}"), ("--validity", "PT1H"), ("--key", "another"), ("--callback-data", "order")],
    ids=lambda changed: changed[0],
)
def test_other_content_or_options_are_another_batch(send: Delivery, stored: Any, changed: tuple[str, str]) -> None:
    send(*HELLO, "--no-wait")
    assert send(*HELLO, *changed, "--no-wait").code == 0
    assert len(stored()) == 2


def test_name_of_the_file_and_spelling_of_the_options_change_nothing(send: Delivery, folder: Path, stored: Any) -> None:
    send(*HELLO, "--no-wait")
    (folder / "people.csv").rename(folder / "renamed.csv")
    same = (
        "--text",
        "Hello {{first name}}",
        "--file",
        "renamed.csv",
        "--to",
        "phone",
        "--map",
        "first name=First Name",
    )
    assert send(*same, "--no-wait").code == 0
    assert len(stored()) == 1


def test_key_that_came_with_another_file_is_refused_plainly(send: Delivery, folder: Path, stored: Any) -> None:
    send(*HELLO, "--key", "mine", "--no-wait")
    (folder / "people.csv").write_text(PEOPLE.replace("Anna", "Dora"))
    assert failure(send(*HELLO, "--key", "mine", "--no-wait")).startswith(
        "--key mine came with another file or other options before, and nothing was sent now: "
    )
    assert len(stored()) == 1


# Trouble on the way


@pytest.mark.parametrize("trouble", ["break_requests", "lose_answers"])
def test_broken_connection_is_tried_again_with_the_same_key_and_sends_once(
    send: Delivery, address: str, stored: Any, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_PAUSES", (0.01, 0.02, 0.03))
    with BreakingProxy(address) as proxy:
        setattr(proxy, trouble, 2)
        done = send(*HELLO, "--no-wait", DELIVERY_API_URL=proxy.url)
    assert done.code == 0
    first, second = done.err.splitlines()
    assert re.match(r"the connection to the API at .* broke off: .*; trying again in 0.01 s with the same key", first)
    assert "trying again in 0.02 s" in second
    assert len(stored()) == 1


def test_large_file_that_breaks_off_half_way_is_sent_whole_and_once(
    send: Delivery, address: str, folder: Path, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_PAUSES", (0.01,))
    (folder / "people.csv").write_text("to\n" + "".join(f"91987{n:07}\n" for n in range(30_000)))
    with BreakingProxy(address) as proxy:
        proxy.break_requests = 1
        done = send("--file", "people.csv", "--text", "Hello", "--no-wait", "--json", DELIVERY_API_URL=proxy.url)
    assert (done.code, done.json["accepted"]) == (0, 30_000)
    assert len(stored()) == 1


def test_api_that_stays_away_is_told_with_how_to_go_on(
    send: Delivery, address: str, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_PAUSES", (0.01,))
    away = f"http://127.0.0.1:{free_port()}"
    done = send(*HELLO, "--no-wait", DELIVERY_API_URL=away)
    assert (done.code, done.out) == (1, "")
    tried, gave_up = done.err.splitlines()
    assert "trying again in 0.01 s" in tried
    found = re.fullmatch(
        r"delivery: cannot reach the API at .*; the same command again \(with --key (send-\w+)\) goes on .*", gave_up
    )
    assert found
    assert f"key {found[1]}: " in told(send(*HELLO, "--no-wait", DELIVERY_API_URL=address))
    assert len(stored()) == 1


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--text", "Hello"), "give --file, or --to and --text"),
        (("--to", ANNA), "give --file, or --to and --text"),
        (("--to", ANNA, "--text", "Hello", "--deduplicate"), "are for a --file"),
        ((*HELLO, "--map", "name"), "must be NAME=COLUMN"),
        ((*HELLO, "--map", "a=b", "--map", "a=c"), "is named twice"),
        ((*HELLO, "--journey", "spring"), "is not JSON"),
        ((*HELLO, "--journey", '{"id": 1e400}'), "is not JSON"),
        ((*HELLO, "--messages-per-second", "0"), "--messages-per-second"),
        ((*HELLO, "--validity"), "--validity"),
        ((*HELLO, "--key", ""), "must be 1 to 255 printable ASCII characters"),
        ((*HELLO, "--key", " a"), "must be 1 to 255 printable ASCII characters"),
        ((*HELLO, "--key", "é"), "must be 1 to 255 printable ASCII characters"),
        ((*HELLO, "--key", "x" * 256), "must be 1 to 255 printable ASCII characters"),
        (("--to", ANNA, "--text", "Hello", "--key", ""), "must be 1 to 255 printable ASCII characters"),
        (("--to", ANNA, "--text", "Hello", "--rejected", "x.csv"), "are for a --file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_exit_code_2(send: Delivery, options: tuple[str, ...], words: str) -> None:
    done = send(*options)
    assert (done.code, done.out) == (2, "")
    assert words in re.sub(r"[│\s]+", " ", done.err)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--file", "none.csv", "--text", "Hello"), "cannot read none.csv: No such file or directory"),
        (("--file", "people.csv"), "--text is missing"),
        (("--file", "people.csv", "--text", "Hello {{name}}"), "there is no column for {{name}}: "),
        ((*HELLO, "--validity", "2h"), "--validity: '2h' is not an ISO 8601 duration"),
        ((*HELLO, "--send-at", "tomorrow"), "--send-at: must be an ISO 8601 time"),
        ((*HELLO, "--content-template-id", "x"), "--content-template-id: a DLT ID consists of digits"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_sent_is_one_line(send: Delivery, options: tuple[str, ...], words: str) -> None:
    assert failure(send(*options, "--no-wait")).startswith(words)


def test_file_without_rows_and_surface_that_is_not_there_are_told(at_home: Delivery, folder: Path) -> None:
    (folder / "people.csv").write_text("phone,First Name\n")
    for way in ("--no-wait", "--dry-run"):
        said = failure(at_home("send", "--surface", "main", *HELLO, way))
        assert said == "people.csv holds no rows\n"
    (folder / "people.csv").write_text(PEOPLE)
    assert "there is no surface of this name" in failure(at_home("send", "--surface", "none", *HELLO, "--no-wait"))
    assert "There is no surface of this name" in failure(at_home("send", "--surface", "none", *HELLO, "--dry-run"))


@pytest.mark.parametrize("way", ["--no-wait", "--dry-run"])
def test_file_of_more_rows_than_a_batch_holds_is_refused_before_it_is_sent(
    send: Delivery, stored: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_check, "MOST_ROWS", 1)
    assert failure(send(*HELLO, way)).startswith("people.csv holds more than 1 rows, which is all that a batch holds")
    assert stored() == []


# A single message


def test_single_message_is_sent_once_however_often(send: Delivery, session: Session, stored: Any) -> None:
    options = ("--to", f"+{ANNA}", "--text", "Hello", "--callback-data", "login-7", "--no-wait")
    first = told(send(*options))
    (message,) = stored("/v1/messages", to=ANNA)
    assert first.splitlines()[0] == f"message {message['id']}: queued"
    assert (message["callback_data"], message["batch_id"]) == ("login-7", None)
    change(session, "UPDATE message SET created_at = '2026-01-31T09:00:00Z'")
    again = told(send(*options)).splitlines()
    assert again[:2] == first.splitlines()
    assert again[2].startswith("it is that of 2026-01-31 09:00:00Z: nothing was sent now")
    assert len(stored("/v1/messages", to=ANNA)) == 1
    assert send(*options, "--key", "another").code == 0
    assert len(stored("/v1/messages", to=ANNA)) == 2


def test_single_message_s_key_with_another_text_is_refused(send: Delivery) -> None:
    send("--to", ANNA, "--text", "Hello", "--key", "mine", "--no-wait")
    said = failure(send("--to", ANNA, "--text", "Hi", "--key", "mine", "--no-wait"))
    assert said == "the key mine came with another message before: give another --key\n"


def test_dry_run_of_a_single_message(send: Delivery, stored: Any) -> None:
    done = send("--to", "+91 98765 43210", "--text", "x" * 161, "--dry-run", "--json")
    facts = {"to": ANNA, "segments": 2, "encoding": "GSM-7", "text": "x" * 161}
    assert done.code == 0
    assert {name: done.json[name] for name in facts} == facts
    shown = told(send("--to", ANNA, "--text", "it’s here", "--dry-run"))
    assert "UCS-2 for U+2019 RIGHT SINGLE QUOTATION MARK" in shown
    assert re.search(r"^first leaves +at once$", shown, re.MULTILINE)
    assert failure(send("--to", "call me", "--text", "Hello", "--dry-run")).startswith("to: holds letters")
    assert stored("/v1/messages", to=ANNA) == []


def test_reason_of_a_message_does_not_steer_the_terminal(send: Delivery, session: Session) -> None:
    options = ("--to", ANNA, "--text", "Hello")
    send(*options, "--no-wait")
    change(session, "UPDATE message SET state = 'failed', reason = 'EC_' || chr(27) || '[2JX'")
    done = send(*options)
    assert done.code == 4
    assert "EC_ [2JX" in done.out
    assert "\x1b" not in done.out
