"""`delivery consents` and `delivery inbound` against a real API: what they show, their exit codes, and what they say
where it does not work."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from cli.environment import without_settings
from cli.ports import free_port
from cli.programs import delivery_command
from tests.cli.shell import Delivery, Done, failure
from worker import tokens
from worker.db import make_engine, open_session
from worker.words import Scope

ANNA, BERT = "14155550101", "14155550102"


@pytest.fixture(autouse=True)
def _nothing_is_known_of_anybody(main: dict[str, Any], database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE consent, consent_change, inbound_message"))
    engine.dispose()


# One number


def test_what_is_set_is_shown_by_get_and_by_history(at_home: Delivery) -> None:
    done = at_home(
        "consents", "set", "+1 (415) 555-0101", "--credential", "main", "--state", "opted_out", "--note", "phone"
    )
    assert (done.code, done.err) == (0, "")
    assert at_home("consents", "get", ANNA).out == done.out
    heading, row = done.out.splitlines()
    assert heading.split() == ["credential", "state", "source", "is_blocked", "changed_at", "pending_until"]
    assert row.split()[:4] == ["main", "opted_out", "api", "no"]
    heading, row = at_home("consents", "history", f"+{ANNA}").out.splitlines()
    assert row.split()[1:5] == ["main", "opted_out", "api", "no"]
    assert row.endswith("phone")
    assert heading.split()[5] == "said_at"
    refused = at_home(
        *("consents", "set", ANNA, "--credential", "main", "--state", "opted_in", "--at", "2020-01-01T00:00:00Z")
    )
    assert "has opted out since" in failure(refused)


def test_json_is_what_the_api_answers(at_home: Delivery, administrator: httpx.Client) -> None:
    said = at_home("consents", "set", ANNA, "--credential", "main", "--state", "pending", "--json")
    path = f"/v1/consents/{ANNA}"
    assert said.json == administrator.get(path).json()
    assert at_home("consents", "get", ANNA, "--json").json == said.json
    history = administrator.get(f"{path}/history").json()["items"]
    assert at_home("consents", "history", ANNA, "--json").json == {"items": history}


def test_unknown_number_is_told_as_such(at_home: Delivery) -> None:
    assert at_home("consents", "get", f"+{BERT}") == Done(0, f"nothing is known of {BERT}\n", "")


def test_inbound_lists_what_handsets_wrote_and_prints_nothing_that_steers_a_terminal(
    at_home: Delivery, administrator: httpx.Client, main: dict[str, Any]
) -> None:
    path = urlsplit(main["webhook_urls"]["inbound"]).path
    for number, word in ((ANNA, "STOP"), (BERT, "hi \x1b[2J\nthere")):
        item = {"messageId": f"m-{number}", "from": number, "to": "447700900001", "text": word}
        assert administrator.post(path, json={"results": [item]}).status_code == 200
    done = at_home("inbound", "--from", f"+{ANNA}", "--action", "opt_out")
    heading, row = done.out.splitlines()
    names = ["id", "received_at", "credential", "channel", "from", "to", "action", "consent", "reply_id", "text"]
    assert heading.split() == names
    assert row.split()[2:8] == ["main", "sms", ANNA, "447700900001", "opt_out", "opted_out"]
    assert row.endswith("STOP")
    _, newest, oldest = at_home("inbound").out.splitlines()
    assert newest.endswith("hi  [2J there")
    assert ANNA in oldest
    (item,) = at_home("inbound", "--limit", "1", "--credential", "main", "--json").json["items"]
    assert item["from"] == BERT
    assert newest.split()[0] == item["id"]
    assert failure(at_home("inbound", "--credential", "nobody")).startswith("credential: ")


# Files

GOOD = f'{{"to": "+{ANNA}", "state": "opted_in"}}\n'


@pytest.mark.parametrize(
    "file",
    [GOOD, "\ufeff" + GOOD, f"to,state\n+{ANNA},opted_in\n", f"\ufeffstate;to\r\nopted_in;{ANNA}\r\n"],
    ids=["ndjson", "ndjson with BOM", "csv", "csv of a spreadsheet"],
)
@pytest.mark.parametrize("way", ["file", "standard input"])
def test_file_is_imported_whatever_its_kind(at_home: Delivery, tmp_path: Path, file: str, way: str) -> None:
    (tmp_path / "consents").write_bytes(file.encode())
    name, typed = ("consents", b"") if way == "file" else ("-", file.encode())
    done = at_home("consents", "import", name, "--credential", "main", typed=typed)
    assert done == Done(0, "1 rows: 1 changed, 0 unchanged, 0 kept, 0 rejected\n", "")
    again = at_home("consents", "import", name, "--credential", "main", "--json", typed=typed)
    assert (again.code, again.json["unchanged"]) == (0, 1)


def test_rejected_rows_are_shown_and_the_exit_code_says_so(at_home: Delivery) -> None:
    rows = GOOD + '{"to": "call me", "state": "opted_in"}\n{"to": "+14155550102"}\n'
    done = at_home("consents", "import", "-", "--credential", "main", typed=rows.encode())
    assert (done.code, done.err) == (1, "")
    summary, blank, rejected, heading, first, second = done.out.splitlines()
    assert (summary, blank) == ("3 rows: 1 changed, 0 unchanged, 0 kept, 2 rejected", "")
    assert (rejected, heading.split()) == ("rejected:", ["line", "to", "field", "reason"])
    assert first.startswith("2     call me")
    assert second.startswith("3     +14155550102  state")


def test_kept_rows_are_shown_and_are_no_failure(
    at_home: Delivery, administrator: httpx.Client, main: dict[str, Any]
) -> None:
    item = {"messageId": "kept", "from": ANNA, "to": "447700900001", "text": "STOP"}
    administrator.post(urlsplit(main["webhook_urls"]["inbound"]).path, json={"results": [item]})
    done = at_home("consents", "import", "-", "--credential", "main", typed=GOOD.encode())
    assert done.code == 0
    assert done.out.splitlines()[0] == "1 rows: 0 changed, 0 unchanged, 1 kept, 0 rejected"
    assert f"1     {ANNA}  has opted out or is blocked since" in done.out


def test_large_file_goes_up_in_pieces(at_home: Delivery, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("to,state\n" + "".join(f"1415{n:07},opted_in\n" for n in range(20_000)))
    done = at_home("consents", "import", "many.csv", "--credential", "main")
    assert done == Done(0, "20000 rows: 20000 changed, 0 unchanged, 0 kept, 0 rejected\n", "")


def test_file_that_is_refused_half_way_up_is_told_in_the_api_s_words(at_home: Delivery, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("to,state\n" + f"{ANNA},opted_in\n" * 300_000)
    said = failure(at_home("consents", "import", "many.csv", "--credential", "nobody"))
    assert said.startswith("credential: there is no credential")
    (tmp_path / "many.csv").write_text(f"{ANNA},opted_in\n" * 300_000)
    assert f'the column "{ANNA}" is not known' in failure(at_home("consents", "import", "many.csv"))


def test_progress_is_drawn_on_a_terminal(address: str, token: str, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("to,state\n" + f"{ANNA},none\n" * 50_000)
    environment = {
        **without_settings(os.environ),
        "DELIVERY_API_URL": address,
        "DELIVERY_API_TOKEN": token,
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    ours, theirs = os.openpty()
    drawn: list[bytes] = []

    def watch() -> None:
        with contextlib.suppress(OSError):  # nobody draws any more
            while piece := os.read(ours, 10_000):
                drawn.append(piece)

    watcher = threading.Thread(target=watch)
    watcher.start()
    command = [*delivery_command(), "consents", "import", "many.csv", "--credential", "main"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    watcher.join()
    os.close(ours)
    assert out.decode().startswith("50000 rows: ")
    assert re.search(rb"[\d.]+/[\d.]+ kB", b"".join(drawn))


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_export_can_be_imported_from_a_file_or_a_pipe(at_home: Delivery, tmp_path: Path, form: str) -> None:
    at_home("consents", "set", ANNA, "--credential", "main", "--state", "opted_in", "--note", 'a "b"; c')
    assert at_home("consents", "export", "all", "--credential", "main", "--format", form) == Done(0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
    for standard_output in ((), ("-",)):
        shown = at_home("consents", "export", *standard_output, "--format", form)
        assert shown == Done(0, (tmp_path / "all").read_text(), "")
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
    report = at_home("consents", "import", "all", "--json")
    assert (report.code, report.json["changed"], report.json["rejected_count"]) == (0, 0, 0)
    assert report.json["unchanged"] == (1 if form == "ndjson" else 2)


def test_export_that_is_refused_leaves_the_file_as_it_was(at_home: Delivery, tmp_path: Path) -> None:
    (tmp_path / "all").write_text("of yesterday")
    done = at_home("consents", "export", "all", "--credential", "nobody")
    assert done.code == 1
    assert done.err.startswith("delivery: credential: there is no credential")
    assert (tmp_path / "all").read_text() == "of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


# What they say when it does not work


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "DELIVERY_API_URL is not set: "),
        ({"DELIVERY_API_URL": " "}, "DELIVERY_API_URL is not set: "),
        ({"DELIVERY_API_URL": "http://127.0.0.1:1"}, "DELIVERY_API_TOKEN is not set: "),
        ({"DELIVERY_API_URL": "127.0.0.1:1", "DELIVERY_API_TOKEN": "t"}, "DELIVERY_API_URL must be an address "),
        ({"DELIVERY_API_URL": "http://api:b", "DELIVERY_API_TOKEN": "t"}, "DELIVERY_API_URL must be an address "),
        ({"DELIVERY_API_URL": "http://127.0.0.1:1", "DELIVERY_API_TOKEN": "t\n"}, "cannot reach the API at "),
        ({"DELIVERY_API_URL": "http://127.0.0.1:1", "DELIVERY_API_TOKEN": "t\u00e9"}, "DELIVERY_API_TOKEN holds "),
    ],
)
def test_variable_that_is_missing_or_wrong_is_named(delivery: Delivery, variables: dict[str, str], words: str) -> None:
    assert failure(delivery("consents", "get", ANNA, **variables)).startswith(words)


def test_address_is_that_of_the_stack_that_runs_here(delivery: Delivery, tmp_path: Path) -> None:
    (tmp_path / ".delivery").mkdir()
    (tmp_path / ".delivery" / "env").write_text("DELIVERY_API_URL=http://127.0.0.1:1\n")
    said = failure(delivery("consents", "get", ANNA, DELIVERY_API_TOKEN="t"))
    assert said.startswith("cannot reach the API at http://127.0.0.1:1: ")


@pytest.mark.parametrize(
    "command",
    [
        ("consents", "get", ANNA),
        ("consents", "history", ANNA),
        ("consents", "set", ANNA, "--credential", "main", "--state", "none"),
        ("consents", "import", "-"),
        ("consents", "export"),
        ("inbound",),
    ],
    ids=" ".join,
)
def test_trouble_is_one_line(at_home: Delivery, address: str, command: tuple[str, ...]) -> None:
    away = at_home(*command, DELIVERY_API_URL=f"http://127.0.0.1:{free_port()}", typed=GOOD.encode())
    assert failure(away).startswith("cannot reach the API at ")
    stranger = at_home(*command, DELIVERY_API_URL=address, DELIVERY_API_TOKEN="unknown", typed=GOOD.encode())
    assert failure(stranger) == (
        "the API does not take the token in DELIVERY_API_TOKEN: This token is unknown or revoked\n"
    )


def test_missing_scope_is_named(at_home: Delivery, database_url: str) -> None:
    engine = make_engine(database_url)
    with open_session(engine) as session:
        token = tokens.create_token(session, "journey", [Scope.SEND])
    engine.dispose()
    said = failure(at_home("consents", "get", ANNA, DELIVERY_API_TOKEN=token))
    assert said == 'the token in DELIVERY_API_TOKEN may not do this: This call needs a token with the scope "read"\n'


def test_what_the_api_refuses_is_told_in_its_words(at_home: Delivery) -> None:
    said = failure(at_home("consents", "get", "call me"))
    assert said.startswith("to: holds letters: ")
    assert said.endswith(" (422)\n")
    long = at_home("consents", "set", ANNA, "--credential", "\x01", "--state", "none", "--note", "x" * 501)
    assert failure(long).startswith("note: ")


def test_file_that_cannot_be_opened_is_told(at_home: Delivery) -> None:
    assert failure(at_home("consents", "import", "none.csv")) == "cannot read none.csv: No such file or directory\n"
    assert failure(at_home("consents", "export", "none/all")) == "cannot write none/all: No such file or directory\n"


def test_directory_is_refused_before_anything_is_asked(at_home: Delivery, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    done = at_home("consents", "export", "all", DELIVERY_API_URL=f"http://127.0.0.1:{free_port()}")
    assert failure(done) == "cannot write all: it is a directory, name a file in it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


def test_full_disk_is_told(at_home: Delivery, tmp_path: Path) -> None:
    at_home("consents", "set", ANNA, "--credential", "main", "--state", "opted_in")
    (tmp_path / "all.part").symlink_to("/dev/full")
    assert failure(at_home("consents", "export", "all")) == "cannot write all: No space left on device\n"
    assert list(tmp_path.iterdir()) == []
    assert failure(at_home("consents", "export", "/dev/full")) == "cannot write /dev/full: No space left on device\n"
    assert Path("/dev/full").is_char_device()
    with Path("/dev/full").open("wb") as full:
        command = [*delivery_command(), "consents", "export"]
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=os.environ, check=False)
    said = process.stderr.decode()
    assert (process.returncode, said) == (1, "delivery: cannot write standard output: No space left on device\n")


class _Elsewhere(BaseHTTPRequestHandler):
    """Not the API: `/redirect/` leads on, `/cut/` breaks off, everything else is a page or an error."""

    def do_GET(self) -> None:
        if self.path.startswith("/redirect/"):
            self.send_response(301)
            self.send_header("Location", "https://api.example/v1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status = {"missing": 404, "down": 502}.get(self.path.split("/")[1], 200)
        self.send_response(status)
        self.send_header("Content-Length", "5000" if self.path.startswith("/cut/") else "7")
        self.end_headers()
        self.wfile.write(b"<html/>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/redirect", "DELIVERY_API_URL leads elsewhere: set it to where https://api.example/v1 is"),
        ("/page", "DELIVERY_API_URL leads to something that is not the API"),
        ("/missing", "the API answered 404, and not in its own words: is DELIVERY_API_URL right?"),
        ("/down", "the API answered 502 without a reason: try again"),
        ("/cut", "the connection to the API at "),
    ],
)
def test_address_of_something_else_is_told(at_home: Delivery, elsewhere: str, path: str, words: str) -> None:
    assert failure(at_home("consents", "get", ANNA, DELIVERY_API_URL=elsewhere + path)).startswith(words)


def test_export_that_breaks_off_leaves_no_file(at_home: Delivery, elsewhere: str, tmp_path: Path) -> None:
    done = at_home("consents", "export", "all", DELIVERY_API_URL=f"{elsewhere}/cut")
    assert failure(done).startswith("the connection to the API at ")
    assert list(tmp_path.iterdir()) == []


def test_proxy_of_the_environment_has_no_business_on_this_machine(at_home: Delivery) -> None:
    done = at_home("consents", "get", ANNA, HTTP_PROXY="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert done.code == 0
